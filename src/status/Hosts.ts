/**
 * Addresses of the machines of a pair, as one of its servers sees them. They show whether the witness runs on the machine of a
 * server, and whether the name of the peer leads to several machines.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { addressesOf } from "../internal/Names.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import * as Endpoint from "../wire/Endpoint.ts"

/**
 * Addresses, each list sorted. Empty where they are not known, or there is no such host.
 *
 * @category models
 */
export interface Hosts {
  /** Of this machine, without those of loopback. */
  readonly own: ReadonlyArray<string>
  /** Of the host of `--peer`. */
  readonly peer: ReadonlyArray<string>
  /** Of all hosts of the witness. The address of several members of its cluster is repeated. */
  readonly witness: ReadonlyArray<string>
}

/**
 * The hosts in the URL of a witness, such as `etcd://10.0.0.3:2379,10.0.0.4:2379/orders`.
 *
 * @category combinators
 */
export const hostsOfWitness = (endpoint: string): ReadonlyArray<string> => {
  const [, authority = ""] = /^[a-z][a-z0-9+.-]*:\/\/(?:[^@/]*@)?([^/?#]+)/i.exec(endpoint) ?? []
  return authority.split(",").flatMap((part) => {
    const [, inBrackets, name] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::[0-9]+)?$/.exec(part) ?? []
    return inBrackets ?? name ?? []
  })
}

const hostOfPeer = (endpoint: string): ReadonlyArray<string> => {
  const parts = Endpoint.parse(endpoint)
  return parts?.protocol === "tcp" ? [parts.host.replace(/^\[|\]$/g, "")] : []
}

/** The addresses of each host, or none if one of them is not known. */
const lookUp = (hosts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.forEach(
    hosts,
    (host) => isIP(host) === 0 ? Effect.tryPromise(() => addressesOf(host)) : Effect.succeed([host]),
    { concurrency: "unbounded" }
  ).pipe(
    Effect.map((found) => found.flatMap((addresses) => [...new Set(addresses)]).sort()),
    Effect.orElseSucceed(() => [])
  )

const ownAddresses = (): ReadonlyArray<string> =>
  Object.values(networkInterfaces()).flatMap((list) => list ?? []).filter(({ internal }) => !internal)
    .map(({ address }) => address).sort()

/**
 * Looks the addresses up once a minute as long as the scope, and returns the latest ones. Nothing waits for a look-up.
 *
 * @category constructors
 */
export const make: Effect.Effect<() => Hosts, never, BinaryStar | Scope.Scope> = Effect.gen(function*() {
  const { config, report } = yield* BinaryStar
  let hosts: Hosts = { own: [], peer: [], witness: [] }
  const update = Effect.gen(function*() {
    const { witness } = yield* report
    hosts = {
      own: ownAddresses(),
      peer: yield* lookUp(hostOfPeer(config.peerEndpoint)),
      witness: yield* lookUp(witness === undefined ? [] : hostsOfWitness(witness.endpoint))
    }
  })
  yield* Effect.repeat(update, Schedule.spaced("1 minute")).pipe(Effect.interruptible, Effect.forkScoped)
  return () => hosts
})

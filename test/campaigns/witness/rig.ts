/**
 * Four hosts: the clients, the two servers of a pair, and the engine of their witness.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { spawnSync } from "node:child_process"
import type { Network } from "../../support/network.ts"
import * as Hosts from "../../support/network.ts"
import type { Role } from "../../support/processes.ts"
import { endpoints } from "../chaos/network.ts"
import type { Pair } from "../chaos/nodes.ts"
import { makePair, whole } from "../chaos/nodes.ts"
import type { Change, Span } from "./availability.ts"
import type { EngineName, WitnessEngine } from "./engines.ts"
import { startWitness } from "./engines.ts"
import type { Host, Wires } from "./wires.ts"
import { hosts, makeWires } from "./wires.ts"

export interface Options {
  readonly heartbeatMillis: number
  /** The engine of the witness; without one, the policy is `hardened`. */
  readonly engine: EngineName | "none"
  /** The file of the command. */
  readonly program: string
}

/** The hosts and their links, without servers. */
export interface Rig {
  readonly network: Network<Host>
  readonly wires: Wires
  /** The changes since the last call. */
  readonly takeChanges: () => ReadonlyArray<Change>
  readonly record: (change: Change) => void
}

/** A link with a longer one-way delay, in heartbeats, is too slow to be one of two that can talk. */
const longestDelay = 0.2

export const makeRig = ({ heartbeatMillis }: Options): Effect.Effect<Rig, never, Scope.Scope> =>
  Effect.gen(function*() {
    const network = yield* Hosts.makeNetwork(hosts)
    let changes: Array<Change> = []
    const record = (change: Change) => void changes.push(change)
    return {
      network,
      record,
      wires: makeWires(network, longestDelay * heartbeatMillis, record),
      takeChanges: () => {
        const taken = changes
        changes = []
        return taken
      }
    }
  })

/** Makes the table of the witness, where its engine has one. */
export const initTable = ({ engine, program }: Options, { env, url }: WitnessEngine): Effect.Effect<void> =>
  Effect.sync(() => {
    if (engine !== "postgres") {
      return
    }
    const args = [program, "witness", "init", "--witness", url]
    const { status, stderr, stdout } = spawnSync(process.execPath, args, { env: { ...process.env, ...env } })
    if (status !== 0) {
      throw new Error(`bstar witness init: ${stdout}${stderr}`)
    }
  })

/** An engine on the host of the witness. Without one in the options, there is one that no server uses. */
export const startEngine = (
  { network: { addresses, enter } }: Rig,
  options: Options
): Effect.Effect<WitnessEngine, never, Scope.Scope> =>
  startWitness(options.engine === "none" ? "etcd" : options.engine, {
    enter: enter.witness,
    address: addresses.witness
  }).pipe(Effect.tap((engine) => initTable(options, engine)))

/**
 * The servers of a pair on their hosts. `offset` makes their ports different from those of another pair; with a `command`, they
 * run that.
 */
export const startPair = (
  { network }: Rig,
  { engine, heartbeatMillis, program }: Options,
  witness: WitnessEngine | undefined,
  { command, offset = 0 }: { readonly command?: ReadonlyArray<string>; readonly offset?: number } = {}
): Effect.Effect<Pair, never, Scope.Scope> => {
  const behind = witness === undefined || engine === "none" ? [] : ["--witness", witness.url]
  return makePair({
    policy: (behind.length === 0 ? "hardened" : "witnessed") as "hardened",
    heartbeat: `${heartbeatMillis} millis`,
    program,
    network: { at: endpoints(network.addresses, offset), enter: network.enter },
    behind: { primary: behind, backup: behind },
    command,
    env: witness?.env
  })
}

export const calmMillis = (heartbeatMillis: number) => Math.max(1.5 * heartbeatMillis, 150)

/** Waits until a pair is whole. Returns false if that takes too long. */
export const isWholeAgain = (pair: Pair, { heartbeatMillis }: Options): Effect.Effect<boolean> =>
  whole(pair, calmMillis(heartbeatMillis), 20_000 + 20 * heartbeatMillis)

/** Restarts both servers. */
export const restart = (pair: Pair): Effect.Effect<void> =>
  Effect.forEach([pair.nodes.primary, pair.nodes.backup], (node) => node.end("SIGKILL", 0), {
    concurrency: "unbounded",
    discard: true
  })

/** All directions between a host and others. */
export const between = (host: Host, others: ReadonlyArray<Host>) =>
  others.flatMap((other): ReadonlyArray<readonly [Host, Host]> => [[host, other], [other, host]])

/** Directions that cut off a server from its peer and from the witness, but not from the clients. */
export const isolation = (role: Role) => between(role, [role === "primary" ? "backup" : "primary", "witness"])

/** Directions that cut off a host from all. */
export const allOf = (host: Host) => between(host, hosts.filter((other) => other !== host))

const stallMillis = 50

/** The times in which this process stood still. */
export const makeStalls: Effect.Effect<{ readonly take: () => ReadonlyArray<Span> }, never, Scope.Scope> = Effect.gen(
  function*() {
    let stalls: Array<Span> = []
    let last = performance.now()
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        setInterval(() => {
          const now = performance.now()
          if (now - last > stallMillis) {
            stalls.push({ from: last, to: now })
          }
          last = now
        }, 10)
      ),
      (timer) => Effect.sync(() => clearInterval(timer))
    )
    return {
      take: () => {
        const taken = stalls
        stalls = []
        return taken
      }
    }
  }
)

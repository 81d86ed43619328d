/** A witness on etcd, by the settings of the program. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Agent } from "@effect/platform-node/Undici"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { ConnectionOptions } from "node:tls"
import * as Names from "../internal/Names.ts"
import type * as WitnessEndpoint from "../wire/WitnessEndpoint.ts"
import * as EtcdWitness from "../witness/EtcdWitness.ts"
import type { Access, Connection } from "./engine.ts"

/** Not the client of `node:http`: with the scheduler of `bstar` it misses that a connection is refused. */
const makeDispatcher = (tls: Pick<ConnectionOptions, "ca" | "cert" | "key">) =>
  Layer.scoped(
    NodeHttpClient.Dispatcher,
    Effect.acquireRelease(
      // The system's own look-up of a name would delay the end of this process while a name server does not answer.
      Effect.sync(() => new Agent({ connect: { ...tls, lookup: Names.lookup } })),
      (agent) => Effect.promise(() => agent.destroy())
    )
  )

export const connect = ({ ca, cert, endpoint, key, password }: Access<WitnessEndpoint.Etcd>): Connection => {
  const { isSecure, name, servers, user } = endpoint
  const dispatcher = makeDispatcher({
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: Redacted.value(key) })
  })
  const authenticated = user === undefined || password === undefined ? undefined : { name: user, password }
  return {
    layer: EtcdWitness.layer({
      urls: servers.map((server) => `http${isSecure ? "s" : ""}://${server}`),
      name,
      user: authenticated
    }).pipe(Layer.provide(Layer.provide(NodeHttpClient.layerUndiciWithoutDispatcher, dispatcher))),
    prepare: Effect.succeed("etcd needs no preparation"),
    preparation: [
      "# Run etcd with --auto-compaction-retention=1h: by default it keeps every write, until its quota is reached.",
      "# No more is to be done, unless the authentication of etcd is enabled. Then:",
      `etcdctl role add bstar-${name}`,
      `etcdctl role grant-permission bstar-${name} readwrite bstar/${name}`,
      `etcdctl user add ${user ?? "USER"}`,
      `etcdctl user grant-role ${user ?? "USER"} bstar-${name}`
    ].join("\n"),
    // A swap is one transaction, which needs all rights.
    probe: Effect.void,
    doubts: Effect.succeed(
      authenticated === undefined || isSecure
        ? []
        : [`the password of ${authenticated.name} is sent in clear: use etcds://, and TLS in etcd`]
    )
  }
}

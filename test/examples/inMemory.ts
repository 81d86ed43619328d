/**
 * A pair and its client in memory, without sockets, to test a handler and what a failover does to it:
 *
 *     npx tsx inMemory.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Exit, Layer, Scope } from "effect"
import { BinaryStar, BinaryStarClient, Frames, Frontend, type Handler } from "effect-binary-star"
import { ClientLink } from "effect-binary-star/ClientLink"
import * as PeerLink from "effect-binary-star/PeerLink"

type Role = "primary" | "backup"

const handlerOf = (role: Role): Handler.Handler => ({ body }) => `${role}: ${Frames.toString(body)}`

const program = Effect.gen(function*() {
  const link = yield* PeerLink.makeMemory
  const frontends = { primary: yield* Frontend.makeMemory, backup: yield* Frontend.makeMemory }

  // A server runs as long as its scope.
  const start = (role: Role) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const ports = Layer.merge(frontends[role].layer, link[role])
      const server = BinaryStar.layer({ role, policy: "hardened", heartbeat: "500 millis" }, handlerOf(role))
      yield* Layer.buildWithScope(Layer.provide(server, ports), scope)
      return Scope.close(scope, Exit.void)
    })

  // The client's endpoints are names only.
  const servers = ["inproc://primary", "inproc://backup"]
  const client = yield* BinaryStarClient.make({ servers }).pipe(
    Effect.provideService(ClientLink, {
      connect: (server) => frontends[server === servers[0] ? "primary" : "backup"].connect
    })
  )

  const stopPrimary = yield* start("primary")
  const stopBackup = yield* start("backup")
  yield* Console.log(Frames.toString(yield* client.request("hello")))
  yield* stopPrimary
  yield* Console.log(Frames.toString(yield* client.request("hello")))
  yield* stopBackup
})

program.pipe(Effect.scoped, NodeRuntime.runMain)

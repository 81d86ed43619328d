import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { freeEndpoints } from "../support/processes.ts"
import { eventually, quiet } from "../support/sockets.ts"

describe("a planned stop", () => {
  it.scopedLive("no request is lost, not even one that must not be sent twice", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const start = (role: "primary" | "backup") =>
        Effect.gen(function*() {
          const options = {
            role,
            policy: "hardened",
            // A server that stalls for one and a half heartbeats drops its requests.
            heartbeat: "2 seconds",
            frontend: at[role].frontend,
            stateEndpoint: at[role].state,
            peerEndpoint: at[role === "primary" ? "backup" : "primary"].state
          } as const
          const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
          const context = yield* Layer.buildWithScope(
            Layer.provide(BinaryStar.layer(options, Handler.echo), Zmq.layer(options)),
            scope
          )
          return { scope, member: Context.get(context, BinaryStar.BinaryStar) }
        })
      const primary = yield* start("primary")
      const backup = yield* start("backup")
      const client = yield* BinaryStarClient.make({ servers: [at.primary.frontend, at.backup.frontend] }).pipe(
        Effect.provide(ZmqClientLink.layer)
      )
      yield* eventually(Effect.map(backup.member.state, (state) => state === "PASSIVE"))
      let answered = 0
      let isOver = false
      const ask = (name: number) =>
        Effect.gen(function*() {
          for (let i = 0; !isOver; i++) {
            const text = `${name}.${i}`
            const reply = yield* client.request(text, { resend: false })
            assert.strictEqual(Frames.toString(reply), text)
            answered++
          }
        })
      const users = yield* Effect.fork(
        Effect.all(Array.from({ length: 100 }, (_, name) => ask(name)), { concurrency: "unbounded" })
      )
      yield* eventually(Effect.sync(() => answered > 1000))
      yield* Scope.close(primary.scope, Exit.void)
      const before = answered
      yield* eventually(Effect.sync(() => answered > before + 1000 || users.unsafePoll() !== null))
      isOver = true
      assert.deepStrictEqual(Exit.asVoid(yield* users.await), Exit.void)
      assert.strictEqual(yield* backup.member.state, "ACTIVE")
    }).pipe(Effect.provide(quiet)))
})

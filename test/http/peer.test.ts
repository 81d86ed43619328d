/** The requests of a server to the status server of its peer. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Peer from "../../src/http/peer.ts"
import * as Scheduler from "../../src/internal/Scheduler.ts"
import { freePorts } from "../support/ports.ts"

describe("the peer's status server", () => {
  it.live(
    "a peer that does not run is known as such at once, not after the timeout of a request",
    () =>
      Effect.gen(function*() {
        const [port] = yield* Effect.promise(() => freePorts(1))
        const peer = yield* Peer.make(`http://127.0.0.1:${port}`, undefined)
        for (let i = 0; i < 20; i++) {
          // As between two requests of a server: the slice is over.
          yield* Effect.sleep("5 millis")
          assert.strictEqual(
            (yield* Effect.flip(peer.status)).detail,
            "no process listens there (connection refused)"
          )
        }
      }).pipe(Effect.provide(Peer.client), Effect.provide(Scheduler.layer)),
    30_000
  )
})

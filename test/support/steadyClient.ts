/** A client that sends requests all the time, and loses none. */
import { Effect, Fiber, Ref } from "effect"
import type { Layer, Scope } from "effect"
import * as assert from "node:assert"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import type { ClientLink } from "../../src/ports/ClientLink.ts"
import type { InvalidConfig } from "../../src/settings/InvalidConfig.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import type { Endpoints } from "./processes.ts"
import { eventually, quiet } from "./sockets.ts"
import { eventTimeout } from "./times.ts"

export interface SteadyClient {
  /** Waits for replies to requests that are sent from now on. Fails if any request so far was not answered. */
  readonly continues: Effect.Effect<void, unknown>
}

/** Starts a client of the pair. It resends a request until it is answered. */
export const makeSteadyClient = (
  at: Endpoints,
  link: Layer.Layer<ClientLink, InvalidConfig> = ZmqClientLink.layer
): Effect.Effect<SteadyClient, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const { request } = yield* BinaryStarClient.make({
      servers: [at.primary.frontend, at.backup.frontend],
      timeout: eventTimeout
    }).pipe(Effect.provide([link, quiet]))
    const answered = yield* Ref.make(0)
    const requests = yield* Effect.gen(function*() {
      const number = (yield* Ref.get(answered)) + 1
      assert.strictEqual(Frames.toString(yield* request(String(number))), String(number))
      yield* Ref.set(answered, number)
      yield* Effect.sleep("2 millis")
    }).pipe(Effect.forever, Effect.forkScoped)
    return {
      continues: Effect.gen(function*() {
        const from = yield* Ref.get(answered)
        yield* Effect.raceFirst(
          eventually(Effect.map(Ref.get(answered), (now) => now >= from + 20)),
          Fiber.join(requests)
        )
      })
    }
  })

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import type { RequestError } from "../../src/client/RequestError.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { startPair } from "../support/pair.ts"
import { bstar, freeAddresses, freeEndpoints, other } from "../support/processes.ts"
import { eventually, quiet } from "../support/sockets.ts"
import { eventTimeout } from "../support/times.ts"

const env = { BSTAR_HTTP_TOKEN: "the-token-of-this-test" }
const requests = 10_000
/** Ten every two milliseconds: 5,000 a second. */
const burst = 10
const pace = Schedule.fixed("2 millis")

describe("a switchover under load", () => {
  it.scopedLive(
    "switchover there and back at 5,000 requests a second: none of 10,000 requests without resend is lost",
    () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const http = yield* freeAddresses
        yield* startPair(at, 1000, (role) => ({ args: ["--http", http[role], "--peer-http", http[other(role)]], env }))
        const client = yield* BinaryStarClient.make({
          servers: [at.primary.frontend, at.backup.frontend],
          // Only a late reply on a busy machine takes this long: both servers answer, or reject, every request.
          retryAfter: eventTimeout,
          timeout: eventTimeout
        }).pipe(
          Effect.provide(ZmqClientLink.layer)
        )
        // The client may resend its first request until it has found the active server.
        yield* client.request("first")

        let count = 0
        let answered = 0
        const request = Effect.suspend(() => {
          const text = String(count++)
          return Effect.map(client.request(text, { resend: false }), (reply) => {
            assert.strictEqual(Frames.toString(reply), text)
            answered++
          })
        })
        const answers: Array<Fiber.Fiber<void, RequestError>> = []
        const load = yield* Effect.map(Effect.forkScoped(request), (fiber) => answers.push(fiber)).pipe(
          Effect.replicateEffect(burst),
          Effect.repeat({ schedule: pace, times: requests / burst - 1 }),
          Effect.fork
        )
        const switchover = (from: number) =>
          Effect.gen(function*() {
            yield* eventually(Effect.sync(() => answered > from))
            const command = yield* bstar(["switchover", "--reason", "a test", "--http", http.primary], env)
            const { code } = yield* command.exit
            assert.strictEqual(code, 0, command.stderr())
            assert.match(command.stdout(), /clients waited for \d+ ms/)
          })
        yield* switchover(requests * 0.2)
        yield* switchover(Math.min(answered + 1000, requests * 0.6))
        yield* Fiber.join(load)
        yield* Fiber.join(Fiber.all(answers))
        assert.strictEqual(answered, requests)
      }).pipe(Effect.provide(quiet))
  )
})

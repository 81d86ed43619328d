import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import type { RequestError } from "../../src/client/RequestError.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { bstar, freeEndpoints, other, type Role, serverArgs } from "../support/processes.ts"
import { eventually, quiet } from "../support/sockets.ts"

const env = { BSTAR_HTTP_TOKEN: "the-token-of-this-test" }
const requests = 10_000
/** Ten every two milliseconds: 5,000 a second. */
const burst = 10
const pace = Schedule.fixed("2 millis")

describe("a switchover", () => {
  it.scopedLive(
    "and another one back, under 5,000 requests a second, lose none of 10,000 that must not be sent twice",
    () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const { backup, primary } = yield* freeEndpoints
        const http = {
          primary: primary.frontend.slice("tcp://".length),
          backup: backup.frontend.slice("tcp://".length)
        }
        const start = (role: Role) =>
          bstar(
            [
              ...serverArgs(role, at, "1 second"),
              ...["--policy", "hardened", "--http", http[role], "--peer-http", http[other(role)]]
            ],
            env
          )
        yield* start("primary")
        const standby = yield* start("backup")
        yield* standby.waitForLine(/ready as passive/)
        const client = yield* BinaryStarClient.make({ servers: [at.primary.frontend, at.backup.frontend] }).pipe(
          Effect.provide(ZmqClientLink.layer)
        )
        // The first may find out which server answers, and is sent again meanwhile.
        yield* client.request("first")

        let asked = 0
        let answered = 0
        const ask = Effect.suspend(() => {
          const text = String(asked++)
          return Effect.map(client.request(text, { resend: false }), (reply) => {
            assert.strictEqual(Frames.toString(reply), text)
            answered++
          })
        })
        const answers: Array<Fiber.Fiber<void, RequestError>> = []
        const asking = yield* Effect.map(Effect.forkScoped(ask), (fiber) => answers.push(fiber)).pipe(
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
        yield* Fiber.join(asking)
        yield* Fiber.join(Fiber.all(answers))
        assert.strictEqual(answered, requests)
      }).pipe(Effect.provide(quiet)),
    60_000
  )
})

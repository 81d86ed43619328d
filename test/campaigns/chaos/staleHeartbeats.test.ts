import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger, SubscriptionRef } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import { dualAnswers } from "./history.ts"
import { activeOf, makePair, program, whole } from "./nodes.ts"
import { makeObservers } from "./observers.ts"
import { makeUsers } from "./users.ts"

const heartbeatMillis = 100
const rounds = 4

it.live(
  "H4 a server that was stopped ignores heartbeats that its peer published meanwhile",
  () =>
    Effect.gen(function*() {
      const network = undefined
      const pair = yield* makePair({ policy: "hardened", heartbeat: `${heartbeatMillis} millis`, program, network })
      const { backup, primary } = pair.nodes
      const isWhole = whole(pair, 2 * heartbeatMillis, 60_000)
      const observers = yield* makeObservers(pair)
      yield* makeUsers(pair, 4)
      for (let round = 1; round <= rounds; round++) {
        assert.isTrue(yield* isWhole)
        if (activeOf(yield* SubscriptionRef.get(pair.states)) === "primary") {
          yield* primary.end("SIGKILL", 3 * heartbeatMillis)
          assert.isTrue(yield* isWhole)
        }
        observers.take()
        pair.takeLines()
        // The backup is stopped too, and publishes its role after SIGCONT. While many requests are queued, the primary receives
        // that heartbeat some time after its own SIGCONT, when the state has changed.
        yield* primary.signal("SIGSTOP")
        yield* Effect.sleep("200 millis")
        yield* backup.signal("SIGSTOP")
        yield* Effect.sleep("300 millis")
        yield* backup.signal("SIGCONT")
        yield* Effect.sleep("1200 millis")
        yield* primary.signal("SIGCONT")
        yield* Effect.sleep("300 millis")
        const logged = pair.takeLines().filter(({ role }) => role === "primary").map(({ text }) => text)
        assert.notInclude(logged, "backup (passive) is restarting, ready as active")
        assert.deepStrictEqual(dualAnswers(observers.take(), heartbeatMillis), [])
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger)))
    ),
  160_000
)

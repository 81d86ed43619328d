import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger, SubscriptionRef } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import { dualAnswers } from "./history.ts"
import { activeOf, makePair, program, whole } from "./nodes.ts"
import { makeObservers } from "./observers.ts"
import { makeUsers } from "./users.ts"

const heartbeatMillis = 100
const rounds = 4

it.live("a server that was stopped does not take for news what its peer said meanwhile", () =>
  Effect.gen(function*() {
    const network = undefined
    const pair = yield* makePair({ policy: "hardened", heartbeat: `${heartbeatMillis} millis`, program, network })
    const { backup, primary } = pair.nodes
    const isWhole = whole(pair, 2 * heartbeatMillis, 20_000)
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
      // The backup stands still too, and says its role when it goes on. While many requests wait as well, that word reaches
      // the primary some time after the primary goes on, when it is long untrue.
      yield* primary.signal("SIGSTOP")
      yield* Effect.sleep("200 millis")
      yield* backup.signal("SIGSTOP")
      yield* Effect.sleep("300 millis")
      yield* backup.signal("SIGCONT")
      yield* Effect.sleep("1200 millis")
      yield* primary.signal("SIGCONT")
      yield* Effect.sleep("300 millis")
      const says = pair.takeLines().filter(({ role }) => role === "primary").map(({ text }) => text)
      assert.notInclude(says, "backup (passive) is restarting, ready as active")
      assert.deepStrictEqual(dualAnswers(observers.take(), heartbeatMillis), [])
    }
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger)))
  ), 120_000)

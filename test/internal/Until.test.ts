import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { until } from "../../src/internal/Until.ts"

/** Something that takes a second to be finalized. */
const slow = (events: Array<string>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => events.push("begins")),
    () => Effect.never,
    () => Effect.zipRight(Effect.sleep("1 second"), Effect.sync(() => events.push("ends")))
  )

describe("until", () => {
  it.scoped("finalizes the effect on the signal, and returns its value", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const signal = yield* Deferred.make<string>()
      const fiber = yield* Effect.fork(until(slow(events), signal))
      yield* TestClock.adjust(0)
      yield* Deferred.succeed(signal, "over")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "over")
      assert.deepStrictEqual(events, ["begins", "ends"])
    }))

  it.scoped("finalizes the effect before its surroundings on an interruption", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const signal = yield* Deferred.make<string>()
      const fiber = yield* Effect.fork(
        Effect.ensuring(until(slow(events), signal), Effect.sync(() => events.push("around it")))
      )
      yield* TestClock.adjust(0)
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(events, ["begins", "ends", "around it"])
    }))

  it.effect("returns the exit of an effect that ends first, also a failure or an interruption", () =>
    Effect.gen(function*() {
      const signal = yield* Deferred.make<string>()
      assert.strictEqual(yield* until(Effect.succeed("done"), signal), "done")
      assert.deepStrictEqual(yield* Effect.exit(until(Effect.fail("failed"), signal)), Exit.fail("failed"))
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(until(Effect.interrupt, signal))))
    }))
})

import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"

const timeout = Duration.seconds(2)

describe("deadlines", () => {
  it.scoped("items expire after the timeout, in order, unless they are deleted", () =>
    Effect.gen(function*() {
      const expired: Array<string> = []
      const deadlines = yield* Deadlines.make<string>(timeout, (item) => expired.push(item))
      deadlines.add("a")
      yield* TestClock.adjust("1 second")
      const b = deadlines.add("b")
      deadlines.add("c")
      deadlines.delete(b)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(expired, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(expired, ["a"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(expired, ["a", "c"])
      // The timer has ended; the next item starts it again.
      deadlines.add("d")
      yield* TestClock.adjust(timeout)
      assert.deepStrictEqual(expired, ["a", "c", "d"])
    }))

  it.scoped("the scope closes: nothing expires after that", () =>
    Effect.gen(function*() {
      const expired: Array<string> = []
      const scope = yield* Scope.make()
      const deadlines = yield* Scope.extend(Deadlines.make<string>(timeout, (item) => expired.push(item)), scope)
      deadlines.add("a")
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(timeout)
      assert.deepStrictEqual(expired, [])
    }))

  it.scoped("an infinite timeout keeps no items", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.make<string>(Duration.infinity, () => assert.fail("expired"))
      deadlines.add("a")
      yield* TestClock.adjust("30 days")
    }))
})

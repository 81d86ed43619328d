import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { settle } from "../../support/nodes.ts"
import { afterConnectionTimeout } from "../../support/times.ts"
import { requestBoth, startPair } from "./support.ts"

describe("H11 the longer active server stays", () => {
  it.scoped("a primary that became active by silence alone steps down, the backup stays", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.primary.kill
      yield* settle
      assert.strictEqual(yield* pair.backup.request("x"), "x")
      yield* pair.cut
      const primary = yield* pair.primary.start
      yield* TestClock.adjust(afterConnectionTimeout)
      assert.strictEqual(yield* pair.primary.request("x"), "x")
      assert.deepStrictEqual([yield* primary.state, yield* pair.members.backup.state], ["ACTIVE", "ACTIVE"])
      yield* pair.heal
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(new Set(yield* requestBoth(pair, 4)), new Set(["backup"]))
      assert.deepStrictEqual([yield* primary.state, yield* pair.members.backup.state], ["PASSIVE", "ACTIVE"])
      assert.strictEqual(pair.primary.log.at(-1), "backup has been active for longer, ready as passive")
      assert.notInclude(pair.backup.log, "both are active, ready as passive")
    }))

  it.scoped("a primary that was active before stays, the backup steps down", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.cut
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* pair.backup.request("x"), "x")
      assert.strictEqual(yield* pair.primary.request("x"), "x")
      yield* pair.heal
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(new Set(yield* requestBoth(pair, 4)), new Set(["primary"]))
      const states = [yield* pair.members.primary.state, yield* pair.members.backup.state]
      assert.deepStrictEqual(states, ["ACTIVE", "PASSIVE"])
      assert.deepStrictEqual(pair.backup.log.slice(-2), [
        "both are active, waiting for primary to step down",
        "both are active, ready as passive"
      ])
    }))
})

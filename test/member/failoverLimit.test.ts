import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { limitedUntil, record } from "../../src/member/failoverLimit.ts"

/** The same with all failovers kept: limited while at least so many happened in the window before. */
const isLimited = (times: ReadonlyArray<number>, maxFailovers: number, windowMillis: number, at: number): boolean =>
  times.filter((time) => at - time < windowMillis).length >= maxFailovers

describe("failover limit", () => {
  it.prop(
    "is the one of a model that keeps everything, and keeps no more than it needs",
    {
      gaps: FastCheck.array(FastCheck.integer({ min: 0, max: 60 }), { maxLength: 40 }),
      maxFailovers: FastCheck.integer({ min: 1, max: 5 }),
      failoverWindowMillis: FastCheck.integer({ min: 1, max: 100 })
    },
    ({ failoverWindowMillis, gaps, maxFailovers }) => {
      const limit = { maxFailovers, failoverWindowMillis }
      const all: Array<number> = []
      let kept: ReadonlyArray<number> = []
      let at = 0
      for (const gap of gaps) {
        at += gap
        const until = limitedUntil(limit, kept, at)
        assert.strictEqual(until !== undefined, isLimited(all, maxFailovers, failoverWindowMillis, at))
        if (until !== undefined) {
          assert.isTrue(isLimited(all, maxFailovers, failoverWindowMillis, until - 1))
          assert.isFalse(isLimited(all, maxFailovers, failoverWindowMillis, until))
        }
        all.push(at)
        kept = record(limit, kept, at)
        assert.isAtMost(kept.length, maxFailovers)
      }
    }
  )

  it("without a limit nothing is kept", () => {
    const limit = { maxFailovers: Number.POSITIVE_INFINITY, failoverWindowMillis: 1000 }
    assert.deepStrictEqual(record(limit, [], 1), [])
    assert.isUndefined(limitedUntil(limit, [], 1))
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { Burst } from "../../src/internal/LogOnce.ts"
import { Bursts, make, makeByKey } from "../../src/internal/LogOnce.ts"

const gaps = FastCheck.array(FastCheck.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 50 })

describe("bursts", () => {
  it("one key: a message is the first of a burst exactly after a pause of the whole window", () => {
    FastCheck.assert(FastCheck.property(gaps, (gaps) => {
      const isFirst = make(10)
      let now = 0
      gaps.forEach((gap, index) => {
        now += gap
        assert.strictEqual(isFirst(now), index === 0 || gap >= 10)
      })
    }))
  })

  it("keys: each has bursts of its own", () => {
    let now = 0
    const isFirst = makeByKey(10, () => now)
    assert.deepStrictEqual(["a", "b", "a"].map(isFirst), [true, true, false])
    now = 10
    assert.deepStrictEqual(["b", "a", "b"].map(isFirst), [true, true, false])
  })

  it("ended: every message is the first of a burst or counted in one, also beyond the capacity", () => {
    const messages = FastCheck.array(
      FastCheck.record({ key: FastCheck.integer({ min: 0, max: 150 }), gap: FastCheck.integer({ min: 0, max: 2 }) }),
      { maxLength: 400 }
    )
    FastCheck.assert(FastCheck.property(messages, FastCheck.boolean(), (messages, isExtended) => {
      const ended: Array<Burst<number>> = []
      const bursts = new Bursts<number>({ windowMillis: 20, isExtended, onEnd: (burst) => ended.push(burst) })
      let [now, firsts] = [0, 0]
      for (const { gap, key } of messages) {
        now += gap
        firsts += bursts.add(String(key), key, now) ? 1 : 0
      }
      bursts.end(now + 20)
      assert.strictEqual(ended.length, firsts)
      assert.strictEqual(ended.reduce((sum, { repeated }) => sum + 1 + repeated, 0), messages.length)
    }))
  })

  it("clock set back: all bursts end", () => {
    const ended: Array<Burst<string>> = []
    const bursts = new Bursts<string>({ windowMillis: 20, isExtended: false, onEnd: (burst) => ended.push(burst) })
    bursts.add("a", "x", 1000)
    assert.isTrue(bursts.add("a", "y", 100))
    assert.deepStrictEqual(ended.map(({ message }) => message), ["x"])
  })
})

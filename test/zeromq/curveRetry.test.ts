import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as CurveRetry from "../../src/zeromq/curveRetry.ts"

describe("the keys of a server", () => {
  it("begin with the one that was right, or with the one at the position of the server", () => {
    assert.deepStrictEqual(CurveRetry.inOrder(["a", "b", "c"], "b", 0), ["b", "c", "a"])
    assert.deepStrictEqual(CurveRetry.inOrder(["a", "b", "c"], undefined, 2), ["c", "a", "b"])
    assert.deepStrictEqual(CurveRetry.inOrder(["a", "b"], "removed", 3), ["b", "a"])
  })

  it("are tried in turns while the server has another one", () => {
    const current = { key: "a", failures: 1, wasRight: false }
    assert.strictEqual(CurveRetry.nextKey(["a", "b"], current, "wrong"), "b")
    assert.isUndefined(CurveRetry.nextKey(["a"], current, "wrong"))
  })

  it("stay the same for three failures of one that was right: the server may be starting or stopping", () => {
    const next = [1, 2, 3, 4].map((failures) =>
      CurveRetry.nextKey(["a", "b"], { key: "a", failures, wasRight: true }, "wrong")
    )
    assert.deepStrictEqual(next, [undefined, undefined, undefined, "b"])
  })

  it("are tried again when libzmq has given up, unless they were removed", () => {
    for (const failure of ["rejected", "absent"] as const) {
      assert.strictEqual(CurveRetry.nextKey(["a", "b"], { key: "b", failures: 1, wasRight: false }, failure), "b")
      assert.strictEqual(CurveRetry.nextKey(["a", "b"], { key: "c", failures: 1, wasRight: false }, failure), "a")
    }
  })

  it("are all tried within a round, whichever the server has", () => {
    const keys = FastCheck.uniqueArray(FastCheck.string(), { minLength: 1, maxLength: 6 })
    FastCheck.assert(FastCheck.property(keys, FastCheck.nat(), ([first, ...others], position) => {
      const candidates = CurveRetry.inOrder([first!, ...others], undefined, position)
      const tried = [candidates[0]]
      for (let failures = 1; failures < candidates.length; failures++) {
        tried.push(CurveRetry.nextKey(candidates, { key: tried.at(-1)!, failures, wasRight: false }, "wrong")!)
      }
      assert.deepStrictEqual([...tried].sort(), [first!, ...others].sort())
      assert.isTrue(CurveRetry.isRoundOver(Math.max(3, tried.length), "wrong", tried.length))
    }))
  })

  it("are tried after pauses that grow up to a second", () => {
    assert.strictEqual(CurveRetry.pauseMillis(1, false), 10)
    assert.deepStrictEqual([1, 2, 3, 6, 100].map((failures) => CurveRetry.pauseMillis(failures, true)), [
      50,
      100,
      200,
      1000,
      1000
    ])
  })
})

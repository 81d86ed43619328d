import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Packing from "../../../src/verify/model/packing.ts"
import { atOnce, classic, exhaust, hardened } from "./explorations.ts"

describe("packing", () => {
  it("a state is the same after it was packed and unpacked", () => {
    for (const options of [classic({ kills: 1 }), classic({ pauses: 1 }), hardened({ cuts: 1, ...atOnce })]) {
      const { model, result } = exhaust(options)
      const packing = new Packing.Packing()
      const packed = new Uint32Array(Packing.length)
      for (const { trace } of result.violations) {
        trace.reduce((world, move) => {
          const after = model.after(world, move)!
          packing.pack(after, packed)
          assert.deepStrictEqual(packing.unpack(packed, 0), after)
          return after
        }, model.initial)
      }
    }
  })

  it("budgets are compared one by one", () => {
    const budgets = FastCheck.array(FastCheck.integer({ min: 0, max: 7 }), { minLength: 5, maxLength: 5 })
    const pack = (values: ReadonlyArray<number>) => values.reduce((bits, value, i) => bits | value << 4 * i, 0)
    FastCheck.assert(FastCheck.property(budgets, budgets, (some, others) => {
      assert.strictEqual(
        Packing.allowsAsMuch(pack(some), pack(others)),
        some.every((value, i) => value >= others[i]!)
      )
    }))
  })
})

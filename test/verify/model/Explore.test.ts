import { assert, describe, it } from "@effect/vitest"
import * as Model from "../../../src/verify/model/Model.ts"
import * as Packing from "../../../src/verify/model/packing.ts"
import { properties } from "../../../src/verify/model/Properties.ts"
import { atOnce, classic, exhaust, hardened, yieldAfterEach } from "./explorations.ts"

yieldAfterEach()

describe("explore", () => {
  it("leaves out states that were found with larger budgets, and nothing else", () => {
    for (const options of [classic({ kills: 1 }), classic({ pauses: 1 }), hardened({ kills: 1, ...atOnce })]) {
      const { model, result } = exhaust(options)
      const packing = new Packing.Packing()
      const packed = new Uint32Array(Packing.length)
      const keyOf = (world: Model.World) => {
        packing.pack(world, packed)
        return packed.join()
      }
      const seen = new Map([[keyOf(model.initial), model.initial]])
      const violated = new Set<string>()
      for (const world of seen.values()) {
        const found = properties.filter(({ isViolated }) => isViolated(model.setup, world))
        found.forEach(({ name }) => violated.add(name))
        if (!found.every(({ isInformative }) => isInformative)) {
          continue
        }
        for (const move of [...Model.moves, Model.tick]) {
          const after = model.after(world, move)
          if (after !== undefined && !seen.has(keyOf(after))) {
            seen.set(keyOf(after), after)
          }
        }
      }
      assert.isAtMost(result.states, seen.size)
      assert.deepStrictEqual(new Set(result.violations.map(({ property }) => property.name as string)), violated)
    }
  })

  it("a trace leads to its violation, and to no other before", () => {
    for (
      const options of [
        classic({ kills: 1 }),
        classic({ pauses: 1 }),
        classic({ cuts: 1 }),
        hardened({ cuts: 1, ...atOnce })
      ]
    ) {
      const { model, result } = exhaust(options)
      assert.isNotEmpty(result.violations)
      for (const { property, ticks, trace } of result.violations) {
        let world = model.initial
        for (const move of trace) {
          assert.isFalse(property.isViolated(model.setup, world))
          world = model.after(world, move) ?? assert.fail(`${move._tag} is not possible`)
        }
        assert.isTrue(property.isViolated(model.setup, world))
        assert.strictEqual(trace.filter(({ _tag }) => _tag === "Tick").length, ticks)
      }
    }
  })
})

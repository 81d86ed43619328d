import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import { isFaulty, text } from "./report.ts"
import { play } from "./soak.ts"
import { plot, trendOf } from "./trend.ts"

it.live(
  "soak: seconds of load, failovers and abuse cause no wrong answer, no lost request and no exit",
  () =>
    Effect.gen(function*() {
      const options = { minutes: 0.2, seed: 20_260_131, users: 2, disturbMillis: 1500, attackMillis: 100 }
      const result = yield* play(options)
      assert.isFalse(isFaulty(result), text(options, result))
      assert.isAbove(result.answers, 0)
      assert.isAbove(result.attacks, 0)
      assert.isTrue(result.samples.some(({ servers }) => servers.primary.fibers > 0))
    }).pipe(Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))))
)

describe("figures of a soak", () => {
  it("trend: the slope is that of the figures", () => {
    const { margin, slope } = trendOf([[0, 1], [1, 3], [2, 5], [3, 7]])
    assert.closeTo(slope, 2, 1e-9)
    assert.closeTo(margin, 0, 1e-9)
  })

  it("trend: without a trend the slope is within its margin", () => {
    const { margin, slope } = trendOf(Array.from({ length: 100 }, (_, i) => [i, i % 2]))
    assert.isBelow(Math.abs(slope), margin)
  })

  it("plot: blocks go from the smallest to the largest figure", () => {
    assert.strictEqual(plot([1, 2, NaN, 8]), "▁▂ █")
  })
})

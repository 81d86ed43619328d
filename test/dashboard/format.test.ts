import { assert, describe, it } from "@effect/vitest"
import { latency, rate, setting, span } from "../../src/dashboard/page/format.ts"

describe("format", () => {
  it("span: two units at most, and none that is zero", () => {
    const texts = [-5, 0, 999, 1000, 61_000, 3_600_000, 3_661_000, 86_400_000, 90_061_000].map(span)
    assert.deepStrictEqual(texts, ["0 ms", "0 ms", "999 ms", "1 s", "1 min 1 s", "1 h", "1 h 1 min", "1 d", "1 d 1 h"])
  })

  it("latency: three significant digits", () => {
    const texts = [null, 0.4567, 9.999, 12.34, 123.4, 1234].map(latency)
    assert.deepStrictEqual(texts, ["–", "0.46 ms", "10.00 ms", "12.3 ms", "123 ms", "1.23 s"])
  })

  it("setting and rate: exact where short, and marked where absent", () => {
    assert.deepStrictEqual([null, 1500, 90_000].map(setting), ["none", "1,500 ms", "1 min 30 s"])
    assert.deepStrictEqual([null, 1234.5].map(rate), ["–", "1,235/s"])
  })
})

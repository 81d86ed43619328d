import { assert, describe, it } from "@effect/vitest"
import type { Histogram } from "./histogram.ts"
import { makeRecorder, merge, percentile, plot, total } from "./histogram.ts"

const tail: Histogram = [[100, 989], [300, 9], [5000, 2]]

describe("a histogram", () => {
  it("contains each recorded value, rounded, in ascending order", () => {
    const { histogram, record } = makeRecorder()
    for (const value of [7.4, 6.6, 3, 2_000_000]) {
      record(value)
    }
    assert.deepStrictEqual(histogram(), [[3, 1], [7, 2], [1_000_000, 1]])
  })

  it("a percentile is the value that this share does not exceed", () => {
    assert.deepStrictEqual([0.5, 0.989, 0.99, 0.998, 0.999, 1].map((share) => percentile(tail, share)), [
      ...[100, 100, 300, 300, 5000, 5000]
    ])
    assert.isNaN(percentile([], 0.5))
  })

  it("the merger of several contains all of their values", () => {
    const merged = merge([[[1, 1], [3, 1]], [[2, 5], [3, 2]]])
    assert.deepStrictEqual(merged, [[1, 1], [2, 5], [3, 3]])
    assert.strictEqual(total(merged), 9)
  })

  it("the plot has a line for each half octave, and shows shares and percentiles of both sides", () => {
    const lines = plot(tail, [[200, 1]])
    assert.deepStrictEqual(lines.map((line) => line.trim().split(/ {2,}/)), [
      ["latency from", "this project", "plain loop"],
      ["91 us", "############################", "99 % p50"],
      ["128 us"],
      ["181 us", "############################", "100 % p50 p99 p99.9"],
      ["256 us", ".", "0.90 % p99"],
      ...["362 us", "512 us", "724 us", "1.0 ms", "1.4 ms", "2.0 ms", "2.9 ms"].map((label) => [label]),
      ["4.1 ms", ".", "0.20 % p99.9"]
    ])
    assert.deepStrictEqual(plot([], []), [])
  })
})

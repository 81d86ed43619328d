import { assert, describe, it } from "@effect/vitest"
import { chartOf } from "../../src/dashboard/page/chart.ts"
import { rate } from "../../src/dashboard/page/format.ts"
import type { Sample } from "../../src/dashboard/page/traffic.ts"

const series = { title: "Requests per second", keys: ["primary", "backup"], least: 10, write: rate } as const

const sample = (at: number, primary: number | null): Sample => ({ at, primary, backup: null, p50: null, p99: null })

describe("chart", () => {
  it("a line has a gap where a value or more than three seconds are missing", () => {
    const samples = [sample(1, 5), sample(2, 5), sample(3, null), sample(4, 5), sample(5, 5), sample(9, 5)]
    const { lines } = chartOf(series, samples, [])
    assert.deepStrictEqual(lines.map(({ path }) => path.replace(/[^ML]/g, "")), ["MLMLM", ""])
  })

  it("the axis ends at a round number at or above the greatest value", () => {
    const topOf = (value: number) => chartOf(series, [sample(1, value)], []).top
    assert.deepStrictEqual([0, 11, 24, 99, 100, 101].map(topOf), ["10/s", "20/s", "25/s", "100/s", "100/s", "200/s"])
  })

  it("the latest sample is at the right end, and takeovers are marked within the window", () => {
    const marks = [{ at: 10, role: "primary" }, { at: 190, role: "backup" }] as const
    const chart = chartOf(series, [sample(200, 10)], marks)
    assert.strictEqual(chart.lines[0]?.path, "M180 6.00")
    assert.deepStrictEqual(chart.marks, [{ x: 170, role: "backup" }])
  })

  it("a few values far above all others do not flatten the rest: they are cut off, and the greatest is a label", () => {
    const usual = Array.from({ length: 60 }, (_, i) => sample(i, 80))
    const withOutlier = [...usual, sample(60, 5000), sample(61, 80)]
    const chart = chartOf(series, withOutlier, [])
    assert.strictEqual(chart.top, "100/s")
    assert.deepStrictEqual(chart.labels, [{ x: 179, row: 0, text: "▲ 5,000/s", role: undefined }])
    assert.include(chart.lines[0]?.path, "L179 6.00")
    assert.include(chart.label, "highest 5,000/s")
    // A value that is often as great, or that is one of few, is part of the axis.
    const often = [...usual, ...Array.from({ length: 10 }, (_, i) => sample(60 + i, 5000))]
    assert.strictEqual(chartOf(series, often, []).top, "5,000/s")
    assert.strictEqual(chartOf(series, [sample(1, 1), sample(2, 5000)], []).top, "5,000/s")
  })

  it("takeovers have a label each, in rows in which they do not overlap", () => {
    const marks = [{ at: 40, role: "backup" }, { at: 60, role: "primary" }, { at: 190, role: "backup" }] as const
    const { label, labels } = chartOf(series, [sample(200, 10)], marks)
    assert.deepStrictEqual(labels, [
      { x: 20, row: 0, text: "backup active", role: "backup" },
      { x: 40, row: 1, text: "primary active", role: "primary" },
      { x: 170, row: 0, text: "backup active", role: "backup" }
    ])
    assert.include(label, "The backup became active 10 s ago.")
  })

  it("the label has the values as text", () => {
    assert.strictEqual(
      chartOf(series, [sample(1, 0), sample(2, 1200)], []).label,
      "Requests per second of the last 3 minutes. primary: now 1,200/s, lowest 0/s, highest 1,200/s. backup: none."
    )
  })
})

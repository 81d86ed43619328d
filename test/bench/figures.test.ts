import { assert, describe, it } from "@effect/vitest"
import { lonelyRow, median, rateRow, row, tableLine } from "./figures.ts"

const identity = (value: number) => value

describe("a figure", () => {
  it("the median is the middle value, or the mean of the two in the middle", () => {
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(median([4, 1, 3, 2]), 2.5)
    assert.isNaN(median([]))
  })

  it("the ratio of a row is the median of the ratios of its rounds, with their spread", () => {
    const { better, plain, project, ratio, spread } = row("x", { project: [1, 4, 9], plain: [1, 2, 3] }, identity)
    assert.deepStrictEqual([project, plain, ratio, spread], [4, 2, 2, [1, 3]])
    assert.strictEqual(better, "smaller")
    assert.strictEqual(rateRow("x", { project: [1], plain: [1] }, identity).better, "larger")
  })

  it("a row without a plain side has no ratio", () => {
    const { project, ratio } = lonelyRow("x", [1, 5, 2], (values) => Math.max(...values))
    assert.strictEqual(project, 5)
    assert.isNaN(ratio)
  })

  it("a line shows what there is", () => {
    const many = row("x", { project: [1000, 4000], plain: [2000, 2000] }, identity)
    assert.match(tableLine(many), /^x +2,500 +2,000 +1\.25 \(0\.50-2\.00\)$/)
    assert.match(tableLine(lonelyRow("x", [0.1234])), /^x +0\.123 +n\/a +n\/a$/)
  })
})

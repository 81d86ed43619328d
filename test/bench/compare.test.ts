import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { changeLines, compare, readRun } from "./compare.ts"
import type { Results, Row } from "./figures.ts"
import { lonelyRow, rateRow, row } from "./figures.ts"

const plain = [1, 1, 1]

const latency = (...project: ReadonlyArray<number>) => row("p50", { project, plain }, (value) => value)

const rate = (...project: ReadonlyArray<number>) => rateRow("rate", { project, plain }, (value) => value)

const changeOf = (earlier: Row, now: Row) => compare({ x: [earlier] }, { x: [now] })[0]

/** Writes a file, reads it as an earlier run, and removes it. */
const read = (text: string, scenarios: ReadonlyArray<string>) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-bench-"))
  try {
    fs.writeFileSync(path.join(folder, "run.json"), text)
    return readRun(path.join(folder, "run.json"), scenarios)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

const machine = { load: "native", loadAverage: 1 }

const json = (results: Results) => JSON.stringify({ machine, results })

describe("a comparison with an earlier run", () => {
  it("a figure is worse if every round is worse than every earlier round by more than 5 %", () => {
    assert.isTrue(changeOf(latency(1, 1.1, 1.2), latency(1.3, 1.4, 1.5))?.isWorse)
    assert.isFalse(changeOf(latency(1, 1.1, 1.2), latency(1.25, 1.4, 1.5))?.isWorse)
    assert.isFalse(changeOf(latency(1, 1.1, 1.2), latency(0.7, 0.8, 0.9))?.isWorse)
  })

  it("of rates, smaller ones are worse", () => {
    assert.isTrue(changeOf(rate(1, 1.1, 1.2), rate(0.7, 0.8, 0.9))?.isWorse)
    assert.isFalse(changeOf(rate(1, 1.1, 1.2), rate(0.96, 0.97, 0.98))?.isWorse)
    assert.isFalse(changeOf(rate(1, 1.1, 1.2), rate(2, 3, 4))?.isWorse)
  })

  it("a figure without a ratio is compared itself", () => {
    const change = changeOf(lonelyRow("x", [10, 20, 30]), lonelyRow("x", [40, 50, 60]))
    assert.deepStrictEqual([change?.earlier, change?.now, change?.factor, change?.isWorse], [20, 50, 2.5, true])
  })

  it("a figure of a single round is never worse: its spread is unknown", () => {
    assert.isFalse(changeOf(lonelyRow("x", [1]), lonelyRow("x", [100]))?.isWorse)
  })

  it("only figures that both runs have are compared", () => {
    const earlier = { x: [latency(1, 1, 1), rate(1, 1, 1)], y: [rate(1, 1, 1)] }
    const changes = compare(earlier, { x: [rate(1, 1, 1)], z: [rate(1, 1, 1)] })
    assert.deepStrictEqual(changes.map(({ scenario, what }) => [scenario, what]), [["x", "rate"]])
  })

  it("an earlier run is what --json prints", () => {
    const results = { x: [latency(1, 2, 3)], y: [lonelyRow("longest", [1, 2])] }
    const run = read(json(results), ["y"])
    assert.deepStrictEqual(run.machine, machine)
    assert.deepStrictEqual(compare(run.results, results).map(({ factor }) => factor), [1, 1])
  })

  it.each([
    ["not JSON", "# a table", /not valid JSON/],
    ["of something else", "{}", /machine is missing/],
    ["of other scenarios", json({ y: [rate(1, 1, 1)] }), /contains only y/]
  ])("a file %s is rejected with its name and the reason", (_, text, reason) => {
    assert.throws(() => read(text, ["x"]), reason)
    assert.throws(() => read(text, ["x"]), /^--compare .*run\.json: not the output of --json/)
  })

  it("a file that does not exist is rejected", () => {
    assert.throws(() => readRun("/nonexistent", ["x"]), /^--compare \/nonexistent: .*ENOENT/)
  })

  it("the table marks what is worse", () => {
    const earlier = { x: [latency(1, 1.1, 1.2), rate(1, 1.1, 1.2)] }
    const changes = compare(earlier, { x: [latency(2, 2.2, 2.4), rate(1, 1.1, 1.2)] })
    const lines = changeLines({ machine, results: earlier }, changes)
    assert.match(lines.at(-2)!, /^p50 +1\.1 +2\.2 +\+100 % +WORSE$/)
    assert.match(lines.at(-1)!, /^rate +1\.1 +1\.1 +\+0 %$/)
  })
})

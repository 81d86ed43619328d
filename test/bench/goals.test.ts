import { assert, describe, it } from "@effect/vitest"
import { lonelyRow, row } from "./figures.ts"
import { goals, judge, quickScenarios, verdictLines } from "./goals.ts"
import { scenarios } from "./scenarios/index.ts"

const verdictOf = (what: string, results: Parameters<typeof judge>[0]) =>
  judge(results).find((verdict) => verdict.what === what)

const ofRate = "requests a second / plain loop"

const rate = (ratio: number) => ({
  throughput: [row("requests a second", { project: [ratio], plain: [1] }, (value) => value)]
})

const ofStart = "start of bstar -p until its port is open, ms"

const start = (millis: number) => ({ startup: [lonelyRow("from start to open port, ms", [millis])] })

describe("the goals", () => {
  it("a ratio meets a lower limit", () => {
    assert.strictEqual(verdictOf(ofRate, rate(1.5))?.verdict, "met")
    assert.strictEqual(verdictOf(ofRate, rate(1.49))?.verdict, "missed")
  })

  it("a figure meets an upper limit", () => {
    assert.strictEqual(verdictOf(ofStart, start(150))?.verdict, "met")
    assert.strictEqual(verdictOf(ofStart, start(151))?.verdict, "missed")
  })

  it("a figure that is absent is not measured, and its line shows the command that measures it", () => {
    assert.strictEqual(verdictOf(ofStart, start(NaN))?.verdict, "not measured here")
    const line = verdictLines(judge({})).find((line) => line.startsWith(ofStart))
    assert.match(line!, /at most 150 +not measured here \(npm run bench -- startup\)$/)
  })

  it("each names a scenario that exists", () => {
    const names = goals.flatMap(({ figure }) => figure === undefined ? [] : [figure.scenario])
    assert.includeMembers(Object.keys(scenarios), names)
    assert.includeMembers(Object.keys(scenarios), [...quickScenarios])
  })
})

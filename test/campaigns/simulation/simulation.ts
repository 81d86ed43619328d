import { assert, it } from "@effect/vitest"
import type { PolicyName } from "../../../src/protocol/Policies.ts"
import { type Regime, type Report, run } from "../../../src/verify/simulation/Simulation.ts"

/** Together with the other regime, a thousand runs. */
export const runs = 500

export const batch = async (regime: Regime, policy: PolicyName, from: number, count: number) => {
  const reports: Array<Report> = []
  for (let seed = from; seed < from + count; seed++) {
    reports.push(await run({ seed, regime, policy }))
  }
  return reports
}

export const total = (reports: ReadonlyArray<Report>, figure: (report: Report) => number): number =>
  reports.reduce((sum, report) => sum + figure(report), 0)

export const broken = (reports: ReadonlyArray<Report>) =>
  reports.flatMap(({ regime, seed, violations }) => violations.slice(0, 1).map((first) => ({ regime, seed, ...first })))

/** What every regime must do. */
export const simulationSuite = (regime: Regime) => {
  it(`${runs} runs with the hardened policy break no promise`, async () => {
    const reports = await batch(regime, "hardened", 1, runs)
    assert.deepStrictEqual(broken(reports), [])
    // That it is about something: the pair has served, and roles have gone back and forth.
    assert.isAbove(total(reports, ({ answers }) => answers), 10 * runs)
    assert.isAbove(total(reports, ({ takeOvers }) => takeOvers), runs)
    assert.isAbove(total(reports, ({ faults }) => faults), 2 * runs)
  }, 300_000)

  it("the same seed gives the same run, and another one another", async () => {
    const [one] = await batch(regime, "hardened", 7, 1)
    const [same] = await batch(regime, "hardened", 7, 1)
    const [other] = await batch(regime, "hardened", 8, 1)
    assert.deepStrictEqual(one, same)
    assert.notStrictEqual(one!.fingerprint, other!.fingerprint)
  })

  it("sees what the classic policy does", async () => {
    const promises = (await batch(regime, "classic", 1, 20)).flatMap(({ violations }) =>
      violations.map(({ promise }) => promise)
    )
    assert.include(promises, regime === "bounded" ? "DualAnswer" : "Ended")
  }, 60_000)
}

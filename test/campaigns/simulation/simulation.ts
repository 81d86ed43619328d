import { assert, it } from "@effect/vitest"
import type { PolicyName } from "../../../src/protocol/Policies.ts"
import type { Regime, Report } from "../../../src/verify/simulation/Report.ts"
import { run } from "../../../src/verify/simulation/Simulation.ts"

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

export const violations = (reports: ReadonlyArray<Report>) =>
  reports.flatMap(({ regime, seed, violations }) => violations.slice(0, 1).map((first) => ({ regime, seed, ...first })))

/** Tests of one regime. */
export const simulationSuite = (regime: Regime) => {
  it(`simulation, ${regime}: ${runs} hardened runs violate no property`, async () => {
    const reports = await batch(regime, "hardened", 1, runs)
    assert.deepStrictEqual(violations(reports), [])
    // The runs are not trivial: the pair has served, and states have changed.
    assert.isAbove(total(reports, ({ answers }) => answers), 10 * runs)
    assert.isAbove(total(reports, ({ takeOvers }) => takeOvers), runs)
    assert.isAbove(total(reports, ({ faults }) => faults), 2 * runs)
  }, 300_000)

  it(`simulation, ${regime}: a seed determines its run`, async () => {
    const [one] = await batch(regime, "hardened", 7, 1)
    const [same] = await batch(regime, "hardened", 7, 1)
    const [other] = await batch(regime, "hardened", 8, 1)
    assert.deepStrictEqual(one, same)
    assert.notStrictEqual(one!.fingerprint, other!.fingerprint)
  })

  it(`simulation, ${regime}: classic runs violate a property`, async () => {
    const properties = (await batch(regime, "classic", 1, 20)).flatMap(({ violations }) =>
      violations.map(({ property }) => property)
    )
    assert.include(properties, regime === "bounded" ? "DualAnswer" : "Ended")
  }, 60_000)
}

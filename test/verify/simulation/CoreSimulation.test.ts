import { assert, describe, it } from "@effect/vitest"
import * as Policies from "../../../src/protocol/Policies.ts"
import type { Cell, Event, Policy, State } from "../../../src/protocol/StateMachine.ts"
import * as CoreSimulation from "../../../src/verify/simulation/CoreSimulation.ts"
import type { Regime, Report } from "../../../src/verify/simulation/Report.ts"
import { total, violations } from "../../campaigns/simulation/simulation.ts"

const batch = (regime: Regime, policy: Policy, count: number): ReadonlyArray<Report> =>
  Array.from({ length: count }, (_, i) => CoreSimulation.run({ seed: i + 1, regime, policy }))

/** The hardened policy with another cell for an event, in one state or in all. */
const withCell = (event: Event["_tag"], cell: Cell, only?: State): Policy => {
  const rows = (of: Policy[keyof Policy]) =>
    Object.fromEntries(
      Object.entries(of).map(([state, row]) => [
        state,
        only === undefined || only === state ? { ...row, [event]: cell } : row
      ])
    )
  return { primary: rows(Policies.hardened.primary), backup: rows(Policies.hardened.backup) }
}

/** The property that the first run with a violation violates, within so many seeds. */
const firstViolation = (policy: Policy, seeds: number) => {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violations: [first] } = CoreSimulation.run({ seed, regime: "bounded", policy })
    if (first !== undefined) {
      return first.property
    }
  }
  return undefined
}

describe("a pair of cores in a plain loop", () => {
  for (const [regime, runs] of [["bounded", 2000], ["wild", 500]] as const) {
    it(`${regime}: ${runs} runs with the hardened policy violate no property`, () => {
      const reports = batch(regime, Policies.hardened, runs)
      assert.deepStrictEqual(violations(reports), [])
      // The runs are not trivial: the pair has served, and states have changed.
      assert.isAbove(total(reports, ({ answers }) => answers), 10 * runs)
      assert.isAbove(total(reports, ({ takeOvers }) => takeOvers), runs)
      assert.isAbove(total(reports, ({ faults }) => faults), 2 * runs)
    })
  }

  it("wild: two answer meanwhile, which is unavoidable without a third party", () => {
    assert.isAbove(total(batch("wild", Policies.hardened, 100), ({ dual }) => dual.count), 0)
  })

  it("the same seed gives the same trace, and another seed another", () => {
    const trace = (seed: number) =>
      CoreSimulation.run({ seed, regime: "bounded", policy: Policies.hardened, keepLines: true })
    assert.deepStrictEqual(trace(7), trace(7))
    assert.notDeepEqual(trace(7).lines, trace(8).lines)
    const { fingerprint } = CoreSimulation.run({ seed: 7, regime: "bounded", policy: Policies.hardened })
    assert.strictEqual(fingerprint, trace(7).fingerprint)
  })

  it("B4: the classic policy violates a property", () => {
    assert.include(["DualAccept", "DualAnswer"], firstViolation(Policies.classic, 20))
  })

  it("H1 taken away: a primary that answers before it has received is noticed", () => {
    assert.include(
      ["DualAccept", "DualAnswer"],
      firstViolation(withCell("ClientRequest", { _tag: "Stay" }, "PRIMARY"), 50)
    )
  })

  it("H4 taken away: a member that goes on after a stall is noticed", () => {
    assert.include(["DualAccept", "DualAnswer"], firstViolation(withCell("Stalled", { _tag: "Stay" }), 1000))
  })

  it("H10 taken away: a member to which a connection that is being made is silence is noticed", () => {
    assert.include(["DualAccept", "DualAnswer"], firstViolation(withCell("LinkConnecting", { _tag: "Note" }), 5000))
  })
})

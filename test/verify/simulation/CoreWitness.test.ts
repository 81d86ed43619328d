import { assert, describe, it } from "@effect/vitest"
import * as Core from "../../../src/member/Member.ts"
import type * as Rights from "../../../src/protocol/Rights.ts"
import * as CoreWitness from "../../../src/verify/simulation/CoreWitness.ts"

const runs = 1000

const batch = (core?: CoreWitness.Options["core"]): ReadonlyArray<CoreWitness.Report> =>
  Array.from({ length: runs }, (_, i) => CoreWitness.run({ seed: i + 1, core }))

/** The core without a rule: its rights are changed before each step. */
const without = (change: (rights: Rights.Rights) => Rights.Rights): NonNullable<CoreWitness.Options["core"]> => ({
  start: Core.start,
  step: (rules, member, inputs, now) =>
    Core.step(rules, { ...member, rights: member.rights && change(member.rights) }, inputs, now)
})

const firstViolation = (core: CoreWitness.Options["core"]) => {
  for (let seed = 1; seed <= runs; seed++) {
    const { violation } = CoreWitness.run({ seed, core })
    if (violation !== undefined) {
      return violation.property
    }
  }
  return undefined
}

const total = (
  reports: ReadonlyArray<CoreWitness.Report>,
  key: "answers" | "takeOvers" | "faults"
): number => reports.reduce((sum, report) => sum + report[key], 0)

describe("a pair of cores with a witness, whatever is cut, late or lost", () => {
  it(`${runs} runs violate no property`, () => {
    const reports = batch()
    assert.deepStrictEqual(reports.filter(({ violation }) => violation !== undefined).map(({ seed }) => seed), [])
    // The runs are not trivial: the pair has served, and terms have begun.
    assert.isAbove(total(reports, "answers"), 50 * runs)
    assert.isAbove(total(reports, "takeOvers"), 2 * runs)
    assert.isAbove(total(reports, "faults"), 2 * runs)
  })

  it("the same seed gives the same trace, and another seed another", () => {
    const trace = (seed: number) => CoreWitness.run({ seed, keepLines: true })
    assert.deepStrictEqual(trace(7), trace(7))
    assert.notDeepEqual(trace(7).lines, trace(8).lines)
  })

  it("R2 taken away: a member without a guard is noticed", () => {
    const property = firstViolation(without((rights) => ({ ...rights, guardUntil: Number.NEGATIVE_INFINITY })))
    assert.strictEqual(property, "DualAccept")
  })

  it("R3 taken away: a member that has not seen the record unchanged is noticed", () => {
    const property = firstViolation(without((rights) =>
      rights.observed === undefined
        ? rights
        : { ...rights, observed: { ...rights.observed, since: Number.NEGATIVE_INFINITY } }
    ))
    assert.strictEqual(property, "DualAccept")
  })
})

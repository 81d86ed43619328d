import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { Rules } from "../../src/member/Member.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"
import { actions, Rig } from "./rig.ts"
import { makeRules } from "./rules.ts"

const numRuns = Number(process.env.BSTAR_RUNS ?? 100)

/** What a member still has to complete after everything is settled. */
const openCommands = ({ member }: Rig): ReadonlyArray<number> => [
  ...(member.promotion === undefined ? [] : [member.promotion.id]),
  ...("handOver" in member.phase && member.phase.handOver !== undefined ? [member.phase.handOver.id] : [])
]

const checkCommands = (rig: Rig): void => {
  const open = openCommands(rig)
  for (let id = 1; id <= rig.lastId; id++) {
    assert.strictEqual(rig.completed.has(id), !open.includes(id), `command ${id}`)
  }
  const { lastPause } = rig
  assert.strictEqual(rig.member.paused?.reason, lastPause?._tag === "Pause" ? lastPause.reason : undefined)
}

const policies: ReadonlyArray<Partial<Rules>> = [
  {},
  { role: "backup" },
  { role: "backup", lone: "serve", isSelfVoting: true, maxFailovers: 1 },
  { role: "primary", isSelfVoting: true, maxFailovers: 2, drainMillis: 0 },
  { policy: Policies.classic },
  { role: "backup", policy: Policies.classic }
]

const nameOf = ({ isSelfVoting, lone, policy, role }: Rules): string =>
  `${role}, ${policy === Policies.classic ? "classic" : "hardened"}${isSelfVoting ? ", self-voting" : ""}, lone ${lone}`

const everything = [
  ...StateMachine.states,
  ...["Serving", "Draining", "EndingTerm", "Stopped"],
  ...["Publish", "ReadLink", "ResetLink", "BeginTerm", "EndTerm", "EndTerm, silent", "Transitioned", "FailedOver"],
  ...["Conflict", "WakeAt", "Complete", "Log", "Abort", "Exit"]
]

describe("Member.step keeps its invariants for every input", () => {
  for (const part of policies) {
    const rules = makeRules(part)
    for (const stops of [0, 1]) {
      it.prop(
        `${nameOf(rules)}, ${stops === 0 ? "serving" : "stopped"}`,
        { script: actions(stops) },
        ({ script }) => {
          const rig = new Rig(rules)
          script.forEach((action) => rig.run(action))
          rig.settle()
          if (!rig.isOver) {
            checkCommands(rig)
          }
        },
        { fastCheck: { numRuns } }
      )
    }
  }
})

it("random inputs reach every state, phase and output", () => {
  const seen = new Set<string>()
  for (const script of FastCheck.sample(actions(1), { seed: 1, numRuns: 150 })) {
    for (const part of policies) {
      const rig = new Rig(makeRules(part))
      script.forEach((action) => rig.run(action))
      rig.seen.forEach((one) => seen.add(one))
    }
  }
  assert.deepStrictEqual(everything.filter((one) => !seen.has(one)), [])
})

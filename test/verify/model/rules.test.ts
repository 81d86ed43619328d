/** Each rule is necessary: without it a property is violated. */
import { assert, describe, it } from "@effect/vitest"
import * as Core from "../../../src/member/Member.ts"
import * as Policies from "../../../src/protocol/Policies.ts"
import type * as StateMachine from "../../../src/protocol/StateMachine.ts"
import type * as Model from "../../../src/verify/model/Model.ts"
import { atOnce, hardened, violates, violations, yieldAfterEach } from "./explorations.ts"

yieldAfterEach()

describe("a rule of the policy that is taken away is noticed", () => {
  const change = (
    role: StateMachine.Role,
    cells: { readonly [S in StateMachine.State]?: { readonly [E in StateMachine.Event["_tag"]]?: StateMachine.Cell } }
  ): StateMachine.Policy => ({
    ...Policies.hardened,
    [role]: Object.fromEntries(
      Object.entries(Policies.hardened[role]).map((
        [state, row]
      ) => [state, { ...row, ...cells[state as StateMachine.State] }])
    )
  })
  const stay: StateMachine.Cell = { _tag: "Stay" }
  const reject: StateMachine.Cell = { _tag: "Reject" }
  const note: StateMachine.Cell = { _tag: "Note" }

  it("H1: a primary that answers before it has received", () => {
    const policy = change("primary", { PRIMARY: { ClientRequest: stay } })
    assert.isTrue(violates({ policy, kills: 1 }, "dual-answer"))
  })

  it("H2: a backup that stays active beside an active primary", () => {
    const policy = change("backup", { ACTIVE: { PeerActive: stay } })
    assert.isTrue(violates({ policy, cuts: 1, ...atOnce }, "dual-answer"))
  })

  it("H3: a primary that stays passive beside a passive backup", () => {
    const policy = change("primary", { PASSIVE: { PeerPassive: stay } })
    assert.isTrue(violates({ policy, kills: 1, cuts: 1, ...atOnce }, "both-passive"))
  })

  it("H4: a process that goes on as if it had not stalled", () => {
    const unnoticed = { ACTIVE: { Stalled: stay } }
    assert.isTrue(violates({ policy: change("primary", unnoticed), pauses: 1 }, "dual-answer"))
    assert.isTrue(violates({ policy: change("backup", unnoticed), kills: 1, pauses: 1, ...atOnce }, "dual-answer"))
  })

  it("H4: an active server without a peer that keeps its term after its peer could have become active", () => {
    const budgets = hardened({ kills: 2, pauses: 1, ...atOnce })
    // A stall of any length counts as one of two heartbeats.
    const core: Model.Options["core"] = {
      start: Core.start,
      step: (rules, member, inputs, now) => {
        const stalledAt = Math.max(member.lastHeartbeatAt, now - rules.peerTimeoutMillis)
        return Core.step(rules, { ...member, lastHeartbeatAt: stalledAt }, inputs, now)
      }
    }
    assert.isTrue(violates({ ...budgets, core }, "stale-term"))
    assert.deepStrictEqual(violations(budgets), {})
  })

  it("H4: an active server that keeps its term without proof that it has no peer", () => {
    const keep = (role: StateMachine.Role): StateMachine.Policy => {
      const cell = Policies.hardened[role].ACTIVE!.Stalled
      assert(cell._tag === "KeepIfAlone")
      return change(role, { ACTIVE: { Stalled: { ...cell, otherwise: stay } } })
    }
    assert.isTrue(violates({ policy: keep("primary"), evidence: true, pauses: 1 }, "dual-answer"))
    assert.isTrue(violates({ policy: keep("backup"), evidence: true, kills: 1, pauses: 1, ...atOnce }, "dual-answer"))
  })

  it("H4: a backup that restarts as if it had never been paired", () => {
    const policy: StateMachine.Policy = {
      ...Policies.hardened,
      backup: { ...Policies.hardened.backup, REJOINING: Policies.hardened.backup.BACKUP! }
    }
    assert.isTrue(violates({ policy, pauses: 1 }, "no-answer"))
  })

  it("H8: a lone backup that is active as soon as it is promoted", () => {
    const policy = change("backup", { BACKUP: { Promote: { _tag: "TakeOver", message: "" } } })
    assert.isTrue(violates({ policy, evidence: true, handovers: 1 }, "dual-answer"))
  })

  it("H8: a backup that takes over from a primary that has just started", () => {
    const policy = change("backup", { PASSIVE: { PeerPrimary: Policies.classic.backup.PASSIVE!.PeerPrimary } })
    assert.isTrue(violates({ policy, evidence: true, kills: 1 }, "dual-answer"))
    assert.isTrue(violates({ policy, evidence: true, stops: 1 }, "dual-answer"))
  })

  it("H9: a server that has handed over and trusts an old state, or takes over, too soon", () => {
    const again: StateMachine.Cell = { _tag: "RestartIfExpired", state: "PRIMARY", publish: "PRIMARY", message: "" }
    const old = change("primary", { HANDING_OVER: { ClientRequest: again, Promote: again } })
    const early = change("primary", { REJOINING: { ClientRequest: { _tag: "TakeOver", message: "" } } })
    assert.isTrue(violates({ policy: old, evidence: true, kills: 1, handovers: 1, ...atOnce }, "dual-answer"))
    assert.isTrue(violates({ policy: early, evidence: true, pauses: 1, handovers: 1 }, "dual-answer"))
  })

  it("H10: a server to which a connection that is being made is silence", () => {
    const unawaited = { LinkConnecting: note, LinkConnected: note }
    const primary = change("primary", { PRIMARY: unawaited })
    for (const budgets of [{ kills: 1 }, { stops: 1 }, { handovers: 1 }]) {
      assert.isTrue(violates({ policy: primary, evidence: true, ...budgets }, "dual-answer"), JSON.stringify(budgets))
    }
    for (const state of ["PASSIVE", "REJOINING"] as const) {
      const policy = change("backup", { [state]: unawaited })
      assert.isTrue(violates({ policy, evidence: true, kills: 1 }, "dual-answer"), state)
    }
  })

  it("H11: a contested backup that answers, or that waits for ever", () => {
    const answers = change("backup", { CONTESTED: { ClientRequest: stay } })
    assert.isTrue(violates({ policy: answers, cuts: 1, ...atOnce }, "dual-answer"))
    const waits = change("backup", { CONTESTED: { ClientRequest: reject, Promote: reject } })
    assert.isTrue(violates({ policy: waits, kills: 1, cuts: 1, ...atOnce }, "no-answer"))
  })

  it("H12: a backup that rejects for ever although it has received from its primary", () => {
    const policy = change("backup", { BACKUP: { ClientRequest: reject, Promote: reject } })
    for (const budgets of [{ kills: 1 }, { stops: 1 }, { pauses: 1 }]) {
      assert.isTrue(violates({ policy, evidence: true, ...budgets }, "no-answer"), JSON.stringify(budgets))
    }
  })

  it("H12: a lone backup that is active at once, without giving a primary the time to be", () => {
    const takeOver: StateMachine.Cell = { _tag: "TakeOver", message: "" }
    const promoted = change("backup", { BACKUP: { ClientRequest: takeOver } })
    assert.isTrue(violates({ policy: promoted }, "dual-answer"))
    const served = change("backup", { BACKUP: { ClientRequest: { _tag: "ServeAlone", cell: takeOver } } })
    assert.isTrue(
      violates({ policy: served, evidence: true, lone: "serve", stops: 1, kills: 1, ...atOnce }, "dual-answer")
    )
  })
})

describe("a rule of the core that is taken away is noticed", () => {
  it("H6: a vote that is judged before messages that have arrived", () => {
    assert.isTrue(violates({ ...hardened({ pauses: 1 }), readsLink: false }, "dual-answer"))
  })

  it("H4: a member to which its peer is silent although it has just stalled briefly itself", () => {
    const core: Model.Options["core"] = {
      start: Core.start,
      step: (rules, member, inputs, now) => {
        const isBrief = !Core.isStalled(rules, member, now) && !inputs.some(({ _tag }) => _tag === "HeartbeatDue")
        const forgotten = { ...member, briefStallAt: Number.NEGATIVE_INFINITY, lastHeartbeatAt: now }
        return Core.step(rules, isBrief ? forgotten : member, inputs, now)
      }
    }
    assert.isTrue(violates({ ...hardened({ pauses: 1 }), core }, "dual-answer"))
  })

  it("H13: a member that takes what was handed over although it has reported another state since", () => {
    const core: Model.Options["core"] = {
      start: Core.start,
      step: (rules, member, inputs, now) => {
        const sent = member.dialogue.sent.map((heartbeat) => ({ ...heartbeat, state: "PASSIVE" as const }))
        return Core.step(rules, { ...member, dialogue: { ...member.dialogue, sent } }, inputs, now)
      }
    }
    assert.isTrue(violates({ ...hardened({ stops: 1, ...atOnce }), core }, "dual-answer"))
    assert.deepStrictEqual(violations(hardened({ stops: 1, ...atOnce })), {})
  })

  it("H13: a member that hands over before its term has ended", () => {
    const core: Model.Options["core"] = {
      start: Core.start,
      step: (rules, member, inputs, now) => {
        const result = Core.step(rules, member, inputs, now)
        const handsOver = result.member.phase._tag === "Draining"
        return {
          ...result,
          outputs: result.outputs.map((output) =>
            output._tag === "Publish" && handsOver
              ? { ...output, heartbeat: { ...output.heartbeat, handsOver } }
              : output
          )
        }
      }
    }
    assert.isTrue(violates({ ...hardened({ handovers: 1, ...atOnce }), core }, "dual-answer"))
    assert.deepStrictEqual(violations(hardened({ handovers: 1, ...atOnce })), {})
  })

  it("H4: a member that never notices its stalls", () => {
    const core: Model.Options["core"] = {
      start: Core.start,
      step: (rules, member, inputs, now) =>
        Core.step(rules, { ...member, lastHeartbeatAt: Math.max(member.lastHeartbeatAt, now - 1000) }, inputs, now)
    }
    assert.isTrue(violates({ ...hardened({ pauses: 1 }), core }, "dual-answer"))
  })
})

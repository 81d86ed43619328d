import { assert, describe, it } from "@effect/vitest"
import * as Fsm from "../../src/Fsm.ts"
import { explore, type Result } from "../../src/verify/explore.ts"
import * as Model from "../../src/verify/Model.ts"
import * as Packing from "../../src/verify/packing.ts"
import * as Story from "../../src/verify/story.ts"

const exhaust = (options: Model.Options): { readonly model: Model.Model; readonly result: Result } => {
  const model = Model.make(options)
  const exploration = explore(model)
  while (true) {
    const { done, value } = exploration.next()
    if (done === true) {
      return { model, result: value }
    }
  }
}

/** What is found, and after how many ticks. */
const found = (options: Model.Options): { readonly [P in Model.Property["name"]]?: number } =>
  Object.fromEntries(exhaust(options).result.violations.map(({ property, ticks }) => [property.name, ticks]))

const classic = (budgets: Omit<Model.Options, "policy">) => ({ ...budgets, policy: Fsm.classic })
const hardened = (budgets: Omit<Model.Options, "policy">) => ({ ...budgets, policy: Fsm.hardened, evidence: true })

describe("classic", () => {
  it("is safe as long as nothing happens", () => {
    assert.deepStrictEqual(found(classic({})), {})
  })

  it("answers twice when the primary is restarted quickly", () => {
    assert.deepStrictEqual(found(classic({ kills: 1 })), { "dual-answer": 4 })
    assert.deepStrictEqual(found(classic({ stops: 1 })), { "dual-answer": 4 })
    assert.deepStrictEqual(found(classic({ kills: 3 })), { "dual-answer": 4 })
  })

  it("answers twice and ends when a process stands still", () => {
    assert.deepStrictEqual(found(classic({ pauses: 1 })), { "dual-answer": 7, abort: 10 })
  })

  it("ends when a cut link heals", () => {
    assert.deepStrictEqual(found(classic({ cuts: 1 })), { "dual-answer-under-cut": 7, abort: 7 })
  })
})

describe("hardened", () => {
  it("breaks no promise after kills, stops and pauses", () => {
    assert.deepStrictEqual(found(hardened({})), {})
    assert.deepStrictEqual(found(hardened({ kills: 2 })), {})
    assert.deepStrictEqual(found(hardened({ kills: 1, stops: 1, pauses: 1 })), {})
    assert.deepStrictEqual(found({ ...hardened({ kills: 1, stops: 1, pauses: 1 }), evidence: false }), {})
  })

  it("breaks no promise when an operator hands over and promotes", () => {
    assert.deepStrictEqual(found(hardened({ handovers: 1 })), {})
    assert.deepStrictEqual(found(hardened({ handovers: 1, kills: 1, stops: 1 })), {})
    assert.deepStrictEqual(found(hardened({ handovers: 1, pauses: 1 })), {})
    assert.deepStrictEqual(found({ ...hardened({ handovers: 1, pauses: 1 }), evidence: false }), {})
  })

  it("answers twice only while the link is cut, and heals", () => {
    assert.deepStrictEqual(found(hardened({ kills: 1, cuts: 1 })), { "dual-answer-under-cut": 7 })
    assert.deepStrictEqual(found(hardened({ pauses: 1, cuts: 1 })), { "dual-answer-under-cut": 7 })
  })

  it("needs words to arrive within half a heartbeat", () => {
    assert.deepStrictEqual(found(hardened({ pauses: 1, delay: 0 })), {})
    assert.deepStrictEqual(found(hardened({ pauses: 1, delay: 2 })), { "dual-answer": 7 })
  })
})

describe("a broken rule is seen", () => {
  const change = (
    role: Fsm.Role,
    cells: { readonly [S in Fsm.State]?: { readonly [E in Fsm.Event["_tag"]]?: Fsm.Cell } }
  ): Fsm.Policy => ({
    ...Fsm.hardened,
    [role]: Object.fromEntries(
      Object.entries(Fsm.hardened[role]).map(([state, row]) => [state, { ...row, ...cells[state as Fsm.State] }])
    )
  })
  const stay: Fsm.Cell = { _tag: "Stay" }

  it("H1: a primary that answers before it knows", () => {
    const policy = change("primary", { PRIMARY: { ClientRequest: stay } })
    assert.deepStrictEqual(found({ policy, kills: 1 }), { "dual-answer": 7 })
  })

  it("H2: a backup that stays active beside an active primary", () => {
    const policy = change("backup", { ACTIVE: { PeerActive: stay } })
    assert.property(found({ policy, cuts: 1 }), "dual-answer")
  })

  it("H3: a primary that stays passive beside a passive backup", () => {
    const policy = change("primary", { PASSIVE: { PeerPassive: stay } })
    assert.property(found({ policy, kills: 1, pauses: 1, cuts: 1 }), "both-passive")
  })

  it("H4: a process that goes on as if it had not stood still", () => {
    for (const role of Model.roles) {
      const policy = change(role, { ACTIVE: { Slept: stay } })
      assert.property(found({ policy, kills: 1, pauses: 1 }), "dual-answer", role)
    }
  })

  it("H4: a backup that starts over as if it had never been paired", () => {
    const policy: Fsm.Policy = {
      ...Fsm.hardened,
      backup: { ...Fsm.hardened.backup, RESUMING: Fsm.hardened.backup.BACKUP! }
    }
    assert.property(found({ policy, kills: 1, pauses: 1 }), "no-answer")
  })

  it("H8: a lone backup that is active as soon as it is promoted", () => {
    const policy = change("backup", { BACKUP: { Promote: { _tag: "TakeOver", say: "" } } })
    assert.property(found({ policy, evidence: true, handovers: 1 }), "dual-answer")
  })

  it("H9: a server that has handed over and believes an old word, or takes its peer for gone, too soon", () => {
    const again: Fsm.Cell = { _tag: "GiveUp", state: "PRIMARY", publish: "PRIMARY", say: "" }
    const policies = [
      change("primary", { YIELDING: { ClientRequest: again, Promote: again } }),
      change("primary", { RESUMING: { ClientRequest: { _tag: "TakeOver", say: "" } } })
    ]
    for (const policy of policies) {
      assert.property(found({ policy, evidence: true, pauses: 1, handovers: 1 }), "dual-answer")
    }
  })

  it("a lone backup that promotes itself", () => {
    const policy = change("backup", { BACKUP: { ClientRequest: { _tag: "TakeOver", say: "" } } })
    assert.property(found({ policy }), "dual-answer")
  })

  it("a backup that takes over from a primary that just starts", () => {
    const policy = change("backup", { PASSIVE: { PeerPrimary: Fsm.classic.backup.PASSIVE!.PeerPrimary } })
    assert.property(found({ policy, evidence: true, kills: 1 }), "dual-answer")
    assert.property(found({ policy, evidence: true, stops: 1 }), "dual-answer")
  })
})

describe("traces", () => {
  const cases = [
    classic({ kills: 1 }),
    classic({ pauses: 1 }),
    classic({ cuts: 1 }),
    hardened({ cuts: 1 })
  ]

  it("lead to what they are said to lead to, and to nothing wrong before", () => {
    for (const options of cases) {
      const { model, result } = exhaust(options)
      assert.isNotEmpty(result.violations)
      for (const { property, ticks, trace } of result.violations) {
        let world = model.initial
        for (const move of trace) {
          assert.isFalse(property.isViolated(model, world))
          world = model.after(world, move) ?? assert.fail(`${move._tag} is not possible`)
        }
        assert.isTrue(property.isViolated(model, world))
        assert.strictEqual(trace.filter(({ _tag }) => _tag === "Tick").length, ticks)
      }
    }
  })

  it("survive being packed", () => {
    for (const options of cases) {
      const { model, result } = exhaust(options)
      const packing = Packing.make()
      const packed = new Uint32Array(Packing.length)
      for (const { trace } of result.violations) {
        trace.reduce((world, move) => {
          const after = model.after(world, move)!
          packing.pack(after, packed)
          assert.deepStrictEqual(packing.unpack(packed, 0), after)
          return after
        }, model.initial)
      }
    }
  })

  it("are told", () => {
    const { model, result } = exhaust(classic({ kills: 1 }))
    const lines = Story.tell(model, result.violations[0]!).map(({ tick, what, who }) => `${tick} ${who} ${what}`)
    assert.deepStrictEqual(lines, [
      "0 primary starts as PRIMARY",
      "0 backup starts as BACKUP",
      "2 backup says BACKUP",
      `2 primary hears BACKUP, is ACTIVE: "connected to backup (passive), ready as active"`,
      "2 primary says ACTIVE",
      `2 backup hears ACTIVE, is PASSIVE: "connected to primary (active), ready as passive"`,
      "2 primary dies",
      "2 primary starts as PRIMARY",
      "4 primary says PRIMARY",
      `4 backup hears PRIMARY, is ACTIVE: "primary (passive) is restarting, ready as active"`,
      "4 primary answers a client",
      "4 backup answers a client"
    ])
  })
})

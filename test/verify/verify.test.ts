import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Core from "../../src/member/Member.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import type * as StateMachine from "../../src/protocol/StateMachine.ts"
import { explore, type Progress } from "../../src/verify/model/Explore.ts"
import * as Model from "../../src/verify/model/Model.ts"
import * as Packing from "../../src/verify/model/packing.ts"
import * as Story from "../../src/verify/model/Trace.ts"

const exhaust = (options: Model.Options): { readonly model: Model.Model; readonly result: Progress } => {
  const model = Model.make(options)
  const exploration = explore(model)
  while (true) {
    const { done, value } = exploration.next()
    if (done === true) {
      return { model, result: value }
    }
  }
}

// Explorations hold the event loop, and vitest gives up on a worker that does not answer for a minute.
afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)))

type Name = Model.Property["name"]

/** What is found, and after how many ticks. */
const found = (options: Model.Options): { readonly [P in Name]?: number } =>
  Object.fromEntries(exhaust(options).result.violations.map(({ property, ticks }) => [property.name, ticks]))

/** Explores until one of the properties is found broken. */
const finds = (options: Model.Options, ...names: ReadonlyArray<Name>): boolean => {
  const exploration = explore(Model.make(options), 1000)
  while (true) {
    const { done, value } = exploration.next()
    const isFound = value.violations.some(({ property }) => names.includes(property.name))
    if (isFound || done === true) {
      return isFound
    }
  }
}

/** A world in which connections and heartbeats take no time, where that makes no difference, is smaller. */
const atOnce = { handshake: 0, delay: 0 }

const classic = (budgets: Omit<Model.Options, "policy">) => ({ ...budgets, policy: Policies.classic })
const hardened = (budgets: Omit<Model.Options, "policy">) => ({ ...budgets, policy: Policies.hardened, evidence: true })

describe("classic", () => {
  it("is safe as long as nothing happens", () => {
    assert.deepStrictEqual(found(classic({})), {})
  })

  it("answers twice when the primary is restarted quickly, and leaves a lone backup silent", () => {
    assert.deepStrictEqual(found(classic({ kills: 1 })), { "dual-answer": 0, "no-answer": 25 })
    assert.deepStrictEqual(found(classic({ stops: 1 })), { "dual-answer": 0, "no-answer": 25 })
    assert.deepStrictEqual(found(classic({ kills: 3 })), { "dual-answer": 0, abort: 0, "no-answer": 25 })
  })

  it("answers twice and ends when a process stands still", () => {
    assert.deepStrictEqual(found(classic({ pauses: 1 })), { "dual-answer": 5, abort: 7, "no-answer": 25 })
  })

  it("ends when a cut link heals", () => {
    assert.deepStrictEqual(found(classic({ cuts: 1 })), { "dual-answer-under-cut": 5, abort: 5 })
  })
})

describe("hardened", () => {
  it("breaks no promise after kills, stops and pauses", () => {
    assert.deepStrictEqual(found(hardened({})), {})
    assert.deepStrictEqual(found(hardened({ kills: 2 })), {})
    assert.deepStrictEqual(found(hardened({ kills: 1, stops: 1 })), {})
    assert.deepStrictEqual(found(hardened({ kills: 1, pauses: 1 })), {})
    assert.deepStrictEqual(found({ ...hardened({ kills: 1, stops: 1 }), evidence: false }), {})
    assert.deepStrictEqual(found({ ...hardened({ pauses: 1 }), evidence: false }), {})
  })

  it("breaks no promise when an operator hands over and promotes", () => {
    assert.deepStrictEqual(found(hardened({ handovers: 1 })), {})
    assert.deepStrictEqual(found(hardened({ handovers: 2, ...atOnce })), {})
    assert.deepStrictEqual(found(hardened({ handovers: 1, kills: 1, ...atOnce })), {})
    assert.deepStrictEqual(found(hardened({ handovers: 1, pauses: 1, ...atOnce })), {})
    assert.deepStrictEqual(found({ ...hardened({ handovers: 1 }), evidence: false }), {})
  })

  it("answers from one member where failovers are limited", () => {
    assert.deepStrictEqual(found(hardened({ kills: 2, maxFailovers: 1 })), {})
    assert.deepStrictEqual(found(hardened({ kills: 1, pauses: 1, maxFailovers: 1, ...atOnce })), {})
  })

  it("breaks no promise where a lone backup serves", () => {
    assert.deepStrictEqual(found(hardened({ lone: "serve", kills: 1 })), {})
    assert.deepStrictEqual(found(hardened({ lone: "serve", pauses: 1 })), {})
  })

  it("breaks no promise however long handshakes take", () => {
    for (const handshake of [0, 1, 3]) {
      assert.deepStrictEqual(found(hardened({ kills: 1, handshake })), {})
    }
    assert.throws(() => Model.make(hardened({ handshake: Model.maxHandshake + 1 })), RangeError)
  })

  it("answers twice only while the link is cut, and heals", () => {
    assert.deepStrictEqual(found(hardened({ kills: 1, cuts: 1, ...atOnce })), { "dual-answer-under-cut": 5 })
    assert.deepStrictEqual(found(hardened({ cuts: 1 })), { "dual-answer-under-cut": 5 })
  })

  it("needs heartbeats to arrive within half a heartbeat", () => {
    assert.deepStrictEqual(found(hardened({ pauses: 1, delay: 0 })), {})
    assert.isTrue(finds(hardened({ pauses: 1, delay: 2 }), "dual-answer"))
  })

  it("says for how long nobody may answer, and what is excepted", () => {
    const sentences = (options: Model.Options) => {
      const model = Model.make(options)
      return Model.properties.flatMap(({ exception, sentence }) => [sentence(model), exception ?? ""]).join("; ")
    }
    assert.include(sentences(hardened({})), "the link is whole, yet for longer than 4 heartbeats neither would answer")
    assert.include(sentences(hardened({})), "for longer than 12 heartbeats it does not answer")
    assert.include(sentences(hardened({ handovers: 1 })), "for longer than 18 heartbeats it does not answer")
    assert.include(sentences(hardened({})), "a backup that has received nothing from its primary since it started")
  })
})

describe("an exploration", () => {
  it("leaves out worlds that were found with larger budgets, and nothing else", () => {
    for (const options of [classic({ kills: 1 }), classic({ pauses: 1 }), hardened({ kills: 1, ...atOnce })]) {
      const { model, result } = exhaust(options)
      const packing = Packing.make()
      const packed = new Uint32Array(Packing.length)
      const keyOf = (world: Model.World) => {
        packing.pack(world, packed)
        return packed.join()
      }
      const seen = new Map([[keyOf(model.initial), model.initial]])
      const broken = new Set<string>()
      for (const world of seen.values()) {
        const violated = Model.properties.filter(({ isViolated }) => isViolated(model, world))
        violated.forEach(({ name }) => broken.add(name))
        if (!violated.every(({ isInformative }) => isInformative)) {
          continue
        }
        for (const move of [...Model.moves, Model.tick]) {
          const after = model.after(world, move)
          if (after !== undefined && !seen.has(keyOf(after))) {
            seen.set(keyOf(after), after)
          }
        }
      }
      assert.isAtMost(result.states, seen.size)
      assert.deepStrictEqual(new Set(result.violations.map(({ property }) => property.name as string)), broken)
    }
  })
})

describe("a broken rule is seen", () => {
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
  const refuse: StateMachine.Cell = { _tag: "Reject" }
  const note: StateMachine.Cell = { _tag: "Note" }

  it("H1: a primary that answers before it knows", () => {
    const policy = change("primary", { PRIMARY: { ClientRequest: stay } })
    assert.isTrue(finds({ policy, kills: 1 }, "dual-answer"))
  })

  it("H2: a backup that stays active beside an active primary", () => {
    const policy = change("backup", { ACTIVE: { PeerActive: stay } })
    assert.isTrue(finds({ policy, cuts: 1, ...atOnce }, "dual-answer"))
  })

  it("H3: a primary that stays passive beside a passive backup", () => {
    const policy = change("primary", { PASSIVE: { PeerPassive: stay } })
    assert.isTrue(finds({ policy, kills: 1, cuts: 1, ...atOnce }, "both-passive"))
  })

  it("H4: a process that goes on as if it had not stood still", () => {
    const slept = { ACTIVE: { Stalled: stay } }
    assert.isTrue(finds({ policy: change("primary", slept), pauses: 1 }, "dual-answer"))
    assert.isTrue(finds({ policy: change("backup", slept), kills: 1, pauses: 1, ...atOnce }, "dual-answer"))
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
    assert.isTrue(finds({ ...budgets, core }, "stale-term"))
    assert.deepStrictEqual(found(budgets), {})
  })

  it("H4: an active server that keeps its term without proof that it has no peer", () => {
    const keep = (role: StateMachine.Role): StateMachine.Policy => {
      const cell = Policies.hardened[role].ACTIVE!.Stalled
      assert(cell._tag === "KeepIfAlone")
      return change(role, { ACTIVE: { Stalled: { ...cell, otherwise: stay } } })
    }
    assert.isTrue(finds({ policy: keep("primary"), evidence: true, pauses: 1 }, "dual-answer"))
    assert.isTrue(finds({ policy: keep("backup"), evidence: true, kills: 1, pauses: 1, ...atOnce }, "dual-answer"))
  })

  it("H4: a backup that starts over as if it had never been paired", () => {
    const policy: StateMachine.Policy = {
      ...Policies.hardened,
      backup: { ...Policies.hardened.backup, REJOINING: Policies.hardened.backup.BACKUP! }
    }
    assert.isTrue(finds({ policy, pauses: 1 }, "no-answer"))
  })

  it("H8: a lone backup that is active as soon as it is promoted", () => {
    const policy = change("backup", { BACKUP: { Promote: { _tag: "TakeOver", message: "" } } })
    assert.isTrue(finds({ policy, evidence: true, handovers: 1 }, "dual-answer"))
  })

  it("H8: a backup that takes over from a primary that just starts", () => {
    const policy = change("backup", { PASSIVE: { PeerPrimary: Policies.classic.backup.PASSIVE!.PeerPrimary } })
    assert.isTrue(finds({ policy, evidence: true, kills: 1 }, "dual-answer"))
    assert.isTrue(finds({ policy, evidence: true, stops: 1 }, "dual-answer"))
  })

  it("H9: a server that has handed over and believes an old state, or takes its peer for gone, too soon", () => {
    const again: StateMachine.Cell = { _tag: "RestartIfExpired", state: "PRIMARY", publish: "PRIMARY", message: "" }
    const old = change("primary", { HANDING_OVER: { ClientRequest: again, Promote: again } })
    const gone = change("primary", { REJOINING: { ClientRequest: { _tag: "TakeOver", message: "" } } })
    assert.isTrue(finds({ policy: old, evidence: true, kills: 1, handovers: 1, ...atOnce }, "dual-answer"))
    assert.isTrue(finds({ policy: gone, evidence: true, pauses: 1, handovers: 1 }, "dual-answer"))
  })

  it("H10: a server that takes a connection that is being made for silence", () => {
    const unawaited = { LinkConnecting: note, LinkConnected: note }
    const primary = change("primary", { PRIMARY: unawaited })
    for (const budgets of [{ kills: 1 }, { stops: 1 }, { handovers: 1 }]) {
      assert.isTrue(finds({ policy: primary, evidence: true, ...budgets }, "dual-answer"), JSON.stringify(budgets))
    }
    for (const state of ["PASSIVE", "REJOINING"] as const) {
      const policy = change("backup", { [state]: unawaited })
      assert.isTrue(finds({ policy, evidence: true, kills: 1 }, "dual-answer"), state)
    }
  })

  it("H11: a contested backup that goes on answering, or waits for ever", () => {
    const answers = change("backup", { CONTESTED: { ClientRequest: stay } })
    assert.isTrue(finds({ policy: answers, cuts: 1, ...atOnce }, "dual-answer"))
    const waits = change("backup", { CONTESTED: { ClientRequest: refuse, Promote: refuse } })
    assert.isTrue(finds({ policy: waits, kills: 1, cuts: 1, ...atOnce }, "no-answer"))
  })

  it("H12: a backup that refuses for ever though it has received from its primary", () => {
    const policy = change("backup", { BACKUP: { ClientRequest: refuse, Promote: refuse } })
    for (const budgets of [{ kills: 1 }, { stops: 1 }, { pauses: 1 }]) {
      assert.isTrue(finds({ policy, evidence: true, ...budgets }, "no-answer"), JSON.stringify(budgets))
    }
  })

  it("H12: a lone backup that is active at once, without giving a primary the time to be", () => {
    const takeOver: StateMachine.Cell = { _tag: "TakeOver", message: "" }
    const promoted = change("backup", { BACKUP: { ClientRequest: takeOver } })
    assert.isTrue(finds({ policy: promoted }, "dual-answer"))
    const served = change("backup", { BACKUP: { ClientRequest: { _tag: "ServeAlone", cell: takeOver } } })
    assert.isTrue(
      finds({ policy: served, evidence: true, lone: "serve", stops: 1, kills: 1, ...atOnce }, "dual-answer")
    )
  })
})

describe("a rule of the core that is taken away is seen", () => {
  it("H6: a vote that is judged before what has arrived", () => {
    assert.isTrue(finds({ ...hardened({ pauses: 1 }), readsLink: false }, "dual-answer"))
  })

  it("H4: a member that takes its peer for silent although it did not run itself a moment ago", () => {
    const core: Model.Options["core"] = {
      start: Core.start,
      step: (rules, member, inputs, now) => {
        const isBrief = !Core.isStalled(rules, member, now) && !inputs.some(({ _tag }) => _tag === "HeartbeatDue")
        const forgotten = { ...member, briefStallAt: Number.NEGATIVE_INFINITY, lastHeartbeatAt: now }
        return Core.step(rules, isBrief ? forgotten : member, inputs, now)
      }
    }
    assert.isTrue(finds({ ...hardened({ pauses: 1 }), core }, "dual-answer"))
  })

  it("H4: a member that never takes itself for stalled", () => {
    const core: Model.Options["core"] = {
      start: Core.start,
      step: (rules, member, inputs, now) =>
        Core.step(rules, { ...member, lastHeartbeatAt: Math.max(member.lastHeartbeatAt, now - 1000) }, inputs, now)
    }
    assert.isTrue(finds({ ...hardened({ pauses: 1 }), core }, "dual-answer"))
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
      "0 primary is being connected to its peer",
      "0 backup is being connected to its peer",
      "0 primary is connected to its peer",
      "0 backup is connected to its peer",
      "0 primary has subscribed to its peer",
      "0 backup has a subscriber, publishes BACKUP",
      `0 primary receives BACKUP, becomes ACTIVE, publishes ACTIVE: "connected to backup (passive), ready as active"`,
      "0 backup has subscribed to its peer",
      "0 primary has a subscriber, publishes ACTIVE",
      `0 backup receives ACTIVE, becomes PASSIVE, publishes PASSIVE: "connected to primary (active), ready as passive"`,
      "0 primary dies",
      "0 backup has lost the connection to its peer",
      "0 primary starts as PRIMARY",
      "0 backup is being connected to its peer",
      "0 backup is connected to its peer",
      "0 backup has subscribed to its peer",
      "0 primary has a subscriber, publishes PRIMARY",
      `0 backup receives PRIMARY, becomes ACTIVE, publishes ACTIVE: "primary (passive) is restarting, ready as active"`,
      "0 primary answers a client",
      "0 backup answers a client"
    ])
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"
import { deadlineOf, eventOf, handshakeMillis, memberIn, peerTimeoutMillis, role, rules } from "./support.ts"

describe("rules of hardened", () => {
  it("H7 crash evidence: a vote succeeds at once", () => {
    const backup = rules("backup", Policies.hardened)
    const down = StateMachine.step(backup, memberIn("PASSIVE", 3000), eventOf("PeerDown", 1500, 1400))
    assert.strictEqual(down.message, "the peer is down (connection to tcp://peer:5003 refused)")
    assert.strictEqual(down.next.state, "PASSIVE")
    const vote = StateMachine.step(backup, down.next, eventOf("ClientRequest", 1500))
    assert.deepStrictEqual([vote.verdict._tag, vote.next.state], ["Accept", "ACTIVE"])
  })

  it.prop("H7 crash evidence: older evidence than the peer's last sign of life is ignored", {
    receivedAt: FastCheck.integer({ min: 0, max: 10_000 }),
    sign: FastCheck.constantFrom<StateMachine.Event["_tag"]>("PeerActive", "LinkConnecting", "LinkConnected"),
    asOf: FastCheck.integer({ min: 0, max: 10_000 })
  }, ({ asOf, receivedAt, sign }) => {
    const backup = rules("backup", Policies.hardened)
    const { next } = StateMachine.step(backup, memberIn("PASSIVE", peerTimeoutMillis), eventOf(sign, receivedAt))
    const { next: after, message } = StateMachine.step(backup, next, eventOf("PeerDown", 10_000, asOf))
    assert.strictEqual(deadlineOf(after), asOf >= receivedAt ? Number.NEGATIVE_INFINITY : deadlineOf(next))
    assert.strictEqual(message !== undefined, asOf >= receivedAt)
  })

  it("H9 handing over: the peer takes over by crash evidence; without it the server restarts in three steps", () => {
    const [primary, backup] = [rules("primary", Policies.hardened), rules("backup", Policies.hardened)]
    const handingOver = StateMachine.step(primary, memberIn("ACTIVE", 2500), eventOf("HandOver", 1000))
    assert.strictEqual(handingOver.message, "handing over, waiting for the peer to become active")
    assert.isUndefined(StateMachine.reportedState[handingOver.next.state])

    const waiting = StateMachine.step(backup, memberIn("PASSIVE", 2500), eventOf("PeerPrimary", 1010))
    const known = StateMachine.step(backup, waiting.next, eventOf("PeerDown", 1030, 1020))
    const promoted = StateMachine.step(backup, known.next, eventOf("Promote", 1030))
    assert.deepStrictEqual([promoted.verdict._tag, promoted.next.state], ["Accept", "ACTIVE"])
    assert.strictEqual(StateMachine.step(primary, handingOver.next, eventOf("PeerActive", 2000)).next.state, "PASSIVE")

    let member = handingOver.next
    const states = [5000, 5000.1, 5001, 7001, 7002, 9002].map((now) => {
      member = StateMachine.step(primary, member, eventOf("ClientRequest", now)).next
      return member.state
    })
    assert.deepStrictEqual(states, ["HANDING_OVER", "REJOINING", "REJOINING", "PRIMARY", "PRIMARY", "ACTIVE"])
  })

  it("H10 connection: a handshake extends the deadline once, and only while the connection lasts", () => {
    const primary = rules("primary", Policies.hardened)
    let member = StateMachine.start(primary, 0).next
    const deadlines = ([
      ["LinkConnecting", 100],
      ["LinkLost", 200],
      ["LinkConnecting", 300],
      ["LinkConnected", 400],
      ["LinkConnected", 500],
      ["LinkLost", 600],
      ["LinkConnecting", 700],
      ["LinkConnected", 800],
      ["PeerPassive", 1100],
      ["LinkLost", 1200],
      ["LinkConnecting", 1300]
    ] as const).map(([tag, now]) => {
      member = StateMachine.step(primary, member, eventOf(tag, now)).next
      return deadlineOf(member)
    })
    assert.deepStrictEqual(deadlines, [
      100 + handshakeMillis,
      peerTimeoutMillis,
      peerTimeoutMillis,
      400 + 1.25 * peerTimeoutMillis,
      400 + 1.25 * peerTimeoutMillis,
      peerTimeoutMillis,
      peerTimeoutMillis,
      800 + 1.25 * peerTimeoutMillis,
      1100 + peerTimeoutMillis,
      1100 + peerTimeoutMillis,
      1300 + handshakeMillis
    ])
  })

  it("H10 connection: a connection that replaces another counts like one after a loss", () => {
    const primary = rules("primary", Policies.hardened)
    const after = (...tags: ReadonlyArray<StateMachine.Event["_tag"]>) =>
      deadlineOf(
        tags.reduce(
          (member, tag, i) => StateMachine.step(primary, member, eventOf(tag, 100 * i)).next,
          StateMachine.start(primary, 0).next
        )
      )
    assert.strictEqual(after("LinkConnecting", "LinkConnected", "LinkConnecting"), peerTimeoutMillis)
    assert.strictEqual(
      after("LinkConnecting", "LinkConnected", "LinkConnecting", "LinkConnected"),
      300 + 1.25 * peerTimeoutMillis
    )
  })

  it("H10 connection: a server that restarts during a handshake waits for it", () => {
    for (const [role, tag] of [["primary", "Stalled"], ["backup", "Stalled"], ["primary", "HandOver"]] as const) {
      const member = memberIn("ACTIVE", 5000, { link: "Connecting" })
      const again = StateMachine.step(rules(role, Policies.hardened), member, eventOf(tag, 9000)).next
      assert.strictEqual(deadlineOf(again), 9000 + handshakeMillis)
    }
  })

  const linkHistory = FastCheck.array(FastCheck.record({
    tag: FastCheck.constantFrom<StateMachine.Event["_tag"]>("LinkConnecting", "LinkConnected", "LinkLost"),
    after: FastCheck.integer({ min: 0, max: 2 * handshakeMillis })
  }))

  it.prop("H10 connection: connections without heartbeats do not keep a lone primary from serving", {
    history: linkHistory
  }, ({ history }) => {
    const primary = rules("primary", Policies.hardened)
    let now = 0
    let member = StateMachine.start(primary, now).next
    let beganAt = Number.NEGATIVE_INFINITY
    let madeAt = Number.NEGATIVE_INFINITY
    for (const { after, tag } of history) {
      now += after
      // Half-open connections count once, from the first of them.
      beganAt = tag === "LinkConnecting" && beganAt < 0 ? now : beganAt
      madeAt = tag === "LinkConnected" ? now : madeAt
      member = StateMachine.step(primary, member, eventOf(tag, now)).next
      assert.strictEqual(member.state, "PRIMARY")
      assert.isAtMost(
        deadlineOf(member),
        Math.max(peerTimeoutMillis, beganAt + handshakeMillis, madeAt + 1.25 * peerTimeoutMillis)
      )
    }
    const vote = StateMachine.step(primary, member, eventOf("ClientRequest", deadlineOf(member) + 0.001))
    assert.strictEqual(vote.next.state, "ACTIVE")
  }, { fastCheck: { numRuns: 2000 } })

  it("H11 longer active: a primary that became active by silence alone steps down, any other stays", () => {
    const primary = rules("primary", Policies.hardened)
    const started = StateMachine.start(primary, 0).next
    const alone = StateMachine.step(primary, started, eventOf("ClientRequest", 2001)).next
    const received = StateMachine.step(primary, started, eventOf("PeerBackup", 100)).next
    assert.deepStrictEqual([alone.state, received.state], ["ACTIVE", "ACTIVE"])
    assert.strictEqual(StateMachine.step(primary, alone, eventOf("PeerActive", 2100)).next.state, "PASSIVE")
    assert.strictEqual(StateMachine.step(primary, received, eventOf("PeerActive", 2100)).next.state, "ACTIVE")
    // Once its peer has been passive, this primary has been active longer.
    const followed = StateMachine.step(primary, alone, eventOf("PeerPassive", 2100)).next
    assert.strictEqual(StateMachine.step(primary, followed, eventOf("PeerActive", 2200)).next.state, "ACTIVE")
  })

  const heartbeats = { PeerPrimary: true, PeerBackup: true, PeerActive: true, PeerPassive: true }

  it.prop(
    "hasReceived is kept by a backup since its start, by a primary since it was last PRIMARY",
    {
      role,
      history: FastCheck.array(FastCheck.record({
        tag: FastCheck.constantFrom(...StateMachine.eventTags),
        after: FastCheck.integer({ min: 0, max: 5000 })
      }))
    },
    ({ history, role }) => {
      const hardened = rules(role, Policies.hardened)
      let now = 0
      let member = StateMachine.start(hardened, now).next
      for (const { after, tag } of history) {
        now += after
        const before = member
        // A restart keeps `hasReceived`; only heartbeats that are not ignored set it.
        const isIgnored = ["Ignore", "Restart", "KeepIfAlone"].includes(
          Policies.hardened[role][before.state]![tag]._tag
        )
        member = StateMachine.step(hardened, before, eventOf(tag, now)).next
        const isBegun = member.state === "PRIMARY" &&
          (before.state !== "PRIMARY" || tag === "Stalled" || tag === "Stopping")
        const isHeartbeat = tag in heartbeats && !isIgnored
        assert.strictEqual(member.hasReceived, !isBegun && (isHeartbeat || before.hasReceived))
      }
    },
    { fastCheck: { numRuns: 2000 } }
  )

  it("H12 lone backup: a backup that has lost its primary takes over by way of REJOINING", () => {
    const backup = rules("backup", Policies.hardened)
    const received = StateMachine.step(backup, StateMachine.start(backup, 0).next, eventOf("PeerPrimary", 100)).next
    assert.isFalse(StateMachine.step(backup, received, eventOf("ClientRequest", 2100)).next.state === "REJOINING")
    const rejoining = StateMachine.step(backup, received, eventOf("ClientRequest", 2101))
    assert.deepStrictEqual([rejoining.verdict._tag, rejoining.next.state, rejoining.publish], [
      "Reject",
      "REJOINING",
      "BACKUP"
    ])
    assert.strictEqual(
      StateMachine.step(backup, rejoining.next, eventOf("ClientRequest", 4101)).next.state,
      "REJOINING"
    )
    assert.strictEqual(
      StateMachine.step(backup, rejoining.next, eventOf("ClientRequest", 4102)).next.state,
      "ACTIVE"
    )
  })

  it("H12 lone backup: a backup that received nothing serves alone only if it may and no subscriber is connected", () => {
    for (const lone of ["wait", "serve"] as const) {
      for (const hasSubscriber of [true, false, undefined]) {
        for (const now of [2000, 2001]) {
          const backup = rules("backup", Policies.hardened, lone)
          const vote = {
            _tag: "ClientRequest",
            now,
            ...(hasSubscriber === undefined ? {} : { hasSubscriber })
          } as const
          const { next, verdict } = StateMachine.step(backup, StateMachine.start(backup, 0).next, vote)
          assert.strictEqual(verdict._tag, "Reject")
          assert.strictEqual(
            next.state,
            lone === "serve" && hasSubscriber !== true && now === 2001 ? "REJOINING" : "BACKUP"
          )
        }
      }
    }
  })

  it("H7 crash evidence: repeated evidence is ignored", () => {
    const known = memberIn("PASSIVE", Number.NEGATIVE_INFINITY, { silentSince: 0 })
    const outcome = StateMachine.step(rules("backup", Policies.hardened), known, eventOf("PeerDown", 10))
    assert.strictEqual(outcome.next, known)
    assert.isUndefined(outcome.message)
  })

  it("H4 stall: a stall is longer than one and a half heartbeats", () => {
    assert.isFalse(StateMachine.isStalled(rules(), 100, 1600))
    assert.isTrue(StateMachine.isStalled(rules(), 100, 1601))
  })

  it("H4 stall: an active server without a peer keeps its term, publishes it, and marks its peer as down", () => {
    for (const role of ["primary", "backup"] as const) {
      for (const hasReceived of [true, false]) {
        const member = memberIn("ACTIVE", 5000, { hasReceived, connectionDeadline: 6000, link: "Connecting" })
        const outcome = StateMachine.step(rules(role, Policies.hardened), member, {
          _tag: "Stalled",
          now: 9000,
          isAlone: true
        })
        assert.deepStrictEqual(outcome, {
          next: {
            ...member,
            peerDeadline: Number.NEGATIVE_INFINITY,
            connectionDeadline: Number.NEGATIVE_INFINITY,
            awaited: "Down"
          },
          verdict: { _tag: "Accept" },
          publish: "ACTIVE",
          message: "this process stalled, but it has no peer (connection refused), still active"
        })
        // A peer that starts later is followed as before.
        const followed =
          StateMachine.step(rules(role, Policies.hardened), outcome.next, eventOf("PeerPassive", 9500)).next
        assert.deepStrictEqual([followed.state, deadlineOf(followed)], ["ACTIVE", 9500 + peerTimeoutMillis])
      }
    }
  })

  it("H4 stall: a server that is not active restarts, with or without a peer", () => {
    for (const role of ["primary", "backup"] as const) {
      for (
        const state of StateMachine.states.filter((state) => state !== "ACTIVE" && state in Policies.hardened[role])
      ) {
        const stalled = (isAlone: boolean) =>
          StateMachine.step(rules(role, Policies.hardened), memberIn(state, 5000), {
            _tag: "Stalled",
            now: 9000,
            isAlone
          })
        assert.deepStrictEqual(stalled(true), stalled(false))
      }
    }
  })

  it("H4 stall: a term may be kept until one timeout after the last heartbeat", () => {
    assert.isTrue(StateMachine.mayKeepTerm(rules(), 100, 2100))
    assert.isFalse(StateMachine.mayKeepTerm(rules(), 100, 2101))
  })

  it.prop(
    "no sequence of events is fatal",
    { role, history: FastCheck.array(FastCheck.constantFrom(...StateMachine.eventTags)) },
    (given) => {
      const hardened = rules(given.role, Policies.hardened)
      let member = StateMachine.start(hardened, 0).next
      given.history.forEach((tag, i) => {
        const outcome = StateMachine.step(hardened, member, eventOf(tag, i * 700))
        assert.notStrictEqual(outcome.verdict._tag, "Fatal")
        member = outcome.next
      })
    }
  )
})

import { assert, describe, it } from "@effect/vitest"
import type * as StateMachine from "../../src/protocol/StateMachine.ts"
import { examine } from "../../src/status/Doctor.ts"
import { judge } from "../../src/status/Health.ts"
import { type Observation, withPeer } from "../../src/status/Observation.ts"
import type { NodeStatus } from "../../src/status/Status.ts"
import { merge, now, pair, type Patch, reached, statusOf, takenOver, unreached } from "./observations.ts"

const levelOf = (observations: ReadonlyArray<Observation>) => judge(observations, examine(observations)).level

const active: Patch = { state: "ACTIVE", answers: true }

/** A server that does not know the status of its peer. */
const of = (role: StateMachine.Role, ...patches: ReadonlyArray<Patch>) =>
  reached(patches.reduce<NodeStatus>((status, patch) => merge(status, patch), statusOf(role)), { peer: null })

describe("Health.judge", () => {
  it("healthy: one active server, and a peer that stands by", () => {
    assert.deepStrictEqual(judge(pair(), []), { level: "healthy", message: "primary is active, backup stands by" })
  })

  it("degraded: no server would take over", () => {
    for (
      const observations of [
        [of("primary", active, { peer: { state: "BACKUP" } })],
        [of("primary", { peer: { unreceivedMillis: 9000 } })],
        [pair()[0], unreached],
        pair({}, { state: "REJOINING" }),
        pair({}, { peer: { isExpired: true } }),
        pair({ takeoverBlock: { kind: "paused", reason: "maintenance", since: now } }),
        pair({}, { takeoverBlock: { kind: "limited", until: now } }),
        pair({ policy: "classic" })
      ]
    ) {
      assert.strictEqual(levelOf(observations), "degraded")
    }
  })

  it("healthy: warnings do not degrade", () => {
    assert.strictEqual(levelOf(pair({ peerHttp: null, counters: { conflicts: 1 } })), "healthy")
  })

  it("no active, two actives: the number of servers that answer", () => {
    assert.strictEqual(levelOf([unreached]), "no active")
    assert.strictEqual(levelOf(pair({ state: "PASSIVE", answers: false })), "no active")
    assert.strictEqual(levelOf(pair({}, { state: "ACTIVE", answers: true })), "two actives")
  })

  describe("without the status of the peer", () => {
    const receives = (state: StateMachine.PeerState, ageMillis = 300, isExpired = false): Patch => ({
      peer: { state, ageMillis, isExpired }
    })
    it("F6 two actives: heartbeats of the peer count, while they are fresh", () => {
      for (
        const observations of [[of("backup", active, receives("ACTIVE"))], [
          of("primary", receives("ACTIVE")),
          unreached
        ]]
      ) {
        assert.strictEqual(levelOf(observations), "two actives")
        const finding = examine(observations).find(({ check }) => check === "active")
        assert.strictEqual(finding?.severity, "error")
        assert.match(finding?.what ?? "", /both servers are active.*by its heartbeats/)
        assert.match(finding?.remedy ?? "", /stop one of them/)
      }
      assert.deepStrictEqual(judge([of("primary", receives("ACTIVE"))], []), {
        level: "two actives",
        message: "primary and backup (by its heartbeats) are both active"
      })
      for (const stale of [receives("ACTIVE", 2001), receives("ACTIVE", 300, true), receives("PASSIVE", 2001)]) {
        assert.strictEqual(levelOf([of("primary", stale)]), "degraded")
      }
      assert.deepStrictEqual(judge([of("primary", receives("PASSIVE"))], []), {
        level: "healthy",
        message: "primary is active, backup (by its heartbeats) stands by"
      })
    })

    it("F6 two actives: a status of the peer counts for more than its last heartbeat", () => {
      assert.strictEqual(levelOf(pair(receives("ACTIVE"), { since: "2026-01-31T11:59:59.900Z" })), "healthy")
    })

    it("one active: a server stands by for a peer that it receives ACTIVE from", () => {
      const standby = [of("backup")]
      assert.deepStrictEqual(judge(standby, examine(standby)), {
        level: "healthy",
        message: "primary (by its heartbeats) is active, backup stands by"
      })
      assert.isUndefined(examine(standby).find(({ check }) => check === "active"))
      assert.strictEqual(levelOf([of("backup"), unreached]), "degraded")
      assert.strictEqual(levelOf([of("backup", receives("ACTIVE", 2001))]), "no active")
      assert.strictEqual(levelOf([of("backup", receives("ACTIVE", 300, true))]), "no active")
    })
  })

  it("H11 contested: one of two that were active decides which stays", () => {
    const contested: Patch = { state: "CONTESTED", answers: false, since: "2026-01-31T11:59:59.000Z" }
    const observations = pair({ peer: { state: "ACTIVE" } }, contested)
    assert.deepStrictEqual(judge(observations, examine(observations)), {
      level: "degraded",
      message: "primary is active, but backup is CONTESTED"
    })
  })

  it("one server given twice counts once", () => {
    assert.strictEqual(levelOf([pair()[0], pair()[0]]), "healthy")
  })

  describe("with a copy of the peer's status", () => {
    const judged = (observations: ReadonlyArray<Observation>) => judge(observations, examine(observations))

    it("H7 crash evidence: a copy from before the takeover does not count", () => {
      assert.deepStrictEqual(judged(takenOver(20, 900)), {
        level: "degraded",
        message: "backup is active, but the status of its peer is not known"
      })
      assert.strictEqual(judged(takenOver(899, 900)).level, "degraded")
    })

    it("two actives: a copy from after the takeover counts", () => {
      assert.deepStrictEqual(judged(takenOver(901, 900)), {
        level: "two actives",
        message: "backup and primary are both active"
      })
    })

    it("two actives: a heartbeat from after the takeover counts", () => {
      const peer = { state: "ACTIVE", ageMillis: 5, isExpired: false } as const
      assert.strictEqual(judged(takenOver(20, 900, { peer })).level, "two actives")
    })

    it("hand-over: a heartbeat from after the copy counts", () => {
      const self = { state: "PASSIVE", answers: false, peer: { state: "ACTIVE", ageMillis: 50 } } as const
      const old = merge(statusOf("backup"), { state: "PASSIVE" })
      const handedOver = withPeer(reached(merge(statusOf("primary"), self), {
        peer: { status: old, error: null, ageMillis: 700 }
      }))
      assert.deepStrictEqual(judged(handedOver), {
        level: "healthy",
        message: "backup (by its heartbeats) is active, primary stands by"
      })
    })
  })
})

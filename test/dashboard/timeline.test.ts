import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { Pair } from "../../src/dashboard/page/pair.ts"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import type { Entry } from "../../src/dashboard/page/timeline.ts"
import * as Timeline from "../../src/dashboard/page/timeline.ts"
import type { NodeStatus } from "../../src/status/Status.ts"
import { pairStatusOf, received, statusOf } from "./fakeStatus.ts"

const entryAt = (millis: number, different: Partial<Entry> = {}): Entry => ({
  role: "primary",
  at: new Date(millis).toISOString(),
  from: "PRIMARY",
  to: "ACTIVE",
  cause: "PeerBackup",
  message: "ready as active",
  explanation: null,
  reason: null,
  ...different
})

const withBackup = (different: Partial<NodeStatus>) => pairOf(pairStatusOf(undefined, statusOf("backup", different)), 0)

const byHeartbeats = (...peer: Parameters<typeof received>) =>
  pairOf({
    self: statusOf("primary", received(...peer)),
    peer: { status: null, error: "no response", ageMillis: null }
  }, 0)

/** Observes one pair after the other, and gives what each adds. */
const observe = (...pairs: ReadonlyArray<Pair>) => {
  let timeline = Timeline.empty
  return pairs.map((pair) => {
    const observed = Timeline.observePeer(timeline, pair)
    timeline = observed.timeline
    return observed.added.map(({ from, to }) => `${from} ${to}`)
  })
}

describe("timeline: entries", () => {
  it("are sorted, the latest first, and at most as many as the capacity", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(FastCheck.integer({ min: 0, max: 10_000 })), (times) => {
      const entries = times.map((at) => entryAt(at * 1000))
      const { timeline } = Timeline.add(Timeline.add(Timeline.empty, entries.slice(0, 7)).timeline, entries.slice(7))
      const shown = timeline.entries.map(({ at }) => Date.parse(at))
      assert.deepStrictEqual(shown, [...shown].sort((a, b) => b - a))
      assert.isAtMost(shown.length, Timeline.capacity)
    }))
  })

  it("a transition that is reported twice is added once, although the times differ a little", () => {
    const { timeline } = Timeline.add(Timeline.empty, [entryAt(5000)])
    assert.deepStrictEqual(Timeline.add(timeline, [entryAt(5900)]).added, [])
    assert.strictEqual(Timeline.add(timeline, [entryAt(6100)]).added.length, 1)
    assert.strictEqual(Timeline.add(timeline, [entryAt(5000, { role: "backup" })]).added.length, 1)
  })

  it("the latest move of each server is its first entry", () => {
    const backup = entryAt(1000, { role: "backup" })
    const { timeline } = Timeline.add(Timeline.empty, [entryAt(1000), entryAt(3000), backup])
    assert.deepStrictEqual(Timeline.latestMoves(timeline), { primary: entryAt(3000), backup })
  })
})

describe("timeline: the reason", () => {
  it("is noted, unless the message has it", () => {
    const message = "took over by switchover: new kernel"
    assert.strictEqual(Timeline.reasonNote(entryAt(0, { reason: "new kernel" })), "reason: new kernel")
    assert.isNull(Timeline.reasonNote(entryAt(0, { message, reason: "new kernel" })))
    assert.isNull(Timeline.reasonNote(entryAt(0)))
  })
})

describe("timeline: the peer", () => {
  it("its first status is an entry, but not announced", () => {
    const { added, timeline } = Timeline.observePeer(Timeline.empty, withBackup({}))
    assert.deepStrictEqual(added, [])
    assert.deepInclude(timeline.entries[0], { role: "backup", from: null, to: "PASSIVE" })
    assert.deepStrictEqual(Timeline.observePeer(Timeline.empty, byHeartbeats("PASSIVE", false)).timeline.entries, [])
  })

  it("a change of its status is an entry; a change of its wall clock is none", () => {
    assert.deepStrictEqual(
      observe(
        withBackup({}),
        withBackup({ now: "2026-01-31T14:00:00.000Z", since: "2026-01-31T13:00:00.000Z" }),
        withBackup({ state: "REJOINING", since: "2026-01-31T12:59:59.000Z" })
      ),
      [[], [], ["PASSIVE REJOINING"]]
    )
  })

  it("a restarted process has no state before", () => {
    assert.deepStrictEqual(observe(withBackup({}), withBackup({ pid: 1, state: "BACKUP" })), [[], ["null BACKUP"]])
  })

  it("without its status, reported states are compared: PASSIVE does not differ from REJOINING", () => {
    assert.deepStrictEqual(
      observe(
        withBackup({ state: "REJOINING" }),
        byHeartbeats("PASSIVE", false),
        byHeartbeats("ACTIVE", false),
        byHeartbeats("ACTIVE", true)
      ),
      [[], [], ["PASSIVE ACTIVE"], ["ACTIVE null"]]
    )
  })

  it("a status tells why, in place of the heartbeats that told of the same transition", () => {
    const entered = { since: "2026-01-31T12:59:59.000Z", reason: "new kernel" }
    const message = "took over by switchover: new kernel, ready as active"
    const tookOver = withBackup({ ...entered, state: "ACTIVE", answers: true, cause: "PeerHandsOver", message })
    const pairs = [withBackup({}), byHeartbeats("ACTIVE", false), tookOver, byHeartbeats("ACTIVE", false), tookOver]
    assert.deepStrictEqual(observe(...pairs), [[], ["PASSIVE ACTIVE"], ["PASSIVE ACTIVE"], [], []])
    const { entries } = pairs.reduce((timeline, pair) => Timeline.observePeer(timeline, pair).timeline, Timeline.empty)
    assert.deepStrictEqual(entries.map(({ from, message, to }) => `${from} ${to}: ${message}`), [
      `PASSIVE ACTIVE: ${message}`,
      "null PASSIVE: connected to primary (active), ready as passive"
    ])
  })
})

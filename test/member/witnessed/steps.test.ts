/** What the core of a member with a witness makes of inputs in an order that a running pair rarely has. */
import { assert, describe, it } from "@effect/vitest"
import type { Input, Output, Rules } from "../../../src/member/Member.ts"
import * as Member from "../../../src/member/Member.ts"
import type { Term } from "../../../src/protocol/Term.ts"
import { Alone, logs, tagged, witnessedRules } from "../alone.ts"

const recordOf = (term: Term, life = "peer", version = "7") => ({
  version,
  record: { ...term, holder: "primary" as const, life, isReleased: false }
})

const third = { number: 3, step: 0 }
const fourth = { number: 4, step: 0 }

const takes = (outputs: ReadonlyArray<Output>) =>
  tagged(outputs, "AskWitness").filter(({ request }) => request.swap?.isTake === true)

/** A member that follows its peer in term 3.0, after the heartbeat of 1000 ms. */
const follower = (part: Partial<Rules> = {}): Alone => {
  const one = new Alone(witnessedRules("backup", part))
  one.step(10, one.answers({ _tag: "Seen", seen: recordOf(third) }, "a"))
  one.beat(1000)
  one.step(1010, one.answers({ _tag: "Seen", seen: recordOf(third) }, "a"))
  one.step(1020, one.heartbeat("ACTIVE", { question: "Serve", term: third, isRecorded: true, witness: "a" }))
  assert.strictEqual(one.state, "PASSIVE")
  return one
}

/** A member out of its guard, beside an active peer of another implementation, after the heartbeat of 3000 ms. */
const besideLegacy = (): Alone => {
  const one = new Alone(witnessedRules("backup"))
  one.answersNone(10)
  for (const now of [1000, 2000, 3000]) {
    one.looksInVain(now)
    one.legacyIsActive(now + 20)
  }
  return one
}

/** A member that has taken term 1.0 at 3000 ms. Its right ends at 4500. */
const active = (): Alone => {
  const one = new Alone(witnessedRules("backup"))
  one.answersNone(10)
  one.beat(1000)
  one.answersNone(1010)
  one.beat(2000)
  one.answersNone(2010)
  one.beat(3000)
  one.answersNone(3001)
  assert.lengthOf(takes(one.step(3002, { _tag: "Vote", hasSubscriber: false, voter: "x" })), 1)
  one.step(3005, one.answers({ _tag: "Swapped", version: "1" }, "a"))
  assert.strictEqual(one.state, "ACTIVE")
  return one
}

describe("a timer", () => {
  it("that fires before the end of a right is set again, and the term ends in time", () => {
    const one = active()
    one.beat(4000)
    const end = one.member.rightsWakeAt
    assert.strictEqual(end, 4502)
    assert.deepStrictEqual(tagged(one.step(end - 1.7, { _tag: "Woken" }), "WakeAt"), [{ _tag: "WakeAt", at: end }])
    assert.lengthOf(tagged(one.step(end, { _tag: "Woken" }), "EndTerm"), 1)
  })

  it("is not set for a time that is over", () => {
    const one = active()
    one.beat(4000)
    assert.lengthOf(tagged(one.step(4600), "WakeAt"), 0)
  })
})

describe("an operator who answers for the witness and the peer", () => {
  const promote: Input = { _tag: "Promote", id: 1, reason: "x", isWithoutWitness: true }

  it("gives no term: the peer may have had a later one than this member followed", () => {
    const one = follower()
    one.beat(2000)
    one.step(2010, one.answers({ _tag: "Seen", seen: recordOf(fourth, "peer", "8") }))
    one.beat(3000)
    one.beat(4000)
    one.step(4100, promote)
    assert.strictEqual(one.state, "ACTIVE")
    assert.isUndefined(Member.termOf(one.member))
    const [ask] = takes(one.step(4200, one.answers({ _tag: "Seen", seen: recordOf(fourth, "peer", "8") })))
      .concat(takes(one.beat(5000)))
    assert.strictEqual(ask?.request.swap?.record.number, 5)
  })

  it("is refuted by a peer that is active in a term", () => {
    const one = follower()
    one.beat(2000)
    one.beat(3000)
    one.beat(4000)
    one.step(4100, promote)
    one.step(4200, one.heartbeat("ACTIVE", { question: "Serve", term: third, isRecorded: true }))
    assert.strictEqual(one.member.rights?.isActive, false)
  })
})

describe("a promotion", () => {
  const promote: Input = { _tag: "Promote", id: 1, reason: "x" }

  it("is rejected beside an active peer without asking the witness for a term", () => {
    const one = besideLegacy()
    const outputs = one.step(3100, promote)
    assert.lengthOf(takes(outputs), 0)
    assert.deepStrictEqual(tagged(outputs, "Complete").map(({ rejection }) => rejection), ["PeerAlive"])
  })

  it("that was rejected does not succeed by a late answer", () => {
    const one = new Alone(witnessedRules("backup"))
    one.answersNone(10)
    one.looksInVain(1000)
    one.looksInVain(2000)
    assert.lengthOf(takes(one.step(2100, promote)), 1)
    const late = one.answers({ _tag: "Swapped", version: "1" })
    const ends = [3000, 4000, 5000, 6000, 7000, 8000, 9000].flatMap((now) => tagged(one.beat(now), "Complete"))
    assert.deepStrictEqual(ends.map(({ rejection }) => rejection), ["NoMajority"])
    one.step(9010, late)
    assert.notStrictEqual(one.state, "ACTIVE")
  })
})

describe("a pause", () => {
  const pause: Input = { _tag: "Pause", id: 1, reason: "x" }

  it("withdraws what was asked of the witness", () => {
    const one = new Alone(witnessedRules("backup"))
    one.answersNone(10)
    one.beat(1000)
    one.looksInVain(2000)
    assert.lengthOf(takes(one.step(2100, { _tag: "Vote", hasSubscriber: false, voter: "x" })), 1)
    const late = one.answers({ _tag: "Swapped", version: "1" })
    one.step(2110, pause)
    one.step(2120, late)
    assert.notStrictEqual(one.state, "ACTIVE")
  })

  it("is no reason to warn of votes while the peer is active", () => {
    const one = follower()
    one.step(1100, pause)
    assert.deepStrictEqual(logs(one.step(1200, { _tag: "Vote", hasSubscriber: false, voter: "x" })), [])
    one.beat(2000)
    one.beat(3000)
    assert.match(
      logs(one.step(3500, { _tag: "Vote", hasSubscriber: false, voter: "x" })).join(),
      /paused by an operator/
    )
  })
})

describe("a peer that asks no witness", () => {
  it("is not taken over from by a vote while it is active, and is told of", () => {
    const one = besideLegacy()
    const outputs = one.step(3100, { _tag: "Vote", hasSubscriber: true, voter: "x" })
    assert.lengthOf(takes(outputs), 0)
    assert.match(logs(outputs).join(), /is active, and asks no witness before it serves/)
    one.looksInVain(4000)
    one.looksInVain(5000)
    assert.lengthOf(takes(one.step(5100, { _tag: "Vote", hasSubscriber: false, voter: "x" })), 1, "it is silent")
  })
})

describe("another witness than the peer's", () => {
  it("that has no record of the pair gives no term, and the member says so", () => {
    const one = new Alone(witnessedRules("backup"))
    one.answersNone(10)
    one.looksInVain(1000)
    one.step(1020, one.heartbeat("ACTIVE", { question: "Serve", term: third, isRecorded: true, witness: "b" }))
    one.beat(2000)
    assert.match(
      logs(one.answersNone(2010)).join(),
      /has another witness than memory, or another name there/
    )
    for (const now of [3000, 4000, 5000, 6000]) {
      one.looksInVain(now)
      assert.lengthOf(takes(one.step(now + 100, { _tag: "Vote", hasSubscriber: false, voter: "x" })), 0)
    }
  })

  it("is told of if both have a record", () => {
    const one = follower()
    one.step(1030, one.heartbeat("ACTIVE", { question: "Serve", term: third, isRecorded: true, witness: "b" }))
    one.beat(2000)
    assert.match(
      logs(one.step(2010, one.answers({ _tag: "Seen", seen: recordOf(third) }, "a"))).join(),
      /has another witness than memory/
    )
  })
})

describe("a stop", () => {
  it("is not interrupted by a hand-over of the peer", () => {
    const one = follower()
    one.step(1100, { _tag: "Stop" })
    one.step(1110, one.heartbeat("ACTIVE", { handsOver: true, term: third }))
    assert.notStrictEqual(one.state, "ACTIVE")
  })
})

describe("an answer of the witness", () => {
  it("that arrives together with the next heartbeat counts", () => {
    const one = active()
    const outputs = one.step(4000, { _tag: "HeartbeatDue" }, one.answers({ _tag: "Swapped", version: "2" }, "a"))
    assert.deepStrictEqual(logs(outputs), [])
    assert.isUndefined(one.member.witness.problem)
  })
})

describe("R9 the state port", () => {
  it("that could not be opened again ends the term, and the guard has no end before it is open", () => {
    const one = active()
    const [end] = tagged(one.step(4000, { _tag: "HeartbeatSent", startedAt: 4000, isPortOpen: false }), "EndTerm")
    one.step(4001, { _tag: "TermEnded", end: end!.end })
    assert.strictEqual(one.member.rights?.guardUntil, Number.POSITIVE_INFINITY)
    for (const now of [5000, 6000, 7000]) {
      one.step(now, { _tag: "HeartbeatDue" })
      one.step(now, { _tag: "HeartbeatSent", startedAt: now, isPortOpen: false })
      assert.lengthOf(takes(one.step(now + 500, { _tag: "Vote", hasSubscriber: false, voter: "x" })), 0)
    }
    one.beat(8000)
    assert.strictEqual(one.member.rights?.guardUntil, 10_000)
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Rights from "../../src/protocol/Rights.ts"

const rules: Rights.Rules = { role: "backup", life: "mine", rightMillis: 1500, guardMillis: 2000 }

/** A member that started at 0 and is out of its guard at 2000. */
const fresh = Rights.start(rules, 0)

const term = { number: 3, step: 0 }

const recordOf = (life: string, isReleased = false): Rights.TermRecord => ({
  ...term,
  holder: "primary",
  life,
  isReleased
})

const seen = (life: string, isReleased = false): Rights.Seen => ({ version: "7", record: recordOf(life, isReleased) })

const swap = (rights: Rights.Rights, askedAt: number, now: number): Rights.Rights => {
  const asked = Rights.take(rules, rights, 0, askedAt)
  return Rights.swapped(rules, asked, { ...asked.request, swap: asked.request.swap! }, { version: "8", now })
}

/** A member that has taken term 4.0 at 3000. */
const active = swap(Rights.seen(fresh, seen("old", true), 100), 3000, 3010)

/** A member that follows its peer in term 3.0, as of a heartbeat received at 5000 that echoes one of 4900. */
const follower =
  Rights.promise(rules, fresh, { question: "Serve", term }, { echoAt: 4900, now: 5000, sequence: 9 }).rights

describe("R1 own clock", () => {
  it("a right of the witness counts from before the question", () => {
    assert.deepStrictEqual(active.term, { number: 4, step: 0 })
    assert.strictEqual(Rights.endOf(active), 4500)
    assert.isTrue(Rights.mayServe(active, 4499.9))
    assert.isFalse(Rights.mayServe(active, 4500))
  })

  it("an answer that takes longer than a right lasts gives the term, but no right, and starts the guard", () => {
    const late = swap(Rights.seen(fresh, undefined, 100), 3000, 4500)
    assert.isFalse(late.isActive)
    assert.deepStrictEqual(late.term, { number: 1, step: 0 })
    assert.strictEqual(late.guardUntil, 6500)
  })

  it("a promise counts for the active member from when it sent the question, for the peer from when it received it", () => {
    const renewed = Rights.promised(rules, active, { sequence: 1, at: 4000, question: "Serve" }, 4200)
    assert.strictEqual(renewed.until.peer, 5500)
    assert.strictEqual(follower.guardUntil, 7000)
  })

  it("a promise that arrives after the end of its right gives none", () => {
    assert.strictEqual(Rights.promised(rules, active, { sequence: 1, at: 4000, question: "Serve" }, 5500), active)
  })
})

describe("R2 guard", () => {
  const observed = Rights.seen(fresh, undefined, 10)

  it("no takeover without evidence before the guard is over: after the start, a promise, or ceasing", () => {
    assert.isFalse(Rights.mayTake(rules, observed, 1999))
    assert.isTrue(Rights.mayTake(rules, observed, 2000))
    assert.isFalse(Rights.mayTake(rules, { ...follower, observed: { seen: undefined, since: 0 } }, 6999))
    const ceased = Rights.cease(rules, active, 5, 4500)
    assert.isFalse(Rights.mayTake(rules, ceased, 6499))
    assert.isTrue(Rights.mayTake(rules, ceased, 6500))
  })

  it("evidence needs no guard", () => {
    assert.isTrue(Rights.mayTake(rules, Rights.witnessRefusal(rules, observed, 100), 110))
  })
})

describe("R3 observation", () => {
  it("where there is no record, only a member that knows no term begins one", () => {
    assert.isTrue(Rights.mayTake(rules, Rights.seen(fresh, undefined, 100), 2000))
    const following = Rights.seen(follower, undefined, 5100)
    assert.isFalse(Rights.mayTake(rules, following, 60_000), "the record of the pair is elsewhere")
    assert.isTrue(Rights.mayTake(rules, Rights.witnessRefusal(rules, following, 60_000), 60_010))
  })

  it("only a record that was unchanged for as long as a guard is replaced", () => {
    const observed = Rights.seen(fresh, seen("other"), 2500)
    assert.isFalse(Rights.mayTake(rules, observed, 4499))
    assert.isTrue(Rights.mayTake(rules, observed, 4500))
    const again = Rights.seen(observed, seen("other"), 3500)
    assert.isTrue(Rights.mayTake(rules, again, 4500), "the same version was seen again")
    const changed = Rights.seen(observed, { ...seen("other"), version: "9" }, 3500)
    assert.isFalse(Rights.mayTake(rules, changed, 5499))
  })

  for (
    const [name, record] of [["absent", undefined], ["released", seen("other", true)], ["mine", seen("mine")]] as const
  ) {
    it(`a record that is ${name} is replaced at once`, () => {
      assert.isTrue(Rights.mayTake(rules, Rights.seen(fresh, record, 1990), 2000))
    })
  }

  it("a record that was never seen is not replaced", () => {
    assert.isFalse(Rights.mayTake(rules, Rights.witnessRefusal(rules, fresh, 2100), 2200))
  })
})

describe("R4 echo", () => {
  it("a follower may go on from a term only as long as the echoed heartbeat is young", () => {
    assert.strictEqual(follower.followsUntil, 6900)
    const refused = Rights.witnessRefusal(rules, follower, 6000)
    assert.isTrue(Rights.takeByEvidence(refused, 6899).isActive)
    assert.isFalse(Rights.takeByEvidence(refused, 6900).isActive)
  })

  it("an active peer of an older term is not promised", () => {
    const older = { question: "Serve", term: { number: 2, step: 9 } } as const
    assert.isFalse(Rights.promise(rules, follower, older, { echoAt: 5900, now: 6000, sequence: 9 }).isPromised)
  })
})

describe("R5 unsure", () => {
  const asking = Rights.take(rules, Rights.seen(fresh, undefined, 10), 3, 2000)

  it("a member that has asked for a term and promises gives up what it asked for", () => {
    const { isPromised, rights } = Rights.promise(
      rules,
      asking,
      { question: "Stand", term: undefined },
      { echoAt: 2000, now: 2100, sequence: 4 }
    )
    assert.isTrue(isPromised)
    assert.isUndefined(rights.request)
  })

  it("a member that has asked for a term neither stands, nor resumes, nor goes on by evidence", () => {
    assert.isFalse(Rights.mayStand(asking, 9000))
    const unsure = { ...asking, ...{ term, isOwn: true } }
    assert.isFalse(Rights.promised(rules, unsure, { sequence: 4, at: 2100, question: "Resume" }, 2200).isActive)
    const following = { ...follower, request: asking.request, until: { ...follower.until, evidence: 9000 } }
    assert.isFalse(Rights.takeByEvidence(following, 5100).isActive)
  })
})

describe("R6 evidence", () => {
  it("a follower goes on from its peer's term at once", () => {
    const taken = Rights.takeByEvidence(Rights.witnessRefusal(rules, follower, 5100), 5110)
    assert.deepStrictEqual(taken.term, { number: 3, step: 1 })
    assert.isTrue(taken.isOwn)
    assert.strictEqual(Rights.endOf(taken), 6600)
  })

  it("an attempt that began before the last promise, heartbeat or end of a term is no evidence", () => {
    assert.strictEqual(Rights.witnessRefusal(rules, follower, 5000), follower)
    const received = Rights.receive(follower, 6000)
    assert.strictEqual(Rights.witnessRefusal(rules, received, 5900), received)
    const ceased = Rights.cease(rules, active, 5, 4500)
    assert.strictEqual(Rights.witnessRefusal(rules, ceased, 4400), ceased)
  })

  it("a heartbeat ends the evidence of a standby, not that of an active member", () => {
    const standby = Rights.receive(Rights.witnessRefusal(rules, follower, 5100), 5200)
    assert.isFalse(Rights.takeByEvidence(standby, 5210).isActive)
    const alone = Rights.receive(Rights.witnessRefusal(rules, active, 4000), 4400)
    assert.strictEqual(Rights.endOf(alone), 5500)
  })

  it("a member that was active last does not go on by evidence alone", () => {
    const ceased = Rights.witnessRefusal(rules, Rights.cease(rules, active, 5, 4500), 4600)
    assert.strictEqual(Rights.takeByEvidence(ceased, 4610), ceased)
    assert.isTrue(Rights.mayTake(rules, ceased, 4610), "but it may ask the witness at once")
  })

  it("a hand-over gives the next term, for as long as a promise to the echoed heartbeat", () => {
    const taken = Rights.takeHandedOver(rules, follower, term, { echoAt: 5400, now: 5500 })
    assert.deepStrictEqual(taken.term, { number: 3, step: 1 })
    assert.strictEqual(Rights.endOf(taken), 6900)
    const other = { number: 2, step: 0 }
    assert.strictEqual(Rights.takeHandedOver(rules, follower, other, { echoAt: 5400, now: 5500 }), follower)
    assert.strictEqual(Rights.takeHandedOver(rules, follower, term, { echoAt: 4000, now: 5500 }), follower)
  })
})

describe("R7 record", () => {
  it("only a larger term supersedes", () => {
    assert.isTrue(Rights.isSuperseded(active, { number: 4, step: 1 }))
    assert.isFalse(Rights.isSuperseded(active, { number: 4, step: 0 }))
    assert.isFalse(Rights.isSuperseded(follower, { number: 9, step: 0 }))
  })

  it("renewing keeps the term, and a conflict keeps the right until it ends", () => {
    const asked = Rights.renew(rules, active, active.term!, 4000)
    const renewed = Rights.swapped(rules, asked, { ...asked.request, swap: asked.request.swap! }, {
      version: "9",
      now: 4010
    })
    assert.deepStrictEqual(renewed.term, active.term)
    assert.strictEqual(Rights.endOf(renewed), 5500)
    assert.strictEqual(Rights.endOf(Rights.seen(asked, seen("other"), 4010)), 4500)
  })
})

describe("R8 without the witness", () => {
  it("a member that stands and is promised is active without a term, and takes one as soon as it can", () => {
    const standing = Rights.promised(rules, follower, { sequence: 10, at: 7000, question: "Stand" }, 7100)
    assert.isTrue(standing.isActive)
    assert.isUndefined(standing.term)
    assert.isTrue(Rights.mayTake(rules, Rights.seen(standing, seen("other"), 7200), 7200))
  })

  it("a promise for a heartbeat from before this member promised, or ceased to be active, is void", () => {
    const question = { sequence: 9, at: 7000, question: "Stand" } as const
    assert.strictEqual(Rights.promised(rules, follower, question, 7100), follower)
  })

  it("a member that was active last resumes its term, if its peer followed that very one", () => {
    const ceased = Rights.cease(rules, active, 5, 4500)
    const resumed = Rights.promised(rules, ceased, { sequence: 6, at: 4600, question: "Resume" }, 4700)
    assert.isTrue(resumed.isActive)
    assert.deepStrictEqual(resumed.term, active.term)
    const ask = (asked: Rights.TermRecord | undefined) =>
      Rights.promise(rules, follower, { question: "Resume", term: asked }, { echoAt: 5900, now: 6000, sequence: 9 })
        .isPromised
    assert.isTrue(ask(recordOf("other")))
    assert.isFalse(ask({ ...recordOf("other"), step: 1 }))
  })
})

describe("an operator's word", () => {
  it("is a right without an end, until the witness or the peer gives one", () => {
    const promoted = Rights.takeByOperator(follower)
    assert.strictEqual(Rights.endOf(promoted), Number.POSITIVE_INFINITY)
    assert.isUndefined(promoted.term, "the peer may have had any that this member does not know")
    const renewed = Rights.promised(rules, promoted, { sequence: 10, at: 6000, question: "Serve" }, 6100)
    assert.strictEqual(Rights.endOf(renewed), 7500)
  })
})

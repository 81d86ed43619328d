/** The messages and reasons of planned transitions, which no other transition may have. */
import { assert, describe, it } from "@effect/vitest"
import type { Input, Output, Rules } from "../../src/member/Member.ts"
import type { Heartbeat } from "../../src/protocol/Heartbeat.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import { Alone, logs, tagged, witnessedRules } from "./alone.ts"
import { makeRules } from "./rules.ts"

const hardenedRules = (role: Role): Rules => makeRules({ role, life: "mine" })

const seventh = { number: 0, step: 7 }
const vote: Input = { _tag: "Vote", voter: "x", hasSubscriber: false }
const pause: Input = { _tag: "Pause", id: 1, reason: "network work" }
const resume: Input = { _tag: "Resume", id: 2 }

/** What the runtime reports back at once. */
const answerTo = (output: Output, at: number): ReadonlyArray<Input> => {
  switch (output._tag) {
    case "ReadLink":
      return [{ _tag: "LinkRead", at, hasSubscriber: false }]
    case "ResetLink":
      return [{ _tag: "LinkReset", refusal: undefined }]
    case "EndTerm":
      return [{ _tag: "TermEnded", end: output.end }]
    default:
      return []
  }
}

/** Steps and what follows from them at once. Returns the messages and reasons of their transitions. */
const run = (one: Alone, now: number, ...inputs: ReadonlyArray<Input>): ReadonlyArray<string> => {
  const messages: Array<string> = []
  let next = inputs
  do {
    const outputs = one.step(now, ...next)
    messages.push(
      ...tagged(outputs, "Transitioned").map(({ transition: { message, reason } }) =>
        reason === undefined ? message : `${message} (${reason})`
      )
    )
    next = outputs.flatMap((output) => answerTo(output, now))
  } while (next.length > 0)
  return messages
}

/** The peer's host refuses connections. */
const down = (one: Alone, asOf: number): Input => ({
  _tag: "PeerDown",
  evidence: { _tag: "ConnectionRefused", endpoint: "tcp://peer:5003", asOf },
  linkEpoch: one.member.linkEpoch
})

/** Heartbeats of a member whose peer is silent. */
const beats = (one: Alone, from: number, to: number): void => {
  for (let now = from; now <= to; now += 1000) {
    one.beat(now)
  }
}

/** A passive member, whose peer is active and echoes its heartbeat of 1000 ms. */
const passive = (rules: Rules = hardenedRules("backup")): Alone => {
  const one = new Alone(rules)
  one.step(20, one.heartbeat("ACTIVE", { term: seventh }))
  one.beat(1000)
  one.step(1010, one.heartbeat("ACTIVE", { term: seventh }))
  assert.strictEqual(one.state, "PASSIVE")
  return one
}

const final = (one: Alone, part: Partial<Heartbeat> = {}): Input =>
  one.heartbeat("PRIMARY", { handsOver: true, term: seventh, ...part })

const switchover = (one: Alone, part: Partial<Heartbeat> = {}): Input => final(one, { reason: "new kernel", ...part })

const bySwitchover = "took over by switchover: new kernel, ready as active (new kernel)"
const failover = "failover successful, ready as active"

describe("a switchover", () => {
  it("is reported with its reason when the final heartbeat makes the member active", () => {
    const one = passive()
    assert.deepStrictEqual(run(one, 1100, switchover(one)), [bySwitchover])
  })

  it("is reported when a vote follows it, while the peer waits for this member", () => {
    const one = passive()
    const late = switchover(one)
    beats(one, 2000, 3000)
    run(one, 3100, late)
    assert.strictEqual(one.state, "REJOINING")
    assert.deepStrictEqual(run(one, 3200, down(one, 3200), vote), [bySwitchover])
  })

  it("is not reported of a takeover after it: its sender died before its next heartbeat, and this member stalled", () => {
    const one = passive()
    run(one, 1100, switchover(one))
    beats(one, 2000, 3000)
    run(one, 3900)
    run(one, 4600)
    assert.deepStrictEqual(run(one, 4700, down(one, 4700), vote), [failover])
  })

  it("is not reported once the peer would have ceased to wait for this member: it has died, or was active again", () => {
    const one = passive()
    run(one, 1020, pause)
    run(one, 1100, switchover(one))
    beats(one, 2000, 5000)
    run(one, 5010, resume)
    assert.deepStrictEqual(run(one, 5020, vote), [failover])
  })

  it("is not reported if the final heartbeat was on its way for so long", () => {
    const one = passive()
    const late = switchover(one)
    beats(one, 2000, 6000)
    run(one, 6100, late)
    assert.deepStrictEqual(run(one, 6110, down(one, 6110), vote), [failover])
  })

  it("is not reported if the peer has sent another heartbeat since, also as a new process", () => {
    for (const life of ["peer", "next"]) {
      const one = passive()
      run(one, 1020, pause)
      run(one, 1100, switchover(one))
      run(one, 1200, one.heartbeat("PRIMARY", { life }))
      run(one, 1210, resume)
      assert.deepStrictEqual(run(one, 1220, down(one, 1220), vote), [failover])
    }
  })

  it("is not reported of a promotion instead, nor of the takeover after that", () => {
    const one = passive()
    run(one, 1020, pause)
    run(one, 1100, switchover(one))
    const promoted = run(one, 1200, down(one, 1200), { _tag: "Promote", id: 3, reason: "the primary is lost" })
    assert.deepStrictEqual(promoted, ["promoted by an operator, ready as active (the primary is lost)"])
    run(one, 1210, resume)
    run(one, 3000)
    run(one, 3010, down(one, 3010))
    assert.deepStrictEqual(run(one, 3020, vote), [failover])
  })

  it("is not reported of the later term of a member that was active already", () => {
    const one = new Alone(hardenedRules("primary"))
    run(one, 20, one.heartbeat("BACKUP"))
    assert.strictEqual(one.state, "ACTIVE")
    const messages = run(one, 100, one.heartbeat("BACKUP", { handsOver: true, reason: "new kernel", term: seventh }))
    assert.deepStrictEqual([...new Set(messages)], ["the peer knows term 0.7, beginning a later one"])
  })
})

describe("a switchover of this member", () => {
  const handOver: Input = { _tag: "HandOver", id: 1, reason: "new kernel" }

  const active = (): Alone => {
    const one = new Alone(hardenedRules("primary"))
    run(one, 20, one.heartbeat("BACKUP"))
    return one
  }

  it("that is rejected is not reported of a later transition", () => {
    const one = active()
    assert.deepStrictEqual(tagged(one.step(30, handOver), "Complete").map(({ rejection }) => rejection), ["PeerSilent"])
    run(one, 40, one.heartbeat("ACTIVE", { activeMillis: 1000 }))
    assert.isUndefined(one.member.handOverReason)
  })

  it("is reported when its peer is active in time, and not afterwards", () => {
    const inTime = active()
    run(inTime, 30, inTime.heartbeat("PASSIVE"))
    run(inTime, 40, handOver)
    run(inTime, 50, { _tag: "RequestsDrained" })
    assert.deepStrictEqual(run(inTime, 60, inTime.heartbeat("ACTIVE")), [
      "backup took over by switchover: new kernel, ready as passive (new kernel)"
    ])

    const late = active()
    run(late, 30, late.heartbeat("PASSIVE"))
    run(late, 40, handOver)
    run(late, 50, { _tag: "RequestsDrained" })
    for (const now of [1000, 2000, 3000, 4000, 5000]) {
      run(late, now, { _tag: "HeartbeatDue" })
    }
    assert.strictEqual(late.state, "REJOINING")
    assert.notInclude(run(late, 5100, late.heartbeat("ACTIVE")).join(), "new kernel")
  })
})

describe("the policy classic", () => {
  it("reports a takeover after a final heartbeat as the Guide does", () => {
    for (const last of [final, switchover]) {
      const one = passive({ ...hardenedRules("backup"), policy: Policies.classic })
      assert.deepStrictEqual(run(one, 1100, last(one)), ["primary (passive) is restarting, ready as active"])
    }
  })
})

describe("crash evidence", () => {
  const peerIsDown = "the peer is down (connection to tcp://peer:5003 refused)"

  it("after a final heartbeat is expected, and not logged", () => {
    for (const last of [final, switchover]) {
      const one = passive()
      run(one, 1100, last(one))
      assert.strictEqual(one.state, "ACTIVE")
      assert.deepStrictEqual(logs(one.step(1200, down(one, 1200))), [])

      const paused = passive()
      run(paused, 1020, pause)
      run(paused, 1100, last(paused))
      assert.strictEqual(paused.state, "REJOINING")
      assert.deepStrictEqual(logs(paused.step(1200, down(paused, 1200))), [])
    }
  })

  it("is logged after any other heartbeat, also of a peer that has handed over before", () => {
    const one = passive()
    assert.deepStrictEqual(logs(one.step(1200, down(one, 1200))), [peerIsDown])

    const again = passive()
    run(again, 1100, final(again))
    run(again, 1200, again.heartbeat("PASSIVE", { life: "next" }))
    assert.deepStrictEqual(logs(again.step(1300, down(again, 1300))), [peerIsDown])
  })
})

describe("with a witness", () => {
  const term = { number: 3, step: 0 }
  const record = { version: "7", record: { ...term, holder: "primary" as const, life: "peer", isReleased: false } }

  /** A passive member that follows its peer in term 3.0. */
  const follower = (): Alone => {
    const one = new Alone(witnessedRules("backup"))
    one.step(10, one.answers({ _tag: "Seen", seen: record }, "a"))
    one.beat(1000)
    one.step(1010, one.answers({ _tag: "Seen", seen: record }, "a"))
    one.step(1020, one.heartbeat("ACTIVE", { question: "Serve", term, isRecorded: true, witness: "a" }))
    return one
  }

  it("a stop of the peer is reported as a hand-over, not as a failover", () => {
    const one = follower()
    assert.deepStrictEqual(run(one, 1100, final(one, { term })), ["primary has handed over, ready as active"])
  })

  it("a switchover is reported with its reason", () => {
    const one = follower()
    assert.deepStrictEqual(run(one, 1100, switchover(one, { term })), [bySwitchover])
  })

  it("a stop that gives no right at once is reported as a hand-over when the witness gives it", () => {
    const one = follower()
    run(one, 1100, final(one, { term: { number: 2, step: 0 } }))
    assert.strictEqual(one.state, "PASSIVE")
    const released = { version: "8", record: { ...record.record, isReleased: true } }
    beats(one, 2000, 3000)
    one.step(3010, one.answers({ _tag: "Seen", seen: released }, "a"))
    run(one, 3100, vote)
    assert.deepStrictEqual(run(one, 3110, one.answers({ _tag: "Swapped", version: "9" }, "a")), [
      "primary has handed over, ready as active"
    ])
  })

  it("a right that is gained again after it has lapsed is not reported as the switchover before", () => {
    const one = follower()
    run(one, 1100, switchover(one, { term }))
    one.beat(2000)
    run(one, 2700)
    assert.strictEqual(one.state, "REJOINING")
    for (const now of [3000, 4000, 5000]) {
      one.beat(now)
      one.step(now + 10, one.answers({ _tag: "Seen", seen: record }, "a"))
    }
    run(one, 5100, vote)
    assert.deepStrictEqual(run(one, 5110, one.answers({ _tag: "Swapped", version: "8" }, "a")), [failover])
  })

  it("a promotion is reported as one, with its reason", () => {
    const one = follower()
    beats(one, 2000, 4000)
    const promote = { _tag: "Promote", id: 1, reason: "the primary is lost", isWithoutWitness: true } as const
    assert.deepStrictEqual(run(one, 4100, promote), [
      "promoted by an operator, ready as active (the primary is lost)"
    ])
  })

  it("a failover is reported as one", () => {
    const one = follower()
    run(one, 1200, down(one, 1200))
    assert.deepStrictEqual(run(one, 1210, vote), [failover])
  })
})

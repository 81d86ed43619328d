import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as StateMachine from "../../src/protocol/StateMachine.ts"
import { eventOf, memberIn, peerTimeoutMillis, role, rules } from "./support.ts"

/** Events and states of the Guide. */
const guideTags = ["PeerPrimary", "PeerBackup", "PeerActive", "PeerPassive", "ClientRequest"] as const
const guideStates = ["PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"] as const

/** The golden table, every cell: state, event, peer, then verdict, next state and message. */
const table = `
PRIMARY PeerPrimary   alive   | accept PRIMARY |
PRIMARY PeerPrimary   expired | accept PRIMARY |
PRIMARY PeerBackup    alive   | accept ACTIVE  | connected to backup (passive), ready as active
PRIMARY PeerBackup    expired | accept ACTIVE  | connected to backup (passive), ready as active
PRIMARY PeerActive    alive   | accept PASSIVE | connected to backup (active), ready as passive
PRIMARY PeerActive    expired | accept PASSIVE | connected to backup (active), ready as passive
PRIMARY PeerPassive   alive   | accept PRIMARY |
PRIMARY PeerPassive   expired | accept PRIMARY |
PRIMARY ClientRequest alive   | accept PRIMARY |
PRIMARY ClientRequest expired | accept PRIMARY |
BACKUP  PeerPrimary   alive   | accept BACKUP  |
BACKUP  PeerPrimary   expired | accept BACKUP  |
BACKUP  PeerBackup    alive   | accept BACKUP  |
BACKUP  PeerBackup    expired | accept BACKUP  |
BACKUP  PeerActive    alive   | accept PASSIVE | connected to primary (active), ready as passive
BACKUP  PeerActive    expired | accept PASSIVE | connected to primary (active), ready as passive
BACKUP  PeerPassive   alive   | accept BACKUP  |
BACKUP  PeerPassive   expired | accept BACKUP  |
BACKUP  ClientRequest alive   | reject BACKUP  |
BACKUP  ClientRequest expired | reject BACKUP  |
ACTIVE  PeerPrimary   alive   | accept ACTIVE  |
ACTIVE  PeerPrimary   expired | accept ACTIVE  |
ACTIVE  PeerBackup    alive   | accept ACTIVE  |
ACTIVE  PeerBackup    expired | accept ACTIVE  |
ACTIVE  PeerActive    alive   | fatal  ACTIVE  | fatal error - dual actives, aborting
ACTIVE  PeerActive    expired | fatal  ACTIVE  | fatal error - dual actives, aborting
ACTIVE  PeerPassive   alive   | accept ACTIVE  |
ACTIVE  PeerPassive   expired | accept ACTIVE  |
ACTIVE  ClientRequest alive   | accept ACTIVE  |
ACTIVE  ClientRequest expired | accept ACTIVE  |
PASSIVE PeerPrimary   alive   | accept ACTIVE  | primary (passive) is restarting, ready as active
PASSIVE PeerPrimary   expired | accept ACTIVE  | primary (passive) is restarting, ready as active
PASSIVE PeerBackup    alive   | accept ACTIVE  | backup (passive) is restarting, ready as active
PASSIVE PeerBackup    expired | accept ACTIVE  | backup (passive) is restarting, ready as active
PASSIVE PeerActive    alive   | accept PASSIVE |
PASSIVE PeerActive    expired | accept PASSIVE |
PASSIVE PeerPassive   alive   | fatal  PASSIVE | fatal error - dual passives, aborting
PASSIVE PeerPassive   expired | fatal  PASSIVE | fatal error - dual passives, aborting
PASSIVE ClientRequest alive   | reject PASSIVE |
PASSIVE ClientRequest expired | accept ACTIVE  | failover successful, ready as active
`

const cells = table.trim().split("\n").map((line) => {
  const [given, expected, message] = line.split("|").map((part) => part.trim().split(/\s+/))
  const [state, event, peer] = given as [StateMachine.State, StateMachine.Event["_tag"], "alive" | "expired"]
  const [verdict, next] = expected as [string, StateMachine.State]
  return { state, event, peer, verdict, next, message: message!.join(" ") }
})

const history = FastCheck.array(
  FastCheck.record({ tag: FastCheck.constantFrom(...guideTags), after: FastCheck.integer({ min: 0, max: 3000 }) }),
  { maxLength: 60 }
)

/** Runs a member from its start through a history, until its end or a fatal verdict. */
const run = (role: StateMachine.Role, events: typeof history extends FastCheck.Arbitrary<infer A> ? A : never) => {
  let now = 0
  let member = StateMachine.start(rules(role), now).next
  const trail: Array<
    {
      readonly before: StateMachine.ProtocolState
      readonly event: StateMachine.Event
      readonly outcome: StateMachine.Outcome
    }
  > = []
  for (const { after, tag } of events) {
    now += after
    const event = eventOf(tag, now)
    const outcome = StateMachine.step(rules(role), member, event)
    trail.push({ before: member, event, outcome })
    if (outcome.verdict._tag === "Fatal") {
      break
    }
    member = outcome.next
  }
  return trail
}

describe("classic", () => {
  it("the golden table has 40 cells, each once", () => {
    assert.strictEqual(cells.length, 40)
    assert.strictEqual(new Set(cells.map(({ event, peer, state }) => `${state} ${event} ${peer}`)).size, 40)
  })

  it.each(cells)("$state, $event, peer $peer: $verdict, $next", ({ event, message, next, peer, state, verdict }) => {
    for (const role of ["primary", "backup"] as const) {
      const peerDeadline = 5000
      const now = peer === "alive" ? peerDeadline : peerDeadline + 0.001
      const outcome = StateMachine.step(rules(role), memberIn(state, peerDeadline), eventOf(event, now))
      assert.strictEqual(outcome.verdict._tag.toLowerCase(), verdict)
      assert.strictEqual(outcome.next.state, next)
      assert.strictEqual(outcome.message ?? "", message)
      assert.strictEqual(outcome.publish, next === state ? undefined : StateMachine.reportedState[next])
      assert.strictEqual(
        outcome.next.peerDeadline,
        event === "ClientRequest" || verdict === "fatal" ? peerDeadline : now + peerTimeoutMillis
      )
    }
  })

  it("a fatal verdict has a reason", () => {
    const fatal = (state: StateMachine.State, event: StateMachine.Event["_tag"]) =>
      StateMachine.step(rules(), memberIn(state, 0), eventOf(event, 0)).verdict
    assert.deepStrictEqual(fatal("ACTIVE", "PeerActive"), { _tag: "Fatal", reason: "DualActive" })
    assert.deepStrictEqual(fatal("PASSIVE", "PeerPassive"), { _tag: "Fatal", reason: "DualPassive" })
  })

  it.prop("no transition leads to PRIMARY or BACKUP, or out of ACTIVE", { role, history }, (given) => {
    for (const { before, outcome } of run(given.role, given.history)) {
      if (outcome.next.state !== before.state) {
        assert.include(["ACTIVE", "PASSIVE"], outcome.next.state)
        assert.notStrictEqual(before.state, "ACTIVE")
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("requests are accepted only as ACTIVE or PRIMARY", { role, history }, (given) => {
    for (const { event, outcome } of run(given.role, given.history)) {
      if (event._tag === "ClientRequest" && outcome.verdict._tag === "Accept") {
        assert.include(["ACTIVE", "PRIMARY"], outcome.next.state)
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("a takeover needs a vote and an expired peer", { role, history }, (given) => {
    let lastHeartbeatAt = 0
    for (const { before, event, outcome } of run(given.role, given.history)) {
      if (event._tag === "ClientRequest" && before.state === "PASSIVE") {
        assert.strictEqual(outcome.verdict._tag === "Accept", event.now - lastHeartbeatAt > peerTimeoutMillis)
      }
      if (event._tag !== "ClientRequest") {
        lastHeartbeatAt = event.now
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("a verdict is fatal only if both are active or both are passive", { role, history }, (given) => {
    for (const { before, event, outcome } of run(given.role, given.history)) {
      const both = (before.state === "ACTIVE" && event._tag === "PeerActive") ||
        (before.state === "PASSIVE" && event._tag === "PeerPassive")
      assert.strictEqual(outcome.verdict._tag === "Fatal", both)
    }
  }, { fastCheck: { numRuns: 2000 } })

  it("events beyond the Guide are ignored", () => {
    for (const role of ["primary", "backup"] as const) {
      for (const state of guideStates) {
        const member = memberIn(state, 5000)
        const links = { LinkConnecting: "Connecting", LinkConnected: "Connected", LinkLost: "Down" } as const
        for (const tag of ["Stalled", "Stopping", "HandOver", "LinkConnecting", "LinkConnected", "LinkLost"] as const) {
          const link = tag in links ? links[tag as keyof typeof links] : member.link
          assert.deepStrictEqual(
            StateMachine.step(rules(role), member, eventOf(tag, 9000)),
            { next: { ...member, link }, verdict: { _tag: "Accept" }, publish: undefined, message: undefined }
          )
        }
        const alone = StateMachine.step(rules(role), member, { _tag: "Stalled", now: 9000, isAlone: true })
        assert.deepStrictEqual([alone.next, alone.publish], [member, undefined])
      }
    }
  })

  it("a promotion needs an expired peer", () => {
    for (const role of ["primary", "backup"] as const) {
      for (const state of guideStates) {
        const promote = (now: number) => StateMachine.step(rules(role), memberIn(state, 5000), eventOf("Promote", now))
        const isActive = state === "ACTIVE"
        assert.deepStrictEqual(promote(5000).verdict, { _tag: isActive ? "Accept" : "Reject" })
        assert.strictEqual(promote(5000).next.state, state)
        assert.deepStrictEqual(promote(5001).verdict, { _tag: "Accept" })
        assert.strictEqual(promote(5001).next.state, "ACTIVE")
        assert.strictEqual(promote(5001).message, isActive ? undefined : "promoted by an operator, ready as active")
      }
    }
  })

  it("events in a state without a row are rejected", () => {
    for (const state of ["REJOINING", "HANDING_OVER", "CONTESTED"] as const) {
      for (const tag of StateMachine.eventTags) {
        const { next, verdict } = StateMachine.step(rules(), memberIn(state, 5000), eventOf(tag, 9000))
        assert.deepStrictEqual([next.state, verdict._tag], [state, "Reject"])
      }
    }
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Fsm from "../src/Fsm.ts"

const expiryMillis = 2000
const rules = (role: Fsm.Role = "primary"): Fsm.Rules => ({ role, policy: Fsm.classic, expiryMillis })

/**
 * The table of the specification, every cell written out: state, event, peer, then verdict, next state and what is said.
 */
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
  const [question, answer, say] = line.split("|").map((part) => part.trim().split(/\s+/))
  const [state, event, peer] = question as [Fsm.State, Fsm.Event["_tag"], "alive" | "expired"]
  const [verdict, next] = answer as [string, Fsm.State]
  return { state, event, peer, verdict, next, say: say!.join(" ") }
})

const state = FastCheck.constantFrom(...Fsm.states)
const role = FastCheck.constantFrom<Fsm.Role>("primary", "backup")
const history = FastCheck.array(
  FastCheck.record({ tag: FastCheck.constantFrom(...Fsm.eventTags), after: FastCheck.integer({ min: 0, max: 3000 }) }),
  { maxLength: 60 }
)

/** Runs a member from its start through a history, until its end or a fatal verdict. */
const run = (role: Fsm.Role, events: typeof history extends FastCheck.Arbitrary<infer A> ? A : never) => {
  let now = 0
  let member = Fsm.start(rules(role), now).member
  const trail: Array<{ readonly before: Fsm.Member; readonly event: Fsm.Event; readonly outcome: Fsm.Outcome }> = []
  for (const { after, tag } of events) {
    now += after
    const event: Fsm.Event = { _tag: tag, now }
    const outcome = Fsm.step(rules(role), member, event)
    trail.push({ before: member, event, outcome })
    if (outcome.verdict._tag === "Fatal") {
      break
    }
    member = outcome.member
  }
  return trail
}

describe("Fsm", () => {
  it("has 40 cells in its table, each of them once", () => {
    assert.strictEqual(cells.length, 40)
    assert.strictEqual(new Set(cells.map(({ event, peer, state }) => `${state} ${event} ${peer}`)).size, 40)
  })

  it.each(cells)("$state, $event, peer $peer: $verdict, $next", ({ event, next, peer, say, state, verdict }) => {
    for (const role of ["primary", "backup"] as const) {
      const peerExpiry = 5000
      const now = peer === "alive" ? peerExpiry : peerExpiry + 0.001
      const outcome = Fsm.step(rules(role), { state, peerExpiry }, { _tag: event, now })
      assert.strictEqual(outcome.verdict._tag.toLowerCase(), verdict)
      assert.strictEqual(outcome.member.state, next)
      assert.strictEqual(outcome.say ?? "", say)
      assert.strictEqual(
        outcome.member.peerExpiry,
        event === "ClientRequest" || verdict === "fatal" ? peerExpiry : now + expiryMillis
      )
    }
  })

  it("names the reason of a fatal verdict", () => {
    const fatal = (state: Fsm.State, event: Fsm.Event["_tag"]) =>
      Fsm.step(rules(), { state, peerExpiry: 0 }, { _tag: event, now: 0 }).verdict
    assert.deepStrictEqual(fatal("ACTIVE", "PeerActive"), { _tag: "Fatal", reason: "DualActive" })
    assert.deepStrictEqual(fatal("PASSIVE", "PeerPassive"), { _tag: "Fatal", reason: "DualPassive" })
  })

  it("starts in the state of its role, with two heartbeats to hear its peer", () => {
    assert.deepStrictEqual(Fsm.start(rules("primary"), 10), {
      member: { state: "PRIMARY", peerExpiry: 2010 },
      verdict: { _tag: "Accept" },
      say: "Primary active, waiting for backup (passive)"
    })
    assert.deepStrictEqual(Fsm.start(rules("backup"), 10), {
      member: { state: "BACKUP", peerExpiry: 2010 },
      verdict: { _tag: "Accept" },
      say: "Backup passive, waiting for primary (active)"
    })
  })

  it.prop("gives the same answer to the same question and changes nothing it was given", {
    state,
    role,
    tag: FastCheck.constantFrom(...Fsm.eventTags),
    now: FastCheck.double({ min: 0, max: 1e13, noNaN: true }),
    peerExpiry: FastCheck.double({ min: 0, max: 1e13, noNaN: true })
  }, ({ now, peerExpiry, role, state, tag }) => {
    const member = Object.freeze({ state, peerExpiry })
    const event = Object.freeze({ _tag: tag, now })
    assert.deepStrictEqual(Fsm.step(rules(role), member, event), Fsm.step(rules(role), member, event))
  })

  it.prop("never comes back to PRIMARY or BACKUP, and leaves ACTIVE only by its end", { role, history }, (given) => {
    for (const { before, outcome } of run(given.role, given.history)) {
      if (outcome.member.state !== before.state) {
        assert.include(["ACTIVE", "PASSIVE"], outcome.member.state)
        assert.notStrictEqual(before.state, "ACTIVE")
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("accepts a request only as ACTIVE or as a PRIMARY without a peer", { role, history }, (given) => {
    for (const { event, outcome } of run(given.role, given.history)) {
      if (event._tag === "ClientRequest" && outcome.verdict._tag === "Accept") {
        assert.include(["ACTIVE", "PRIMARY"], outcome.member.state)
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("takes over only on a request, and only from a peer that is silent too long", { role, history }, (given) => {
    let lastHeard = 0
    for (const { before, event, outcome } of run(given.role, given.history)) {
      if (event._tag === "ClientRequest" && before.state === "PASSIVE") {
        assert.strictEqual(outcome.verdict._tag === "Accept", event.now - lastHeard > expiryMillis)
      }
      if (event._tag !== "ClientRequest") {
        lastHeard = event.now
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("is fatal only when both are active or both are passive", { role, history }, (given) => {
    for (const { before, event, outcome } of run(given.role, given.history)) {
      const both = (before.state === "ACTIVE" && event._tag === "PeerActive") ||
        (before.state === "PASSIVE" && event._tag === "PeerPassive")
      assert.strictEqual(outcome.verdict._tag === "Fatal", both)
    }
  }, { fastCheck: { numRuns: 2000 } })
})

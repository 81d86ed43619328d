import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Fsm from "../src/Fsm.ts"

const expiryMillis = 2000
const rules = (role: Fsm.Role = "primary", policy: Fsm.Policy = Fsm.classic): Fsm.Rules => ({
  role,
  policy,
  expiryMillis
})

const eventOf = (tag: Fsm.Event["_tag"], now: number, asOf = now): Fsm.Event =>
  tag === "PeerGone"
    ? { _tag: tag, now, evidence: { _tag: "ConnectionRefused", endpoint: "tcp://peer:5003", asOf } }
    : { _tag: tag, now }

/** The events of the Guide. */
const guideTags = ["PeerPrimary", "PeerBackup", "PeerActive", "PeerPassive", "ClientRequest"] as const
const guideStates = ["PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"] as const

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

/**
 * The same for `hardened`, all of it: role, state, event, peer (any: alive and expired), then verdict, next state, what is
 * published at once, and the rule. Role any: both.
 */
const hardenedTable = `
primary PRIMARY  PeerPrimary   any     | accept PRIMARY  -       new  -
primary PRIMARY  PeerBackup    any     | accept ACTIVE   -       new  -
primary PRIMARY  PeerActive    any     | accept PASSIVE  -       new  -
primary PRIMARY  PeerPassive   any     | accept PRIMARY  -       new  -
primary PRIMARY  PeerGone      any     | accept PRIMARY  -       none H7
primary PRIMARY  ClientRequest alive   | reject PRIMARY  -       kept H1
primary PRIMARY  ClientRequest expired | accept ACTIVE   -       kept H1
primary PRIMARY  Slept         any     | accept PRIMARY  PRIMARY new  H4
primary PRIMARY  Stopping      any     | accept PRIMARY  PRIMARY new  H5
primary PRIMARY  Yield         any     | accept PRIMARY  -       kept -
primary PRIMARY  Promote       alive   | reject PRIMARY  -       kept -
primary PRIMARY  Promote       expired | accept ACTIVE   -       kept -
backup  BACKUP   PeerPrimary   any     | accept BACKUP   -       new  -
backup  BACKUP   PeerBackup    any     | accept BACKUP   -       new  -
backup  BACKUP   PeerActive    any     | accept PASSIVE  -       new  -
backup  BACKUP   PeerPassive   any     | accept BACKUP   -       new  -
backup  BACKUP   PeerGone      any     | accept BACKUP   -       kept H8
backup  BACKUP   ClientRequest any     | reject BACKUP   -       kept -
backup  BACKUP   Slept         any     | accept BACKUP   BACKUP  new  H4
backup  BACKUP   Stopping      any     | accept BACKUP   BACKUP  new  H5
backup  BACKUP   Yield         any     | accept BACKUP   -       kept -
backup  BACKUP   Promote       alive   | reject BACKUP   -       kept H8
backup  BACKUP   Promote       expired | reject RESUMING BACKUP  new  H8
any     ACTIVE   PeerPrimary   any     | accept ACTIVE   -       new  -
any     ACTIVE   PeerBackup    any     | accept ACTIVE   -       new  -
primary ACTIVE   PeerActive    any     | accept ACTIVE   -       new  H2
backup  ACTIVE   PeerActive    any     | accept PASSIVE  -       new  H2
any     ACTIVE   PeerPassive   any     | accept ACTIVE   -       new  -
any     ACTIVE   PeerGone      any     | accept ACTIVE   -       none H7
any     ACTIVE   ClientRequest any     | accept ACTIVE   -       kept -
primary ACTIVE   Slept         any     | accept PRIMARY  PRIMARY new  H4
primary ACTIVE   Stopping      any     | accept PRIMARY  PRIMARY new  H5
backup  ACTIVE   Slept         any     | accept RESUMING BACKUP  new  H4
backup  ACTIVE   Stopping      any     | accept BACKUP   BACKUP  new  H5
primary ACTIVE   Yield         any     | accept YIELDING PRIMARY long H9
backup  ACTIVE   Yield         any     | accept YIELDING BACKUP  long H9
any     ACTIVE   Promote       any     | accept ACTIVE   -       kept -
primary PASSIVE  PeerPrimary   any     | accept ACTIVE   -       new  -
backup  PASSIVE  PeerPrimary   any     | accept RESUMING BACKUP  new  H8
any     PASSIVE  PeerBackup    any     | accept ACTIVE   -       new  -
any     PASSIVE  PeerActive    any     | accept PASSIVE  -       new  -
primary PASSIVE  PeerPassive   any     | accept ACTIVE   -       new  H3
backup  PASSIVE  PeerPassive   any     | accept PASSIVE  -       new  H3
any     PASSIVE  PeerGone      any     | accept PASSIVE  -       none H7
any     PASSIVE  ClientRequest alive   | reject PASSIVE  -       kept -
any     PASSIVE  ClientRequest expired | accept ACTIVE   -       kept -
primary PASSIVE  Slept         any     | accept PRIMARY  PRIMARY new  H4
primary PASSIVE  Stopping      any     | accept PRIMARY  PRIMARY new  H5
backup  PASSIVE  Slept         any     | accept RESUMING BACKUP  new  H4
backup  PASSIVE  Stopping      any     | accept BACKUP   BACKUP  new  H5
any     PASSIVE  Yield         any     | accept PASSIVE  -       kept -
any     PASSIVE  Promote       alive   | reject PASSIVE  -       kept -
any     PASSIVE  Promote       expired | accept ACTIVE   -       kept -
backup  RESUMING PeerPrimary   any     | accept RESUMING BACKUP  new  H4
backup  RESUMING PeerBackup    any     | accept RESUMING -       new  -
backup  RESUMING PeerActive    any     | accept PASSIVE  -       new  H4
backup  RESUMING PeerPassive   any     | accept RESUMING BACKUP  new  H4
backup  RESUMING PeerGone      any     | accept RESUMING -       none H7
backup  RESUMING ClientRequest alive   | reject RESUMING -       kept H4
backup  RESUMING ClientRequest expired | accept ACTIVE   -       kept H4
backup  RESUMING Slept         any     | accept RESUMING BACKUP  new  H4
backup  RESUMING Stopping      any     | accept BACKUP   BACKUP  new  H5
backup  RESUMING Yield         any     | accept RESUMING -       kept -
backup  RESUMING Promote       alive   | reject RESUMING -       kept -
backup  RESUMING Promote       expired | accept ACTIVE   -       kept -
any     YIELDING PeerPrimary   any     | accept YIELDING -       kept H9
any     YIELDING PeerBackup    any     | accept YIELDING -       kept H9
any     YIELDING PeerActive    any     | accept PASSIVE  PASSIVE new  H9
any     YIELDING PeerPassive   any     | accept YIELDING -       kept H9
any     YIELDING PeerGone      any     | accept YIELDING -       none H7
any     YIELDING ClientRequest alive   | reject YIELDING -       kept H9
primary YIELDING ClientRequest expired | reject RESUMING PRIMARY new  H9
backup  YIELDING ClientRequest expired | reject RESUMING BACKUP  new  H9
primary YIELDING Slept         any     | accept RESUMING PRIMARY new  H4
backup  YIELDING Slept         any     | accept RESUMING BACKUP  new  H4
primary YIELDING Stopping      any     | accept PRIMARY  PRIMARY new  H5
backup  YIELDING Stopping      any     | accept BACKUP   BACKUP  new  H5
any     YIELDING Yield         any     | accept YIELDING -       kept -
any     YIELDING Promote       alive   | reject YIELDING -       kept H9
primary YIELDING Promote       expired | reject RESUMING PRIMARY new  H9
backup  YIELDING Promote       expired | reject RESUMING BACKUP  new  H9
primary RESUMING PeerPrimary   any     | accept RESUMING -       kept H9
primary RESUMING PeerBackup    any     | accept RESUMING -       kept H9
primary RESUMING PeerActive    any     | accept PASSIVE  -       new  H9
primary RESUMING PeerPassive   any     | accept RESUMING -       kept H9
primary RESUMING PeerGone      any     | accept RESUMING -       none H7
primary RESUMING ClientRequest alive   | reject RESUMING -       kept H9
primary RESUMING ClientRequest expired | reject PRIMARY  PRIMARY new  H9
primary RESUMING Slept         any     | accept RESUMING PRIMARY new  H4
primary RESUMING Stopping      any     | accept PRIMARY  PRIMARY new  H5
primary RESUMING Yield         any     | accept RESUMING -       kept -
primary RESUMING Promote       alive   | reject RESUMING -       kept H9
primary RESUMING Promote       expired | reject PRIMARY  PRIMARY new  H9
`

const hardenedCells = hardenedTable.trim().split("\n").flatMap((line) => {
  const [who, state, event, when, , verdict, next, publish, expiry, rule] = line.split(/\s+/)
  const orAny = <A>(given: string, all: ReadonlyArray<A>) => given === "any" ? all : [given as A]
  return orAny<Fsm.Role>(who!, ["primary", "backup"]).flatMap((role) =>
    orAny<"alive" | "expired">(when!, ["alive", "expired"]).map((peer) => ({
      role,
      state: state as Fsm.State,
      event: event as Fsm.Event["_tag"],
      peer,
      verdict,
      next,
      publish,
      expiry,
      rule
    }))
  )
})

const role = FastCheck.constantFrom<Fsm.Role>("primary", "backup")
const history = FastCheck.array(
  FastCheck.record({ tag: FastCheck.constantFrom(...guideTags), after: FastCheck.integer({ min: 0, max: 3000 }) }),
  { maxLength: 60 }
)

/** Runs a member from its start through a history, until its end or a fatal verdict. */
const run = (role: Fsm.Role, events: typeof history extends FastCheck.Arbitrary<infer A> ? A : never) => {
  let now = 0
  let member = Fsm.start(rules(role), now).member
  const trail: Array<{ readonly before: Fsm.Member; readonly event: Fsm.Event; readonly outcome: Fsm.Outcome }> = []
  for (const { after, tag } of events) {
    now += after
    const event = eventOf(tag, now)
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
      const outcome = Fsm.step(rules(role), { state, peerExpiry }, eventOf(event, now))
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
      Fsm.step(rules(), { state, peerExpiry: 0 }, eventOf(event, 0)).verdict
    assert.deepStrictEqual(fatal("ACTIVE", "PeerActive"), { _tag: "Fatal", reason: "DualActive" })
    assert.deepStrictEqual(fatal("PASSIVE", "PeerPassive"), { _tag: "Fatal", reason: "DualPassive" })
  })

  it("starts in the state of its role, with two heartbeats to hear its peer", () => {
    assert.deepStrictEqual(Fsm.start(rules("primary"), 10), {
      member: { state: "PRIMARY", peerExpiry: 2010 },
      verdict: { _tag: "Accept" },
      publish: undefined,
      say: "Primary active, waiting for backup (passive)"
    })
    assert.deepStrictEqual(Fsm.start(rules("backup"), 10), {
      member: { state: "BACKUP", peerExpiry: 2010 },
      verdict: { _tag: "Accept" },
      publish: undefined,
      say: "Backup passive, waiting for primary (active)"
    })
  })

  it.prop("gives the same answer to the same question and changes nothing it was given", {
    state: FastCheck.constantFrom(...Fsm.states),
    role,
    policy: FastCheck.constantFrom(...Object.values(Fsm.policies)),
    tag: FastCheck.constantFrom(...Fsm.eventTags),
    now: FastCheck.double({ min: 0, max: 1e13, noNaN: true }),
    peerExpiry: FastCheck.double({ min: 0, max: 1e13, noNaN: true })
  }, ({ now, peerExpiry, policy, role, state, tag }) => {
    const member = Object.freeze({ state, peerExpiry })
    const event = Object.freeze(eventOf(tag, now))
    assert.deepStrictEqual(Fsm.step(rules(role, policy), member, event), Fsm.step(rules(role, policy), member, event))
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

describe("the classic policy", () => {
  it("does nothing about what the Guide does not know", () => {
    for (const role of ["primary", "backup"] as const) {
      for (const state of guideStates) {
        const member = { state, peerExpiry: 5000 }
        for (const tag of ["Slept", "Stopping", "Yield"] as const) {
          assert.deepStrictEqual(
            Fsm.step(rules(role), member, eventOf(tag, 9000)),
            { member, verdict: { _tag: "Accept" }, publish: undefined, say: undefined }
          )
        }
      }
    }
  })

  it("lets an operator decide once the peer has expired", () => {
    for (const role of ["primary", "backup"] as const) {
      for (const state of guideStates) {
        const promote = (now: number) => Fsm.step(rules(role), { state, peerExpiry: 5000 }, eventOf("Promote", now))
        const isActive = state === "ACTIVE"
        assert.deepStrictEqual(promote(5000).verdict, { _tag: isActive ? "Accept" : "Reject" })
        assert.strictEqual(promote(5000).member.state, state)
        assert.deepStrictEqual(promote(5001).verdict, { _tag: "Accept" })
        assert.strictEqual(promote(5001).member.state, "ACTIVE")
        assert.strictEqual(promote(5001).say, isActive ? undefined : "promoted by an operator, ready as active")
      }
    }
  })

  it("refuses everything in a state that it does not have", () => {
    for (const state of ["RESUMING", "YIELDING"] as const) {
      for (const tag of Fsm.eventTags) {
        const { member, verdict } = Fsm.step(rules(), { state, peerExpiry: 5000 }, eventOf(tag, 9000))
        assert.deepStrictEqual([member.state, verdict._tag], [state, "Reject"])
      }
    }
  })
})

describe("the hardened policy", () => {
  it("has every cell in its table, each of them once", () => {
    // Five states of each role, ten events, a peer alive and expired.
    assert.strictEqual(hardenedCells.length, (5 + 5) * 10 * 2)
    assert.strictEqual(
      new Set(hardenedCells.map(({ event, peer, role, state }) => `${role} ${state} ${event} ${peer}`)).size,
      hardenedCells.length
    )
  })

  it.each(hardenedCells)(
    "$role, $state, $event, peer $peer: $verdict, $next",
    ({ event, expiry, next, peer, publish, role, rule, state, verdict }) => {
      const now = peer === "alive" ? 5000 : 5000.001
      const outcome = Fsm.step(rules(role, Fsm.hardened), { state, peerExpiry: 5000 }, eventOf(event, now))
      assert.strictEqual(outcome.verdict._tag.toLowerCase(), verdict)
      assert.strictEqual(outcome.member.state, next)
      assert.strictEqual(outcome.publish ?? "-", publish)
      assert.strictEqual(Fsm.hardened[role][state]?.[event].rule ?? "-", rule)
      const expiries: Record<string, number> = {
        kept: 5000,
        new: now + expiryMillis,
        long: now + 2 * expiryMillis,
        none: Number.NEGATIVE_INFINITY
      }
      assert.strictEqual(outcome.member.peerExpiry, expiries[expiry!])
      // Whatever changes is told, but that a word in answer to another goes with the beats.
      if (outcome.member.state !== state) {
        assert.isDefined(outcome.say)
      }
    }
  )

  it("lets a vote succeed at once when the peer is known to be gone", () => {
    const backup = rules("backup", Fsm.hardened)
    const gone = Fsm.step(backup, { state: "PASSIVE", peerExpiry: 3000 }, eventOf("PeerGone", 1500, 1400))
    assert.strictEqual(gone.say, "the peer is gone (connection to tcp://peer:5003 refused)")
    assert.strictEqual(gone.member.state, "PASSIVE")
    const vote = Fsm.step(backup, gone.member, eventOf("ClientRequest", 1500))
    assert.deepStrictEqual([vote.verdict._tag, vote.member.state], ["Accept", "ACTIVE"])
  })

  it.prop("takes no evidence that is older than the peer's last word", {
    lastWord: FastCheck.integer({ min: 0, max: 10_000 }),
    asOf: FastCheck.integer({ min: 0, max: 10_000 })
  }, ({ asOf, lastWord }) => {
    const member = { state: "PASSIVE", peerExpiry: lastWord + expiryMillis } as const
    const { member: after, say } = Fsm.step(rules("backup", Fsm.hardened), member, eventOf("PeerGone", 10_000, asOf))
    assert.strictEqual(after.peerExpiry, asOf >= lastWord ? Number.NEGATIVE_INFINITY : member.peerExpiry)
    assert.strictEqual(say !== undefined, asOf >= lastWord)
  })

  it("hands over to a peer that finds nobody any more, and gives up in three steps when it does not", () => {
    const [primary, backup] = [rules("primary", Fsm.hardened), rules("backup", Fsm.hardened)]
    const yielding = Fsm.step(primary, { state: "ACTIVE", peerExpiry: 2500 }, eventOf("Yield", 1000))
    assert.strictEqual(yielding.say, "handing over, waiting for the peer to be active")
    assert.isUndefined(Fsm.wordOf[yielding.member.state])

    const waiting = Fsm.step(backup, { state: "PASSIVE", peerExpiry: 2500 }, eventOf("PeerPrimary", 1010))
    const known = Fsm.step(backup, waiting.member, eventOf("PeerGone", 1030, 1020))
    const promoted = Fsm.step(backup, known.member, eventOf("Promote", 1030))
    assert.deepStrictEqual([promoted.verdict._tag, promoted.member.state], ["Accept", "ACTIVE"])
    assert.strictEqual(Fsm.step(primary, yielding.member, eventOf("PeerActive", 2000)).member.state, "PASSIVE")

    let member = yielding.member
    const states = [5000, 5000.1, 5001, 7001, 7002, 9002].map((now) => {
      member = Fsm.step(primary, member, eventOf("ClientRequest", now)).member
      return member.state
    })
    assert.deepStrictEqual(states, ["YIELDING", "RESUMING", "RESUMING", "PRIMARY", "PRIMARY", "ACTIVE"])
  })

  it("tells of evidence once", () => {
    const known = { state: "PASSIVE", peerExpiry: Number.NEGATIVE_INFINITY } as const
    const outcome = Fsm.step(rules("backup", Fsm.hardened), known, eventOf("PeerGone", 10))
    assert.strictEqual(outcome.member, known)
    assert.isUndefined(outcome.say)
  })

  it("has slept after an expiry but for half a heartbeat", () => {
    assert.isFalse(Fsm.hasSlept(rules(), 100, 1600))
    assert.isTrue(Fsm.hasSlept(rules(), 100, 1601))
  })

  it.prop(
    "never ends, whatever it hears",
    { role, history: FastCheck.array(FastCheck.constantFrom(...Fsm.eventTags)) },
    (
      given
    ) => {
      const hardened = rules(given.role, Fsm.hardened)
      let member = Fsm.start(hardened, 0).member
      given.history.forEach((tag, i) => {
        const outcome = Fsm.step(hardened, member, eventOf(tag, i * 700))
        assert.notStrictEqual(outcome.verdict._tag, "Fatal")
        member = outcome.member
      })
    }
  )
})

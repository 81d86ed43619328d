import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"

const peerTimeoutMillis = 2000
const handshakeMillis = 8000
const rules = (
  role: StateMachine.Role = "primary",
  policy: StateMachine.Policy = Policies.classic,
  lone: StateMachine.Lone = "wait"
): StateMachine.Rules => ({
  role,
  policy,
  peerTimeoutMillis,
  handshakeMillis,
  lone
})

/** A member that last received from its peer one expiry before its deadline, over a connection that it does not have any more. */
const memberIn = (
  state: StateMachine.State,
  peerDeadline: number,
  part: Partial<StateMachine.ProtocolState> = {}
): StateMachine.ProtocolState => ({
  state,
  peerDeadline,
  connectionDeadline: Number.NEGATIVE_INFINITY,
  silentSince: peerDeadline - peerTimeoutMillis,
  link: "Down",
  awaited: "Down",
  hasReceived: true,
  ...part
})

const eventOf = (tag: StateMachine.Event["_tag"], now: number, asOf = now): StateMachine.Event =>
  tag === "PeerDown"
    ? { _tag: tag, now, evidence: { _tag: "ConnectionRefused", endpoint: "tcp://peer:5003", asOf } }
    : { _tag: tag, now }

/** The events of the Guide. */
const guideTags = ["PeerPrimary", "PeerBackup", "PeerActive", "PeerPassive", "ClientRequest"] as const
const guideStates = ["PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"] as const

/** After which a member takes its peer for dead. */
const deadlineOf = ({ connectionDeadline, peerDeadline }: StateMachine.ProtocolState): number =>
  Math.max(peerDeadline, connectionDeadline)

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
  const [state, event, peer] = question as [StateMachine.State, StateMachine.Event["_tag"], "alive" | "expired"]
  const [verdict, next] = answer as [string, StateMachine.State]
  return { state, event, peer, verdict, next, say: say!.join(" ") }
})

/**
 * The same for `hardened`, all of it: role, state, event, peer (alive or expired), whether it has been received from,
 * then verdict, next state, what is published at once, what becomes of the peer's deadline, and the rule. `any`: all of them.
 *
 * The deadline is kept, a new one, one of two expiries (long), past because the peer is gone (none), put off by a handshake
 * (hand), by a connection that is made (join), or by a heartbeat after a short stall (next).
 */
const hardenedTable = `
primary PRIMARY   PeerPrimary    any     any   | accept PRIMARY   -       new  -
primary PRIMARY   PeerBackup     any     any   | accept ACTIVE    ACTIVE  new  -
primary PRIMARY   PeerActive     any     any   | accept PASSIVE   PASSIVE new  -
primary PRIMARY   PeerPassive    any     any   | accept PRIMARY   -       new  -
primary PRIMARY   PeerDown       any     any   | accept PRIMARY   -       none H7
primary PRIMARY   LinkConnecting any     any   | accept PRIMARY   -       hand H10
primary PRIMARY   LinkConnected  any     any   | accept PRIMARY   -       join H10
primary PRIMARY   LinkLost       any     any   | accept PRIMARY   -       kept -
primary PRIMARY   ClientRequest  alive   any   | reject PRIMARY   -       kept H1
primary PRIMARY   ClientRequest  expired any   | accept ACTIVE    ACTIVE  kept H1
primary PRIMARY   BrieflyStalled           any     any   | accept PRIMARY   -       next H4
primary PRIMARY   Stalled          any     any   | accept PRIMARY   PRIMARY new  H4
primary PRIMARY   Stopping       any     any   | accept PRIMARY   PRIMARY new  H5
primary PRIMARY   HandOver          any     any   | accept PRIMARY   -       kept -
primary PRIMARY   Promote        alive   any   | reject PRIMARY   -       kept -
primary PRIMARY   Promote        expired any   | accept ACTIVE    ACTIVE  kept -
backup  BACKUP    PeerPrimary    any     any   | accept BACKUP    -       new  -
backup  BACKUP    PeerBackup     any     any   | accept BACKUP    -       new  -
backup  BACKUP    PeerActive     any     any   | accept PASSIVE   PASSIVE new  -
backup  BACKUP    PeerPassive    any     any   | accept BACKUP    -       new  -
backup  BACKUP    PeerDown       any     yes   | accept BACKUP    -       none H12
backup  BACKUP    PeerDown       any     no    | accept BACKUP    -       kept H12
backup  BACKUP    LinkConnecting any     any   | accept BACKUP    -       hand H10
backup  BACKUP    LinkConnected  any     any   | accept BACKUP    -       join H10
backup  BACKUP    LinkLost       any     any   | accept BACKUP    -       kept -
backup  BACKUP    ClientRequest  alive   any   | reject BACKUP    -       kept H12
backup  BACKUP    ClientRequest  expired yes   | reject REJOINING  BACKUP  new  H12
backup  BACKUP    ClientRequest  expired no    | reject BACKUP    -       kept H12
backup  BACKUP    BrieflyStalled           any     any   | accept BACKUP    -       next H4
backup  BACKUP    Stalled          any     any   | accept BACKUP    BACKUP  new  H4
backup  BACKUP    Stopping       any     any   | accept BACKUP    BACKUP  new  H5
backup  BACKUP    HandOver          any     any   | accept BACKUP    -       kept -
backup  BACKUP    Promote        alive   any   | reject BACKUP    -       kept H8
backup  BACKUP    Promote        expired any   | reject REJOINING  BACKUP  new  H8
any     ACTIVE    PeerPrimary    any     any   | accept ACTIVE    -       new  -
any     ACTIVE    PeerBackup     any     any   | accept ACTIVE    -       new  -
primary ACTIVE    PeerActive     any     yes   | accept ACTIVE    -       new  H2
primary ACTIVE    PeerActive     any     no    | accept PASSIVE   PASSIVE new  H11
backup  ACTIVE    PeerActive     any     any   | accept CONTESTED ACTIVE  new  H11
any     ACTIVE    PeerPassive    any     any   | accept ACTIVE    -       new  -
any     ACTIVE    PeerDown       any     any   | accept ACTIVE    -       none H7
any     ACTIVE    LinkConnecting any     any   | accept ACTIVE    -       kept -
any     ACTIVE    LinkConnected  any     any   | accept ACTIVE    -       kept -
any     ACTIVE    LinkLost       any     any   | accept ACTIVE    -       kept -
any     ACTIVE    ClientRequest  any     any   | accept ACTIVE    -       kept -
primary ACTIVE    BrieflyStalled           any     any   | accept ACTIVE    -       kept -
primary ACTIVE    Stalled          any     any   | accept PRIMARY   PRIMARY new  H4
primary ACTIVE    Stopping       any     any   | accept PRIMARY   PRIMARY new  H5
backup  ACTIVE    BrieflyStalled           any     any   | accept ACTIVE    -       kept -
backup  ACTIVE    Stalled          any     any   | accept REJOINING  BACKUP  new  H4
backup  ACTIVE    Stopping       any     any   | accept BACKUP    BACKUP  new  H5
primary ACTIVE    HandOver          any     any   | accept HANDING_OVER  PRIMARY long H9
backup  ACTIVE    HandOver          any     any   | accept HANDING_OVER  BACKUP  long H9
any     ACTIVE    Promote        any     any   | accept ACTIVE    -       kept -
backup  CONTESTED PeerPrimary    any     any   | accept ACTIVE    ACTIVE  new  H11
backup  CONTESTED PeerBackup     any     any   | accept ACTIVE    ACTIVE  new  H11
backup  CONTESTED PeerActive     any     any   | accept CONTESTED -       kept H11
backup  CONTESTED PeerPassive    any     any   | accept ACTIVE    ACTIVE  new  H11
backup  CONTESTED PeerDown       any     any   | accept CONTESTED -       none H7
backup  CONTESTED LinkConnecting any     any   | accept CONTESTED -       hand H10
backup  CONTESTED LinkConnected  any     any   | accept CONTESTED -       join H10
backup  CONTESTED LinkLost       any     any   | accept CONTESTED -       kept -
backup  CONTESTED ClientRequest  alive   any   | reject CONTESTED -       kept H2
backup  CONTESTED ClientRequest  expired any   | reject PASSIVE   PASSIVE new  H2
backup  CONTESTED BrieflyStalled           any     any   | accept CONTESTED -       next H4
backup  CONTESTED Stalled          any     any   | accept REJOINING  BACKUP  new  H4
backup  CONTESTED Stopping       any     any   | accept BACKUP    BACKUP  new  H5
backup  CONTESTED HandOver          any     any   | accept CONTESTED -       kept -
backup  CONTESTED Promote        alive   any   | reject CONTESTED -       kept H2
backup  CONTESTED Promote        expired any   | reject PASSIVE   PASSIVE new  H2
primary PASSIVE   PeerPrimary    any     any   | accept ACTIVE    ACTIVE  new  -
backup  PASSIVE   PeerPrimary    any     any   | accept REJOINING  BACKUP  new  H8
any     PASSIVE   PeerBackup     any     any   | accept ACTIVE    ACTIVE  new  -
any     PASSIVE   PeerActive     any     any   | accept PASSIVE   -       new  -
primary PASSIVE   PeerPassive    any     any   | accept ACTIVE    ACTIVE  new  H3
backup  PASSIVE   PeerPassive    any     any   | accept PASSIVE   -       new  H3
any     PASSIVE   PeerDown       any     any   | accept PASSIVE   -       none H7
any     PASSIVE   LinkConnecting any     any   | accept PASSIVE   -       hand H10
any     PASSIVE   LinkConnected  any     any   | accept PASSIVE   -       join H10
any     PASSIVE   LinkLost       any     any   | accept PASSIVE   -       kept -
any     PASSIVE   ClientRequest  alive   any   | reject PASSIVE   -       kept -
any     PASSIVE   ClientRequest  expired any   | accept ACTIVE    ACTIVE  kept -
primary PASSIVE   BrieflyStalled           any     any   | accept PASSIVE   -       next H4
primary PASSIVE   Stalled          any     any   | accept PRIMARY   PRIMARY new  H4
primary PASSIVE   Stopping       any     any   | accept PRIMARY   PRIMARY new  H5
backup  PASSIVE   BrieflyStalled           any     any   | accept PASSIVE   -       next H4
backup  PASSIVE   Stalled          any     any   | accept REJOINING  BACKUP  new  H4
backup  PASSIVE   Stopping       any     any   | accept BACKUP    BACKUP  new  H5
any     PASSIVE   HandOver          any     any   | accept PASSIVE   -       kept -
any     PASSIVE   Promote        alive   any   | reject PASSIVE   -       kept -
any     PASSIVE   Promote        expired any   | accept ACTIVE    ACTIVE  kept -
backup  REJOINING  PeerPrimary    any     any   | accept REJOINING  BACKUP  new  H4
backup  REJOINING  PeerBackup     any     any   | accept REJOINING  -       new  -
backup  REJOINING  PeerActive     any     any   | accept PASSIVE   PASSIVE new  H4
backup  REJOINING  PeerPassive    any     any   | accept REJOINING  BACKUP  new  H4
backup  REJOINING  PeerDown       any     any   | accept REJOINING  -       none H7
backup  REJOINING  LinkConnecting any     any   | accept REJOINING  -       hand H10
backup  REJOINING  LinkConnected  any     any   | accept REJOINING  -       join H10
backup  REJOINING  LinkLost       any     any   | accept REJOINING  -       kept -
backup  REJOINING  ClientRequest  alive   any   | reject REJOINING  -       kept H4
backup  REJOINING  ClientRequest  expired any   | accept ACTIVE    ACTIVE  kept H4
backup  REJOINING  BrieflyStalled           any     any   | accept REJOINING  -       next H4
backup  REJOINING  Stalled          any     any   | accept REJOINING  BACKUP  new  H4
backup  REJOINING  Stopping       any     any   | accept BACKUP    BACKUP  new  H5
backup  REJOINING  HandOver          any     any   | accept REJOINING  -       kept -
backup  REJOINING  Promote        alive   any   | reject REJOINING  -       kept -
backup  REJOINING  Promote        expired any   | accept ACTIVE    ACTIVE  kept -
any     HANDING_OVER  PeerPrimary    any     any   | accept HANDING_OVER  -       kept H9
any     HANDING_OVER  PeerBackup     any     any   | accept HANDING_OVER  -       kept H9
any     HANDING_OVER  PeerActive     any     any   | accept PASSIVE   PASSIVE new  H9
any     HANDING_OVER  PeerPassive    any     any   | accept HANDING_OVER  -       kept H9
any     HANDING_OVER  PeerDown       any     any   | accept HANDING_OVER  -       none H7
any     HANDING_OVER  LinkConnecting any     any   | accept HANDING_OVER  -       hand H10
any     HANDING_OVER  LinkConnected  any     any   | accept HANDING_OVER  -       join H10
any     HANDING_OVER  LinkLost       any     any   | accept HANDING_OVER  -       kept -
any     HANDING_OVER  ClientRequest  alive   any   | reject HANDING_OVER  -       kept H9
primary HANDING_OVER  ClientRequest  expired any   | reject REJOINING  PRIMARY new  H9
backup  HANDING_OVER  ClientRequest  expired any   | reject REJOINING  BACKUP  new  H9
primary HANDING_OVER  BrieflyStalled           any     any   | accept HANDING_OVER  -       next H4
primary HANDING_OVER  Stalled          any     any   | accept REJOINING  PRIMARY new  H4
backup  HANDING_OVER  BrieflyStalled           any     any   | accept HANDING_OVER  -       next H4
backup  HANDING_OVER  Stalled          any     any   | accept REJOINING  BACKUP  new  H4
primary HANDING_OVER  Stopping       any     any   | accept PRIMARY   PRIMARY new  H5
backup  HANDING_OVER  Stopping       any     any   | accept BACKUP    BACKUP  new  H5
any     HANDING_OVER  HandOver          any     any   | accept HANDING_OVER  -       kept -
any     HANDING_OVER  Promote        alive   any   | reject HANDING_OVER  -       kept H9
primary HANDING_OVER  Promote        expired any   | reject REJOINING  PRIMARY new  H9
backup  HANDING_OVER  Promote        expired any   | reject REJOINING  BACKUP  new  H9
primary REJOINING  PeerPrimary    any     any   | accept REJOINING  -       kept H9
primary REJOINING  PeerBackup     any     any   | accept REJOINING  -       kept H9
primary REJOINING  PeerActive     any     any   | accept PASSIVE   PASSIVE new  H9
primary REJOINING  PeerPassive    any     any   | accept REJOINING  -       kept H9
primary REJOINING  PeerDown       any     any   | accept REJOINING  -       none H7
primary REJOINING  LinkConnecting any     any   | accept REJOINING  -       hand H10
primary REJOINING  LinkConnected  any     any   | accept REJOINING  -       join H10
primary REJOINING  LinkLost       any     any   | accept REJOINING  -       kept -
primary REJOINING  ClientRequest  alive   any   | reject REJOINING  -       kept H9
primary REJOINING  ClientRequest  expired any   | reject PRIMARY   PRIMARY new  H9
primary REJOINING  BrieflyStalled           any     any   | accept REJOINING  -       next H4
primary REJOINING  Stalled          any     any   | accept REJOINING  PRIMARY new  H4
primary REJOINING  Stopping       any     any   | accept PRIMARY   PRIMARY new  H5
primary REJOINING  HandOver          any     any   | accept REJOINING  -       kept -
primary REJOINING  Promote        alive   any   | reject REJOINING  -       kept H9
primary REJOINING  Promote        expired any   | reject PRIMARY   PRIMARY new  H9
`

const hardenedCells = hardenedTable.trim().split("\n").flatMap((line) => {
  const [who, state, event, when, been, , verdict, next, publish, expiry, rule] = line.split(/\s+/)
  const orAny = <A extends string>(given: string, all: ReadonlyArray<A>) => given === "any" ? all : [given as A]
  return orAny<StateMachine.Role>(who!, ["primary", "backup"]).flatMap((role) =>
    orAny(when!, ["alive", "expired"]).flatMap((peer) =>
      orAny(been!, ["yes", "no"]).map((received) => ({
        role,
        state: state as StateMachine.State,
        event: event as StateMachine.Event["_tag"],
        peer,
        received,
        verdict,
        next,
        publish,
        expiry,
        rule
      }))
    )
  )
})

const role = FastCheck.constantFrom<StateMachine.Role>("primary", "backup")
const anyLink = FastCheck.constantFrom<StateMachine.Link>("Down", "Connecting", "Connected")
const anyDeadline = FastCheck.oneof(
  FastCheck.double({ min: 0, max: 1e13, noNaN: true }),
  FastCheck.constant(Number.NEGATIVE_INFINITY)
)
const anyMember = FastCheck.record<StateMachine.ProtocolState>({
  state: FastCheck.constantFrom(...StateMachine.states),
  peerDeadline: anyDeadline,
  connectionDeadline: anyDeadline,
  silentSince: FastCheck.double({ min: 0, max: 1e13, noNaN: true }),
  link: anyLink,
  awaited: anyLink,
  hasReceived: FastCheck.boolean()
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

describe("StateMachine", () => {
  it("has 40 cells in its table, each of them once", () => {
    assert.strictEqual(cells.length, 40)
    assert.strictEqual(new Set(cells.map(({ event, peer, state }) => `${state} ${event} ${peer}`)).size, 40)
  })

  it.each(cells)("$state, $event, peer $peer: $verdict, $next", ({ event, next, peer, say, state, verdict }) => {
    for (const role of ["primary", "backup"] as const) {
      const peerDeadline = 5000
      const now = peer === "alive" ? peerDeadline : peerDeadline + 0.001
      const outcome = StateMachine.step(rules(role), memberIn(state, peerDeadline), eventOf(event, now))
      assert.strictEqual(outcome.verdict._tag.toLowerCase(), verdict)
      assert.strictEqual(outcome.next.state, next)
      assert.strictEqual(outcome.message ?? "", say)
      assert.strictEqual(outcome.publish, next === state ? undefined : StateMachine.reportedState[next])
      assert.strictEqual(
        outcome.next.peerDeadline,
        event === "ClientRequest" || verdict === "fatal" ? peerDeadline : now + peerTimeoutMillis
      )
    }
  })

  it("names the reason of a fatal verdict", () => {
    const fatal = (state: StateMachine.State, event: StateMachine.Event["_tag"]) =>
      StateMachine.step(rules(), memberIn(state, 0), eventOf(event, 0)).verdict
    assert.deepStrictEqual(fatal("ACTIVE", "PeerActive"), { _tag: "Fatal", reason: "DualActive" })
    assert.deepStrictEqual(fatal("PASSIVE", "PeerPassive"), { _tag: "Fatal", reason: "DualPassive" })
  })

  it("starts in the state of its role, which it publishes, with two heartbeats to hear its peer", () => {
    const waiting = memberIn("PRIMARY", 2010, { hasReceived: false })
    assert.deepStrictEqual(StateMachine.start(rules("primary"), 10), {
      next: waiting,
      verdict: { _tag: "Accept" },
      publish: "PRIMARY",
      message: "Primary active, waiting for backup (passive)"
    })
    assert.deepStrictEqual(StateMachine.start(rules("backup"), 10), {
      next: { ...waiting, state: "BACKUP" },
      verdict: { _tag: "Accept" },
      publish: "BACKUP",
      message: "Backup passive, waiting for primary (active)"
    })
  })

  it.prop("gives the same answer to the same question, changes nothing it was given, and publishes every change", {
    member: anyMember,
    role,
    policy: FastCheck.constantFrom(...Object.values(Policies.policies)),
    lone: FastCheck.constantFrom<StateMachine.Lone>("wait", "serve"),
    tag: FastCheck.constantFrom(...StateMachine.eventTags),
    now: FastCheck.double({ min: 0, max: 1e13, noNaN: true })
  }, ({ lone, member, now, policy, role, tag }) => {
    const frozen = Object.freeze(member)
    const event = Object.freeze(eventOf(tag, now))
    const outcome = StateMachine.step(rules(role, policy, lone), frozen, event)
    assert.deepStrictEqual(outcome, StateMachine.step(rules(role, policy, lone), frozen, event))
    assert.include(StateMachine.states, outcome.next.state)
    assert.isFalse(Number.isNaN(outcome.next.peerDeadline))
    if (outcome.next.state !== member.state) {
      assert.isDefined(outcome.publish)
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("never comes back to PRIMARY or BACKUP, and leaves ACTIVE only by its end", { role, history }, (given) => {
    for (const { before, outcome } of run(given.role, given.history)) {
      if (outcome.next.state !== before.state) {
        assert.include(["ACTIVE", "PASSIVE"], outcome.next.state)
        assert.notStrictEqual(before.state, "ACTIVE")
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("accepts a request only as ACTIVE or as a PRIMARY without a peer", { role, history }, (given) => {
    for (const { event, outcome } of run(given.role, given.history)) {
      if (event._tag === "ClientRequest" && outcome.verdict._tag === "Accept") {
        assert.include(["ACTIVE", "PRIMARY"], outcome.next.state)
      }
    }
  }, { fastCheck: { numRuns: 2000 } })

  it.prop("takes over only on a request, and only from a peer that is silent too long", { role, history }, (given) => {
    let lastHeard = 0
    for (const { before, event, outcome } of run(given.role, given.history)) {
      if (event._tag === "ClientRequest" && before.state === "PASSIVE") {
        assert.strictEqual(outcome.verdict._tag === "Accept", event.now - lastHeard > peerTimeoutMillis)
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

  it("lets an operator decide once the peer has expired", () => {
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

  it("refuses everything in a state that it does not have", () => {
    for (const state of ["REJOINING", "HANDING_OVER", "CONTESTED"] as const) {
      for (const tag of StateMachine.eventTags) {
        const { next, verdict } = StateMachine.step(rules(), memberIn(state, 5000), eventOf(tag, 9000))
        assert.deepStrictEqual([next.state, verdict._tag], [state, "Reject"])
      }
    }
  })
})

describe("the hardened policy", () => {
  it("has every cell in its table, each of them once", () => {
    // Five states of a primary, six of a backup, a peer alive and expired, received from or not.
    assert.strictEqual(hardenedCells.length, (5 + 6) * StateMachine.eventTags.length * 2 * 2)
    assert.strictEqual(
      new Set(
        hardenedCells.map(({ event, peer, received, role, state }) => `${role} ${state} ${event} ${peer} ${received}`)
      )
        .size,
      hardenedCells.length
    )
  })

  it.each(hardenedCells)(
    "$role, $state, $event, peer $peer, received $received: $verdict, $next",
    ({ event, expiry, next, peer, publish, received, role, rule, state, verdict }) => {
      const now = peer === "alive" ? 5000 : 5000.001
      const hasReceived = received === "yes"
      const outcome = StateMachine.step(
        rules(role, Policies.hardened),
        memberIn(state, 5000, { hasReceived }),
        eventOf(event, now)
      )
      assert.strictEqual(outcome.verdict._tag.toLowerCase(), verdict)
      assert.strictEqual(outcome.next.state, next)
      assert.strictEqual(outcome.publish ?? "-", publish)
      const cell = Policies.hardened[role][state]![event]
      const chosen = cell._tag === "ByReceived" ? (hasReceived ? cell.received : cell.unreceived) : cell
      assert.strictEqual(chosen.rule ?? cell.rule ?? "-", rule)
      const expiries: Record<string, number> = {
        kept: 5000,
        new: now + peerTimeoutMillis,
        long: now + 2 * peerTimeoutMillis,
        none: Number.NEGATIVE_INFINITY,
        hand: now + handshakeMillis,
        join: now + 1.25 * peerTimeoutMillis,
        next: now + 0.5 * peerTimeoutMillis
      }
      assert.strictEqual(deadlineOf(outcome.next), expiries[expiry!])
      // Whatever changes is told, but that a word in answer to another goes with the beats.
      if (outcome.next.state !== state) {
        assert.isDefined(outcome.message)
      }
    }
  )

  it("lets a vote succeed at once when the peer is known to be gone", () => {
    const backup = rules("backup", Policies.hardened)
    const gone = StateMachine.step(backup, memberIn("PASSIVE", 3000), eventOf("PeerDown", 1500, 1400))
    assert.strictEqual(gone.message, "the peer is down (connection to tcp://peer:5003 refused)")
    assert.strictEqual(gone.next.state, "PASSIVE")
    const vote = StateMachine.step(backup, gone.next, eventOf("ClientRequest", 1500))
    assert.deepStrictEqual([vote.verdict._tag, vote.next.state], ["Accept", "ACTIVE"])
  })

  it.prop("takes no evidence that is older than the peer's last sign of life", {
    heardAt: FastCheck.integer({ min: 0, max: 10_000 }),
    sign: FastCheck.constantFrom<StateMachine.Event["_tag"]>("PeerActive", "LinkConnecting", "LinkConnected"),
    asOf: FastCheck.integer({ min: 0, max: 10_000 })
  }, ({ asOf, heardAt, sign }) => {
    const backup = rules("backup", Policies.hardened)
    const { next } = StateMachine.step(backup, memberIn("PASSIVE", peerTimeoutMillis), eventOf(sign, heardAt))
    const { next: after, message } = StateMachine.step(backup, next, eventOf("PeerDown", 10_000, asOf))
    assert.strictEqual(deadlineOf(after), asOf >= heardAt ? Number.NEGATIVE_INFINITY : deadlineOf(next))
    assert.strictEqual(message !== undefined, asOf >= heardAt)
  })

  it("hands over to a peer that finds nobody any more, and gives up in three steps when it does not", () => {
    const [primary, backup] = [rules("primary", Policies.hardened), rules("backup", Policies.hardened)]
    const yielding = StateMachine.step(primary, memberIn("ACTIVE", 2500), eventOf("HandOver", 1000))
    assert.strictEqual(yielding.message, "handing over, waiting for the peer to become active")
    assert.isUndefined(StateMachine.reportedState[yielding.next.state])

    const waiting = StateMachine.step(backup, memberIn("PASSIVE", 2500), eventOf("PeerPrimary", 1010))
    const known = StateMachine.step(backup, waiting.next, eventOf("PeerDown", 1030, 1020))
    const promoted = StateMachine.step(backup, known.next, eventOf("Promote", 1030))
    assert.deepStrictEqual([promoted.verdict._tag, promoted.next.state], ["Accept", "ACTIVE"])
    assert.strictEqual(StateMachine.step(primary, yielding.next, eventOf("PeerActive", 2000)).next.state, "PASSIVE")

    let member = yielding.next
    const states = [5000, 5000.1, 5001, 7001, 7002, 9002].map((now) => {
      member = StateMachine.step(primary, member, eventOf("ClientRequest", now)).next
      return member.state
    })
    assert.deepStrictEqual(states, ["HANDING_OVER", "REJOINING", "REJOINING", "PRIMARY", "PRIMARY", "ACTIVE"])
  })

  it("H10: a handshake is a reason to wait, once, and no longer than the connection is there", () => {
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

  it("H10: a connection that takes the place of another one counts like one after a loss", () => {
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

  it("H10: a server that starts over while a connection is being made waits for that", () => {
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

  it.prop("H10: connections on which nothing is received do not keep a lone primary from serving", {
    history: linkHistory
  }, ({ history }) => {
    const primary = rules("primary", Policies.hardened)
    let now = 0
    let member = StateMachine.start(primary, now).next
    let beganAt = Number.NEGATIVE_INFINITY
    let madeAt = Number.NEGATIVE_INFINITY
    for (const { after, tag } of history) {
      now += after
      // Half-open ones count once, whenever the first of them is.
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

  it("H11: a primary that became active by silence alone stands by when its peer is active, any other stays", () => {
    const primary = rules("primary", Policies.hardened)
    const started = StateMachine.start(primary, 0).next
    const alone = StateMachine.step(primary, started, eventOf("ClientRequest", 2001)).next
    const heard = StateMachine.step(primary, started, eventOf("PeerBackup", 100)).next
    assert.deepStrictEqual([alone.state, heard.state], ["ACTIVE", "ACTIVE"])
    assert.strictEqual(StateMachine.step(primary, alone, eventOf("PeerActive", 2100)).next.state, "PASSIVE")
    assert.strictEqual(StateMachine.step(primary, heard, eventOf("PeerActive", 2100)).next.state, "ACTIVE")
    // Once its peer has followed it, it has been active for longer.
    const followed = StateMachine.step(primary, alone, eventOf("PeerPassive", 2100)).next
    assert.strictEqual(StateMachine.step(primary, followed, eventOf("PeerActive", 2200)).next.state, "ACTIVE")
  })

  const heartbeats = { PeerPrimary: true, PeerBackup: true, PeerActive: true, PeerPassive: true }

  it.prop(
    "knows whether it has received from the peer: a backup since its start, a primary since it last began as PRIMARY",
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
        // What starts over keeps what it knows; only a state that follows on the peer's has to know it.
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

  it("H12: a backup that has received from its primary and lost it takes over by way of REJOINING", () => {
    const backup = rules("backup", Policies.hardened)
    const heard = StateMachine.step(backup, StateMachine.start(backup, 0).next, eventOf("PeerPrimary", 100)).next
    assert.isFalse(StateMachine.step(backup, heard, eventOf("ClientRequest", 2100)).next.state === "REJOINING")
    const resuming = StateMachine.step(backup, heard, eventOf("ClientRequest", 2101))
    assert.deepStrictEqual([resuming.verdict._tag, resuming.next.state, resuming.publish], [
      "Reject",
      "REJOINING",
      "BACKUP"
    ])
    assert.strictEqual(
      StateMachine.step(backup, resuming.next, eventOf("ClientRequest", 4101)).next.state,
      "REJOINING"
    )
    assert.strictEqual(
      StateMachine.step(backup, resuming.next, eventOf("ClientRequest", 4102)).next.state,
      "ACTIVE"
    )
  })

  it("H12: a backup that has never received from its primary serves alone only if it may and no subscriber is connected", () => {
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

  it("tells of evidence once", () => {
    const known = memberIn("PASSIVE", Number.NEGATIVE_INFINITY, { silentSince: 0 })
    const outcome = StateMachine.step(rules("backup", Policies.hardened), known, eventOf("PeerDown", 10))
    assert.strictEqual(outcome.next, known)
    assert.isUndefined(outcome.message)
  })

  it("has slept after an expiry but for half a heartbeat", () => {
    assert.isFalse(StateMachine.isStalled(rules(), 100, 1600))
    assert.isTrue(StateMachine.isStalled(rules(), 100, 1601))
  })

  it("H4: an active server without a peer keeps its term after a stall, publishes it, and knows its peer to be gone", () => {
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

  it("H4: a server that is not active starts over, whether it has a peer or not", () => {
    for (const role of ["primary", "backup"] as const) {
      for (
        const state of StateMachine.states.filter((state) => state !== "ACTIVE" && state in Policies.hardened[role])
      ) {
        const slept = (isAlone: boolean) =>
          StateMachine.step(rules(role, Policies.hardened), memberIn(state, 5000), {
            _tag: "Stalled",
            now: 9000,
            isAlone
          })
        assert.deepStrictEqual(slept(true), slept(false))
      }
    }
  })

  it("H4: may keep its term until one expiry after its last heartbeat", () => {
    assert.isTrue(StateMachine.mayKeepTerm(rules(), 100, 2100))
    assert.isFalse(StateMachine.mayKeepTerm(rules(), 100, 2101))
  })

  it.prop(
    "never ends, whatever it hears",
    { role, history: FastCheck.array(FastCheck.constantFrom(...StateMachine.eventTags)) },
    (
      given
    ) => {
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

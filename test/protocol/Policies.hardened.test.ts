import { assert, describe, it } from "@effect/vitest"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"
import { deadlineOf, eventOf, handshakeMillis, memberIn, peerTimeoutMillis, rules } from "./support.ts"

/**
 * The golden table, every cell: role, state, event, peer (alive or expired), whether a heartbeat was received, then verdict, next
 * state, what is published at once, the peer's deadline, and the rule. `any`: all of them.
 *
 * The deadline is kept, new, two timeouts (long), past because the peer is down (none), or extended by a handshake (hand), by a
 * connection that is made (join), or by a heartbeat after a brief stall (next).
 */
const table = `
primary PRIMARY      PeerPrimary    any     any | accept PRIMARY      -       new  -
primary PRIMARY      PeerBackup     any     any | accept ACTIVE       ACTIVE  new  -
primary PRIMARY      PeerActive     any     any | accept PASSIVE      PASSIVE new  -
primary PRIMARY      PeerPassive    any     any | accept PRIMARY      -       new  -
primary PRIMARY      PeerDown       any     any | accept PRIMARY      -       none H7
primary PRIMARY      LinkConnecting any     any | accept PRIMARY      -       hand H10
primary PRIMARY      LinkConnected  any     any | accept PRIMARY      -       join H10
primary PRIMARY      LinkLost       any     any | accept PRIMARY      -       kept -
primary PRIMARY      ClientRequest  alive   any | reject PRIMARY      -       kept H1
primary PRIMARY      ClientRequest  expired any | accept ACTIVE       ACTIVE  kept H1
primary PRIMARY      BrieflyStalled any     any | accept PRIMARY      -       next H4
primary PRIMARY      Stalled        any     any | accept PRIMARY      PRIMARY new  H4
primary PRIMARY      Stopping       any     any | accept PRIMARY      PRIMARY new  H5
primary PRIMARY      HandOver       any     any | accept PRIMARY      -       kept -
primary PRIMARY      Promote        alive   any | reject PRIMARY      -       kept -
primary PRIMARY      Promote        expired any | accept ACTIVE       ACTIVE  kept -
backup  BACKUP       PeerPrimary    any     any | accept BACKUP       -       new  -
backup  BACKUP       PeerBackup     any     any | accept BACKUP       -       new  -
backup  BACKUP       PeerActive     any     any | accept PASSIVE      PASSIVE new  -
backup  BACKUP       PeerPassive    any     any | accept BACKUP       -       new  -
backup  BACKUP       PeerDown       any     yes | accept BACKUP       -       none H12
backup  BACKUP       PeerDown       any     no  | accept BACKUP       -       kept H12
backup  BACKUP       LinkConnecting any     any | accept BACKUP       -       hand H10
backup  BACKUP       LinkConnected  any     any | accept BACKUP       -       join H10
backup  BACKUP       LinkLost       any     any | accept BACKUP       -       kept -
backup  BACKUP       ClientRequest  alive   any | reject BACKUP       -       kept H12
backup  BACKUP       ClientRequest  expired yes | reject REJOINING    BACKUP  new  H12
backup  BACKUP       ClientRequest  expired no  | reject BACKUP       -       kept H12
backup  BACKUP       BrieflyStalled any     any | accept BACKUP       -       next H4
backup  BACKUP       Stalled        any     any | accept BACKUP       BACKUP  new  H4
backup  BACKUP       Stopping       any     any | accept BACKUP       BACKUP  new  H5
backup  BACKUP       HandOver       any     any | accept BACKUP       -       kept -
backup  BACKUP       Promote        alive   any | reject BACKUP       -       kept H8
backup  BACKUP       Promote        expired any | reject REJOINING    BACKUP  new  H8
any     ACTIVE       PeerPrimary    any     any | accept ACTIVE       -       new  -
any     ACTIVE       PeerBackup     any     any | accept ACTIVE       -       new  -
primary ACTIVE       PeerActive     any     yes | accept ACTIVE       -       new  H2
primary ACTIVE       PeerActive     any     no  | accept PASSIVE      PASSIVE new  H11
primary ACTIVE       PeerSenior     any     any | accept PASSIVE      PASSIVE new  H11
primary ACTIVE       PeerJunior     any     any | accept ACTIVE       -       new  H11
backup  ACTIVE       PeerActive     any     any | accept CONTESTED    ACTIVE  new  H11
any     ACTIVE       PeerPassive    any     any | accept ACTIVE       -       new  -
any     ACTIVE       PeerDown       any     any | accept ACTIVE       -       none H7
any     ACTIVE       LinkConnecting any     any | accept ACTIVE       -       kept -
any     ACTIVE       LinkConnected  any     any | accept ACTIVE       -       kept -
any     ACTIVE       LinkLost       any     any | accept ACTIVE       -       kept -
any     ACTIVE       ClientRequest  any     any | accept ACTIVE       -       kept -
primary ACTIVE       BrieflyStalled any     any | accept ACTIVE       -       kept -
primary ACTIVE       Stalled        any     any | accept PRIMARY      PRIMARY new  H4
primary ACTIVE       Stopping       any     any | accept PRIMARY      PRIMARY new  H5
backup  ACTIVE       BrieflyStalled any     any | accept ACTIVE       -       kept -
backup  ACTIVE       Stalled        any     any | accept REJOINING    BACKUP  new  H4
backup  ACTIVE       Stopping       any     any | accept BACKUP       BACKUP  new  H5
primary ACTIVE       HandOver       any     any | accept HANDING_OVER PRIMARY long H9
backup  ACTIVE       HandOver       any     any | accept HANDING_OVER BACKUP  long H9
any     ACTIVE       Promote        any     any | accept ACTIVE       -       kept -
backup  CONTESTED    PeerPrimary    any     any | accept ACTIVE       ACTIVE  new  H11
backup  CONTESTED    PeerBackup     any     any | accept ACTIVE       ACTIVE  new  H11
backup  CONTESTED    PeerActive     any     any | accept CONTESTED    -       kept H11
backup  CONTESTED    PeerPassive    any     any | accept ACTIVE       ACTIVE  new  H11
backup  CONTESTED    PeerDown       any     any | accept CONTESTED    -       none H7
backup  CONTESTED    LinkConnecting any     any | accept CONTESTED    -       hand H10
backup  CONTESTED    LinkConnected  any     any | accept CONTESTED    -       join H10
backup  CONTESTED    LinkLost       any     any | accept CONTESTED    -       kept -
backup  CONTESTED    ClientRequest  alive   any | reject CONTESTED    -       kept H2
backup  CONTESTED    ClientRequest  expired any | reject PASSIVE      PASSIVE new  H2
backup  CONTESTED    BrieflyStalled any     any | accept CONTESTED    -       next H4
backup  CONTESTED    Stalled        any     any | accept REJOINING    BACKUP  new  H4
backup  CONTESTED    Stopping       any     any | accept BACKUP       BACKUP  new  H5
backup  CONTESTED    HandOver       any     any | accept CONTESTED    -       kept -
backup  CONTESTED    Promote        alive   any | reject CONTESTED    -       kept H2
backup  CONTESTED    Promote        expired any | reject PASSIVE      PASSIVE new  H2
primary PASSIVE      PeerPrimary    any     any | accept ACTIVE       ACTIVE  new  -
backup  PASSIVE      PeerPrimary    any     any | accept REJOINING    BACKUP  new  H8
any     PASSIVE      PeerHandsOver  any     any | accept ACTIVE       ACTIVE  new  H13
any     PASSIVE      PeerBackup     any     any | accept ACTIVE       ACTIVE  new  -
any     PASSIVE      PeerActive     any     any | accept PASSIVE      -       new  -
primary PASSIVE      PeerPassive    any     any | accept ACTIVE       ACTIVE  new  H3
backup  PASSIVE      PeerPassive    any     any | accept PASSIVE      -       new  H3
any     PASSIVE      PeerDown       any     any | accept PASSIVE      -       none H7
any     PASSIVE      LinkConnecting any     any | accept PASSIVE      -       hand H10
any     PASSIVE      LinkConnected  any     any | accept PASSIVE      -       join H10
any     PASSIVE      LinkLost       any     any | accept PASSIVE      -       kept -
any     PASSIVE      ClientRequest  alive   any | reject PASSIVE      -       kept -
any     PASSIVE      ClientRequest  expired any | accept ACTIVE       ACTIVE  kept -
primary PASSIVE      BrieflyStalled any     any | accept PASSIVE      -       next H4
primary PASSIVE      Stalled        any     any | accept PRIMARY      PRIMARY new  H4
primary PASSIVE      Stopping       any     any | accept PRIMARY      PRIMARY new  H5
backup  PASSIVE      BrieflyStalled any     any | accept PASSIVE      -       next H4
backup  PASSIVE      Stalled        any     any | accept REJOINING    BACKUP  new  H4
backup  PASSIVE      Stopping       any     any | accept BACKUP       BACKUP  new  H5
any     PASSIVE      HandOver       any     any | accept PASSIVE      -       kept -
any     PASSIVE      Promote        alive   any | reject PASSIVE      -       kept -
any     PASSIVE      Promote        expired any | accept ACTIVE       ACTIVE  kept -
backup  REJOINING    PeerPrimary    any     any | accept REJOINING    BACKUP  new  H4
backup  REJOINING    PeerBackup     any     any | accept REJOINING    -       new  -
backup  REJOINING    PeerActive     any     any | accept PASSIVE      PASSIVE new  H4
backup  REJOINING    PeerPassive    any     any | accept REJOINING    BACKUP  new  H4
backup  REJOINING    PeerDown       any     any | accept REJOINING    -       none H7
backup  REJOINING    LinkConnecting any     any | accept REJOINING    -       hand H10
backup  REJOINING    LinkConnected  any     any | accept REJOINING    -       join H10
backup  REJOINING    LinkLost       any     any | accept REJOINING    -       kept -
backup  REJOINING    ClientRequest  alive   any | reject REJOINING    -       kept H4
backup  REJOINING    ClientRequest  expired any | accept ACTIVE       ACTIVE  kept H4
backup  REJOINING    BrieflyStalled any     any | accept REJOINING    -       next H4
backup  REJOINING    Stalled        any     any | accept REJOINING    BACKUP  new  H4
backup  REJOINING    Stopping       any     any | accept BACKUP       BACKUP  new  H5
backup  REJOINING    HandOver       any     any | accept REJOINING    -       kept -
backup  REJOINING    Promote        alive   any | reject REJOINING    -       kept -
backup  REJOINING    Promote        expired any | accept ACTIVE       ACTIVE  kept -
any     HANDING_OVER PeerPrimary    any     any | accept HANDING_OVER -       kept H9
any     HANDING_OVER PeerBackup     any     any | accept HANDING_OVER -       kept H9
any     HANDING_OVER PeerActive     any     any | accept PASSIVE      PASSIVE new  H9
any     HANDING_OVER PeerPassive    any     any | accept HANDING_OVER -       kept H9
any     HANDING_OVER PeerDown       any     any | accept HANDING_OVER -       none H7
any     HANDING_OVER LinkConnecting any     any | accept HANDING_OVER -       hand H10
any     HANDING_OVER LinkConnected  any     any | accept HANDING_OVER -       join H10
any     HANDING_OVER LinkLost       any     any | accept HANDING_OVER -       kept -
any     HANDING_OVER ClientRequest  alive   any | reject HANDING_OVER -       kept H9
primary HANDING_OVER ClientRequest  expired any | reject REJOINING    PRIMARY new  H9
backup  HANDING_OVER ClientRequest  expired any | reject REJOINING    BACKUP  new  H9
primary HANDING_OVER BrieflyStalled any     any | accept HANDING_OVER -       next H4
primary HANDING_OVER Stalled        any     any | accept REJOINING    PRIMARY new  H4
backup  HANDING_OVER BrieflyStalled any     any | accept HANDING_OVER -       next H4
backup  HANDING_OVER Stalled        any     any | accept REJOINING    BACKUP  new  H4
primary HANDING_OVER Stopping       any     any | accept PRIMARY      PRIMARY new  H5
backup  HANDING_OVER Stopping       any     any | accept BACKUP       BACKUP  new  H5
any     HANDING_OVER HandOver       any     any | accept HANDING_OVER -       kept -
any     HANDING_OVER Promote        alive   any | reject HANDING_OVER -       kept H9
primary HANDING_OVER Promote        expired any | reject REJOINING    PRIMARY new  H9
backup  HANDING_OVER Promote        expired any | reject REJOINING    BACKUP  new  H9
primary REJOINING    PeerPrimary    any     any | accept REJOINING    -       kept H9
primary REJOINING    PeerBackup     any     any | accept REJOINING    -       kept H9
primary REJOINING    PeerActive     any     any | accept PASSIVE      PASSIVE new  H9
primary REJOINING    PeerPassive    any     any | accept REJOINING    -       kept H9
primary REJOINING    PeerDown       any     any | accept REJOINING    -       none H7
primary REJOINING    LinkConnecting any     any | accept REJOINING    -       hand H10
primary REJOINING    LinkConnected  any     any | accept REJOINING    -       join H10
primary REJOINING    LinkLost       any     any | accept REJOINING    -       kept -
primary REJOINING    ClientRequest  alive   any | reject REJOINING    -       kept H9
primary REJOINING    ClientRequest  expired any | reject PRIMARY      PRIMARY new  H9
primary REJOINING    BrieflyStalled any     any | accept REJOINING    -       next H4
primary REJOINING    Stalled        any     any | accept REJOINING    PRIMARY new  H4
primary REJOINING    Stopping       any     any | accept PRIMARY      PRIMARY new  H5
primary REJOINING    HandOver       any     any | accept REJOINING    -       kept -
primary REJOINING    Promote        alive   any | reject REJOINING    -       kept H9
primary REJOINING    Promote        expired any | reject PRIMARY      PRIMARY new  H9
`

const cells = table.trim().split("\n").flatMap((line) => {
  const [givenRole, state, event, givenPeer, givenReceived, , verdict, next, publish, expiry, rule] = line.split(/\s+/)
  const orAny = <A extends string>(given: string, all: ReadonlyArray<A>) => given === "any" ? all : [given as A]
  return orAny<StateMachine.Role>(givenRole!, ["primary", "backup"]).flatMap((role) =>
    orAny(givenPeer!, ["alive", "expired"]).flatMap((peer) =>
      orAny(givenReceived!, ["yes", "no"]).map((received) => ({
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

describe("hardened", () => {
  it("the golden table has every cell, each once", () => {
    // Five states of a primary, six of a backup, a peer alive and expired, received from or not; and four cells for a heartbeat
    // that says more than its state.
    assert.strictEqual(cells.length, ((5 + 6) * StateMachine.eventTags.length + 4) * 2 * 2)
    assert.strictEqual(
      new Set(
        cells.map(({ event, peer, received, role, state }) => `${role} ${state} ${event} ${peer} ${received}`)
      )
        .size,
      cells.length
    )
  })

  it.each(cells)(
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
      const cell = Policies.hardened[role][state]![event]!
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
      // Every change of state has a message.
      if (outcome.next.state !== state) {
        assert.isDefined(outcome.message)
      }
    }
  )
})

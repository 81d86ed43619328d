/** The policies, as data: the effect of each event in each state, for each role. */
import type { Cell, Event, PeerState, Policy, Role, Row, Rule, State } from "./StateMachine.ts"
import { timing } from "./Timing.ts"

const stay: Cell = { _tag: "Stay" }
const reject: Cell = { _tag: "Reject" }
const become = (state: State, message: string): Cell => ({ _tag: "Become", state, message })
const takeOver: Cell = { _tag: "TakeOver", message: "failover successful, ready as active" }
const expire: Cell = { _tag: "Expire" }
const promote: Cell = { _tag: "TakeOver", message: "promoted by an operator, ready as active" }
const note: Cell = { _tag: "Note" }
const noteLink = { LinkConnecting: note, LinkConnected: note, LinkLost: note } as const
const extendDeadline: Cell = { _tag: "ExtendDeadline", rule: "H4" }
const awaitLink = {
  LinkConnecting: { _tag: "Await", rule: "H10" },
  LinkConnected: { _tag: "Await", rule: "H10" },
  LinkLost: note
} as const satisfies { readonly [E in Event["_tag"]]?: Cell }

/** Events beyond the Guide are ignored, except `Promote` and (if crash detection is enabled) `PeerDown`. */
const beyondGuide = {
  PeerDown: { ...expire, rule: "H7" },
  ...noteLink,
  BrieflyStalled: stay,
  Stalled: stay,
  Stopping: stay,
  HandOver: stay,
  Promote: promote
} as const

const guide = {
  PRIMARY: {
    PeerPrimary: stay,
    PeerBackup: become("ACTIVE", "connected to backup (passive), ready as active"),
    PeerActive: become("PASSIVE", "connected to backup (active), ready as passive"),
    PeerPassive: stay,
    ClientRequest: stay,
    ...beyondGuide
  },
  BACKUP: {
    PeerPrimary: stay,
    PeerBackup: stay,
    PeerActive: become("PASSIVE", "connected to primary (active), ready as passive"),
    PeerPassive: stay,
    ClientRequest: reject,
    ...beyondGuide
  },
  ACTIVE: {
    PeerPrimary: stay,
    PeerBackup: stay,
    PeerActive: { _tag: "Abort", reason: "DualActive", message: "fatal error - dual actives, aborting" },
    PeerPassive: stay,
    ClientRequest: stay,
    ...beyondGuide,
    Promote: stay
  },
  PASSIVE: {
    PeerPrimary: become("ACTIVE", "primary (passive) is restarting, ready as active"),
    PeerBackup: become("ACTIVE", "backup (passive) is restarting, ready as active"),
    PeerActive: stay,
    PeerPassive: { _tag: "Abort", reason: "DualPassive", message: "fatal error - dual passives, aborting" },
    ClientRequest: takeOver,
    ...beyondGuide
  }
} as const satisfies { readonly [S in State]?: Row }

/**
 * The rules of the proof of concept in the ZeroMQ Guide, messages included. Both roles have the same table.
 *
 * @category constants
 */
export const classic: Policy = { primary: guide, backup: guide }

const restart = (state: State, publish: PeerState, message: string): Cell => ({
  _tag: "Restart",
  state,
  publish,
  message: `this process stalled, ${message}`,
  rule: "H4"
})
const keepIfAlone = (otherwise: Cell): Cell => ({
  _tag: "KeepIfAlone",
  message: "this process stalled, but it has no peer (connection refused), still active",
  otherwise,
  rule: "H4"
})
const stop = (role: Extract<State, PeerState>): Cell => ({
  _tag: "Restart",
  state: role,
  publish: role,
  message: "stopped cleanly",
  rule: "H5"
})
const handOver = (publish: PeerState): Cell => ({
  _tag: "Restart",
  state: "HANDING_OVER",
  publish,
  // The peer may need one timeout before it can take over, and must win.
  timeouts: timing.handOver / timing.peerTimeout,
  message: "handing over, waiting for the peer to become active",
  rule: "H9"
})

const handedOver = (peer: Role): Cell => ({
  ...become("ACTIVE", `${peer} has handed over, ready as active`),
  rule: "H13"
})

const primaryEvents = {
  PeerDown: { ...expire, rule: "H7" },
  ...awaitLink,
  BrieflyStalled: extendDeadline,
  Stalled: restart("PRIMARY", "PRIMARY", "restarting as PRIMARY"),
  Stopping: stop("PRIMARY"),
  HandOver: stay,
  Promote: promote
} as const

const backupEvents = {
  PeerDown: { ...expire, rule: "H7" },
  ...awaitLink,
  BrieflyStalled: extendDeadline,
  Stalled: restart("REJOINING", "BACKUP", "rejoining"),
  Stopping: stop("BACKUP"),
  HandOver: stay,
  Promote: promote
} as const

const ignore: Cell = { _tag: "Ignore", rule: "H9" }

const restartAsPrimary: Cell = {
  _tag: "RestartIfExpired",
  state: "PRIMARY",
  publish: "PRIMARY",
  message: "the peer is still not active, restarting as PRIMARY",
  rule: "H9"
}

/** Waiting for the peer to be active: heartbeats from a peer that is not do not extend the deadline. */
const waitForActive = (publish: PeerState, peerActive: Cell, vote: Cell) => ({
  PeerPrimary: ignore,
  PeerBackup: ignore,
  PeerActive: peerActive,
  PeerPassive: ignore,
  ClientRequest: vote,
  Stalled: restart("REJOINING", publish, "rejoining"),
  Promote: vote
})

const handingOver = (publish: PeerState) => ({
  ...waitForActive(
    publish,
    {
      _tag: "Become",
      state: "PASSIVE",
      publish: "PASSIVE",
      message: "the peer is active, ready as passive",
      rule: "H9"
    },
    {
      _tag: "RestartIfExpired",
      state: "REJOINING",
      publish,
      message: "the peer did not become active, rejoining",
      rule: "H9"
    }
  )
} as const)

/** Reports `BACKUP`, and gives a primary that is just starting the time to become active. */
const rejoin = (message: string, rule: Rule): Cell => ({
  _tag: "RestartIfExpired",
  state: "REJOINING",
  publish: "BACKUP",
  message,
  rule
})

const uncontested: Cell = { ...become("ACTIVE", "primary is no longer active, ready as active"), rule: "H11" }
const stepDown: Cell = {
  _tag: "RestartIfExpired",
  state: "PASSIVE",
  publish: "PASSIVE",
  message: "both are active, ready as passive",
  rule: "H2"
}

/**
 * The Guide's rules with the rules `H1` to `H13`: after a restart or a stall never two servers accept requests, no server
 * ends because of a heartbeat, and failover does not wait for the timeout if the peer has crashed. Compatible on the wire with
 * every server that implements the Guide.
 *
 * @category constants
 */
export const hardened: Policy = {
  primary: {
    PRIMARY: {
      ...guide.PRIMARY,
      ...primaryEvents,
      ClientRequest: { _tag: "TakeOver", message: "no heartbeat from backup, ready as active", rule: "H1" }
    },
    ACTIVE: {
      ...guide.ACTIVE,
      ...primaryEvents,
      ...noteLink,
      BrieflyStalled: stay,
      Stalled: keepIfAlone(primaryEvents.Stalled),
      PeerActive: {
        _tag: "ByReceived",
        received: { ...stay, rule: "H2" },
        unreceived: { ...become("PASSIVE", "backup has been active for longer, ready as passive"), rule: "H11" },
        rule: "H11"
      },
      PeerSenior: { ...become("PASSIVE", "backup has been active for longer, ready as passive"), rule: "H11" },
      PeerJunior: { ...stay, rule: "H11" },
      HandOver: handOver("PRIMARY"),
      Promote: stay
    },
    PASSIVE: {
      ...guide.PASSIVE,
      ...primaryEvents,
      PeerHandsOver: handedOver("backup"),
      PeerPassive: { ...become("ACTIVE", "both are passive, ready as active"), rule: "H3" }
    },
    HANDING_OVER: { ...primaryEvents, ...handingOver("PRIMARY") },
    // After a hand-over the peer may be about to take over, because it found the port closed. Until it has had the time to
    // become active, no heartbeat but ACTIVE counts.
    REJOINING: {
      ...primaryEvents,
      ...waitForActive(
        "PRIMARY",
        { ...become("PASSIVE", "connected to backup (active), ready as passive"), rule: "H9" },
        restartAsPrimary
      )
    }
  },
  backup: {
    BACKUP: {
      ...guide.BACKUP,
      ...backupEvents,
      PeerDown: { _tag: "ByReceived", received: expire, unreceived: { _tag: "Ignore" }, rule: "H12" },
      ClientRequest: {
        _tag: "ByReceived",
        received: rejoin("primary was lost before it became active, rejoining", "H12"),
        unreceived: {
          _tag: "ServeAlone",
          cell: rejoin("no heartbeat from primary since the start, rejoining", "H12")
        },
        rule: "H12"
      },
      Stalled: restart("BACKUP", "BACKUP", "restarting as BACKUP"),
      Promote: rejoin("promoted by an operator, rejoining", "H8")
    },
    ACTIVE: {
      ...guide.ACTIVE,
      ...backupEvents,
      ...noteLink,
      BrieflyStalled: stay,
      Stalled: keepIfAlone(backupEvents.Stalled),
      PeerActive: {
        _tag: "Restart",
        state: "CONTESTED",
        publish: "ACTIVE",
        message: "both are active, waiting for primary to step down",
        rule: "H11"
      },
      HandOver: handOver("BACKUP"),
      Promote: stay
    },
    // A primary that has just started steps down when it receives ACTIVE (H11); any other stays active.
    CONTESTED: {
      ...backupEvents,
      PeerPrimary: uncontested,
      PeerBackup: uncontested,
      PeerActive: { _tag: "Ignore", rule: "H11" },
      PeerPassive: uncontested,
      ClientRequest: stepDown,
      Promote: stepDown
    },
    PASSIVE: {
      ...guide.PASSIVE,
      ...backupEvents,
      PeerHandsOver: handedOver("primary"),
      PeerPrimary: {
        _tag: "Restart",
        state: "REJOINING",
        publish: "BACKUP",
        message: "primary is restarting, waiting for it",
        rule: "H8"
      },
      PeerPassive: { ...stay, rule: "H3" }
    },
    // A backup that was paired may take over from a silent primary. It must not report BACKUP then: a starting primary that
    // receives it becomes active during the takeover. It reports BACKUP only when it begins to rejoin, and to a primary that
    // waits for it; either is two heartbeats before it may take over.
    REJOINING: {
      ...backupEvents,
      PeerPrimary: { ...stay, publish: "BACKUP", rule: "H4" },
      PeerBackup: stay,
      PeerActive: { ...become("PASSIVE", "connected to primary (active), ready as passive"), rule: "H4" },
      PeerPassive: { ...stay, publish: "BACKUP", rule: "H4" },
      ClientRequest: { ...takeOver, rule: "H4" }
    },
    HANDING_OVER: { ...backupEvents, ...handingOver("BACKUP") }
  }
}

const gained = (message: string): Cell => ({ _tag: "Become", state: "ACTIVE", message, rule: "R1" })
const lapsed: Cell = {
  _tag: "Become",
  state: "REJOINING",
  message: "no right to serve is left, neither the witness nor the peer answers, rejoining",
  rule: "R1"
}
const superseded: Cell = {
  _tag: "Become",
  state: "REJOINING",
  message: "a later term has begun, rejoining",
  rule: "R7"
}

/** A member that is not active. Requests make it ask for the right to serve; whether it is given decides `Rights.ts`. */
const inactive = (role: Extract<State, PeerState>, ready: string): Row => ({
  PeerPrimary: stay,
  PeerBackup: stay,
  PeerActive: { ...become("PASSIVE", "the peer is active, ready as passive"), rule: "R4" },
  PeerPassive: stay,
  ClientRequest: reject,
  PeerDown: { ...expire, rule: "R6" },
  ...noteLink,
  BrieflyStalled: stay,
  Stalled: stay,
  Stopping: stop(role),
  HandOver: stay,
  Promote: reject,
  RightGained: gained(ready),
  RightLapsed: stay,
  Superseded: stay
})

const witnessedRole = (role: Extract<State, PeerState>) => {
  const standby = inactive(role, "failover successful, ready as active")
  return {
    [role]: inactive(role, "ready as active"),
    PASSIVE: { ...standby, PeerActive: stay },
    REJOINING: standby,
    ACTIVE: {
      ...standby,
      PeerActive: stay,
      ClientRequest: stay,
      HandOver: handOver(role),
      Promote: stay,
      RightGained: stay,
      RightLapsed: lapsed,
      Superseded: superseded
    },
    HANDING_OVER: {
      ...standby,
      ...handingOver(role),
      Stalled: stay,
      RightGained: stay
    }
  }
}

/**
 * The rules of a pair with a witness: a member serves only while the witness, the peer or the peer's host has given it the right;
 * see `Rights.ts`. Never two servers accept requests, whatever is cut or delayed, as long as each has its own state port and the
 * clocks run.
 *
 * @category constants
 */
export const witnessed: Policy = { primary: witnessedRole("PRIMARY"), backup: witnessedRole("BACKUP") }

/**
 * Every policy by its name.
 *
 * @category constants
 */
export const policies = { classic, hardened, witnessed } as const satisfies { readonly [name: string]: Policy }

/**
 * Name of a policy in a configuration.
 *
 * @category models
 */
export type PolicyName = keyof typeof policies

/**
 * The names of all policies.
 *
 * @category constants
 */
export const policyNames = Object.keys(policies) as [PolicyName, ...Array<PolicyName>]

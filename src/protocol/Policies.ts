/**
 * The policies, as data: what each event does in each state, for each role.
 */
import type { Cell, Event, PeerState, Policy, Row, Rule, State } from "./StateMachine.ts"
import { timing } from "./Timing.ts"

const stay: Cell = { _tag: "Stay" }
const refuse: Cell = { _tag: "Refuse" }
const become = (state: State, message: string): Cell => ({ _tag: "Become", state, message })
const takeOver: Cell = { _tag: "TakeOver", message: "failover successful, ready as active" }
const expire: Cell = { _tag: "Expire" }
const promote: Cell = { _tag: "TakeOver", message: "promoted by an operator, ready as active" }
const note: Cell = { _tag: "Note" }
const noted = { LinkConnecting: note, LinkConnected: note, LinkLost: note } as const
const putOff: Cell = { _tag: "ExtendDeadline", rule: "H4" }
const awaited = {
  LinkConnecting: { _tag: "Await", rule: "H10" },
  LinkConnected: { _tag: "Await", rule: "H10" },
  LinkLost: note
} as const satisfies { readonly [E in Event["_tag"]]?: Cell }

/** The events that the Guide does not have do nothing, except those that have to be asked for. */
const theGuides = {
  PeerDown: { ...expire, rule: "H7" },
  ...noted,
  BrieflyStalled: stay,
  Stalled: stay,
  Stopping: stay,
  HandOver: stay,
  Promote: promote
} as const

const seed = {
  PRIMARY: {
    PeerPrimary: stay,
    PeerBackup: become("ACTIVE", "connected to backup (passive), ready as active"),
    PeerActive: become("PASSIVE", "connected to backup (active), ready as passive"),
    PeerPassive: stay,
    ClientRequest: stay,
    ...theGuides
  },
  BACKUP: {
    PeerPrimary: stay,
    PeerBackup: stay,
    PeerActive: become("PASSIVE", "connected to primary (active), ready as passive"),
    PeerPassive: stay,
    ClientRequest: refuse,
    ...theGuides
  },
  ACTIVE: {
    PeerPrimary: stay,
    PeerBackup: stay,
    PeerActive: { _tag: "Abort", reason: "DualActive", message: "fatal error - dual actives, aborting" },
    PeerPassive: stay,
    ClientRequest: stay,
    ...theGuides,
    Promote: stay
  },
  PASSIVE: {
    PeerPrimary: become("ACTIVE", "primary (passive) is restarting, ready as active"),
    PeerBackup: become("ACTIVE", "backup (passive) is restarting, ready as active"),
    PeerActive: stay,
    PeerPassive: { _tag: "Abort", reason: "DualPassive", message: "fatal error - dual passives, aborting" },
    ClientRequest: takeOver,
    ...theGuides
  }
} as const satisfies { readonly [S in State]?: Row }

/**
 * The rules of the ZeroMQ Guide's proof of concept, texts included. Both roles have the same table.
 *
 * @since 0.1.0
 * @category constants
 */
export const classic: Policy = { primary: seed, backup: seed }

const slept = "this process stood still for too long to know who is active, "
const startOver = (state: State, publish: PeerState, message: string): Cell => ({
  _tag: "Restart",
  state,
  publish,
  message: `${slept}${message}`,
  rule: "H4"
})
const keepIfAlone = (otherwise: Cell): Cell => ({
  _tag: "KeepIfAlone",
  message: "this process stood still, but it has no peer (connection refused), still active",
  otherwise,
  rule: "H4"
})
const goodbye = (role: Extract<State, PeerState>): Cell => ({
  _tag: "Restart",
  state: role,
  publish: role,
  message: "stopped in good order",
  rule: "H5"
})
/** In timeouts: the peer may need one before it can take over, and must win. */
const yieldingPatience = timing.handOver / timing.peerTimeout
const handOver = (publish: PeerState): Cell => ({
  _tag: "Restart",
  state: "HANDING_OVER",
  publish,
  timeouts: yieldingPatience,
  message: "handing over, waiting for the peer to be active",
  rule: "H9"
})

const primaryMoves = {
  PeerDown: { ...expire, rule: "H7" },
  ...awaited,
  BrieflyStalled: putOff,
  Stalled: startOver("PRIMARY", "PRIMARY", "waiting for backup"),
  Stopping: goodbye("PRIMARY"),
  HandOver: stay,
  Promote: promote
} as const

const backupMoves = {
  PeerDown: { ...expire, rule: "H7" },
  ...awaited,
  BrieflyStalled: putOff,
  Stalled: startOver("REJOINING", "BACKUP", "waiting for primary"),
  Stopping: goodbye("BACKUP"),
  HandOver: stay,
  Promote: promote
} as const

const ignore: Cell = { _tag: "Ignore", rule: "H9" }

const startAnew: Cell = {
  _tag: "RestartIfExpired",
  state: "PRIMARY",
  publish: "PRIMARY",
  message: "the peer is still not active, starting over",
  rule: "H9"
}

/** What it hears from a peer that is not active does not put off the end of its patience. */
const waiting = (publish: PeerState, peerActive: Cell, vote: Cell) => ({
  PeerPrimary: ignore,
  PeerBackup: ignore,
  PeerActive: peerActive,
  PeerPassive: ignore,
  ClientRequest: vote,
  Stalled: startOver("REJOINING", publish, "waiting for the peer"),
  Promote: vote
})

const yielding = (publish: PeerState) => ({
  ...waiting(
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
      message: "the peer is not active, waiting whether it will be",
      rule: "H9"
    }
  )
} as const)

/** Says that it is there, and gives a primary that only starts the time to become active. */
const resume = (message: string, rule: Rule): Cell => ({
  _tag: "RestartIfExpired",
  state: "REJOINING",
  publish: "BACKUP",
  message,
  rule
})

const uncontested: Cell = { ...become("ACTIVE", "primary is not active any more, ready as active"), rule: "H11" }
const standBy: Cell = {
  _tag: "RestartIfExpired",
  state: "PASSIVE",
  publish: "PASSIVE",
  message: "both are active, ready as passive",
  rule: "H2"
}

/**
 * Rules that need no luck: no two answers after a restart or a pause, no end because of what a peer says, failover as soon
 * as the peer is gone. Every peer of another make understands them on the wire.
 *
 * @since 0.1.0
 * @category constants
 */
export const hardened: Policy = {
  primary: {
    PRIMARY: {
      ...seed.PRIMARY,
      ...primaryMoves,
      ClientRequest: { _tag: "TakeOver", message: "no word from backup, ready as active", rule: "H1" }
    },
    ACTIVE: {
      ...seed.ACTIVE,
      ...primaryMoves,
      ...noted,
      BrieflyStalled: stay,
      Stalled: keepIfAlone(primaryMoves.Stalled),
      PeerActive: {
        _tag: "ByReceived",
        received: { ...stay, rule: "H2" },
        unreceived: { ...become("PASSIVE", "the backup was active all along, ready as passive"), rule: "H11" },
        rule: "H11"
      },
      HandOver: handOver("PRIMARY"),
      Promote: stay
    },
    PASSIVE: {
      ...seed.PASSIVE,
      ...primaryMoves,
      PeerPassive: { ...become("ACTIVE", "both are passive, ready as active"), rule: "H3" }
    },
    HANDING_OVER: { ...primaryMoves, ...yielding("PRIMARY") },
    // It has yielded, and its peer may be about to take over because it found the port closed. What the peer said before
    // that tells nothing; only once it has had time to be active, too, does a word of it count again.
    REJOINING: {
      ...primaryMoves,
      ...waiting(
        "PRIMARY",
        { ...become("PASSIVE", "connected to backup (active), ready as passive"), rule: "H9" },
        startAnew
      )
    }
  },
  backup: {
    BACKUP: {
      ...seed.BACKUP,
      ...backupMoves,
      PeerDown: { _tag: "ByReceived", received: expire, unreceived: { _tag: "Ignore" }, rule: "H12" },
      ClientRequest: {
        _tag: "ByReceived",
        received: resume("primary was lost before it was active, waiting whether it is there", "H12"),
        unreceived: {
          _tag: "ServeAlone",
          cell: resume("primary was never heard, waiting whether it is there", "H12")
        },
        rule: "H12"
      },
      Stalled: startOver("BACKUP", "BACKUP", "waiting for primary (active)"),
      Promote: resume("promoted by an operator, waiting whether primary is there", "H8")
    },
    ACTIVE: {
      ...seed.ACTIVE,
      ...backupMoves,
      ...noted,
      BrieflyStalled: stay,
      Stalled: keepIfAlone(backupMoves.Stalled),
      PeerActive: {
        _tag: "Restart",
        state: "CONTESTED",
        publish: "ACTIVE",
        message: "both are active, waiting whether primary stands by",
        rule: "H11"
      },
      HandOver: handOver("BACKUP"),
      Promote: stay
    },
    // A primary that has just started stands by as soon as it learns of this server; any other stays active.
    CONTESTED: {
      ...backupMoves,
      PeerPrimary: uncontested,
      PeerBackup: uncontested,
      PeerActive: { _tag: "Ignore", rule: "H11" },
      PeerPassive: uncontested,
      ClientRequest: standBy,
      Promote: standBy
    },
    PASSIVE: {
      ...seed.PASSIVE,
      ...backupMoves,
      PeerPrimary: {
        _tag: "Restart",
        state: "REJOINING",
        publish: "BACKUP",
        message: "primary is restarting, waiting for it",
        rule: "H8"
      },
      PeerPassive: { ...stay, rule: "H3" }
    },
    // It has been paired before, so unlike a backup that never was it may take over from a silent primary. It cannot do so
    // as BACKUP: a primary that just starts becomes active on that word while the other takes over. So it says that word
    // only when it begins and in answer to a primary that waits for it, each time two heartbeats before it may take over.
    REJOINING: {
      ...backupMoves,
      PeerPrimary: { ...stay, publish: "BACKUP", rule: "H4" },
      PeerBackup: stay,
      PeerActive: { ...become("PASSIVE", "connected to primary (active), ready as passive"), rule: "H4" },
      PeerPassive: { ...stay, publish: "BACKUP", rule: "H4" },
      ClientRequest: { ...takeOver, rule: "H4" }
    },
    HANDING_OVER: { ...backupMoves, ...yielding("BACKUP") }
  }
}

/**
 * Every policy by its name.
 *
 * @since 0.1.0
 * @category constants
 */
export const policies = { classic, hardened } as const satisfies { readonly [name: string]: Policy }

/**
 * The name of a policy, as it stands in a configuration.
 *
 * @since 0.1.0
 * @category models
 */
export type PolicyName = keyof typeof policies

/**
 * The names of all policies.
 *
 * @since 0.1.0
 * @category constants
 */
export const policyNames = Object.keys(policies) as [PolicyName, ...Array<PolicyName>]

/**
 * The state machine of a server: one pure, total function from a state and an event to an outcome.
 *
 * It knows no clock, no socket and no Effect. Time is a field of each event, so the tests and the model checker exercise
 * exactly what runs in production.
 */
import { inMillis, timing } from "./Timing.ts"

/**
 * Role of a server in its pair. Set by configuration; never changes.
 *
 * @category models
 */
export type Role = "primary" | "backup"

/**
 * Role of the peer.
 *
 * @category combinators
 */
export const peerOf = (role: Role): Role => role === "primary" ? "backup" : "primary"

/**
 * State of a server.
 *
 * - `PRIMARY`, `BACKUP`: started, waiting for the first heartbeat of the peer.
 * - `ACTIVE`: serves clients.
 * - `PASSIVE`: ready to take over.
 * - `REJOINING`: was paired, and has to learn again which server is active.
 * - `HANDING_OVER`: was active, and waits for the peer to become active.
 * - `CONTESTED`: a backup that was active when its peer reported `ACTIVE`.
 *
 * @category models
 */
export type State = "PRIMARY" | "BACKUP" | "ACTIVE" | "PASSIVE" | "REJOINING" | "HANDING_OVER" | "CONTESTED"

/**
 * All states, in the order of the documentation.
 *
 * @category constants
 */
export const states: ReadonlyArray<State> = [
  "PRIMARY",
  "BACKUP",
  "ACTIVE",
  "PASSIVE",
  "REJOINING",
  "HANDING_OVER",
  "CONTESTED"
]

/**
 * Whether a server in this state was paired and rejects requests, but may become active without a restart.
 *
 * @category guards
 */
export const standsBy = (state: State): boolean => state === "PASSIVE" || state === "REJOINING" || state === "CONTESTED"

/**
 * State reported in a heartbeat.
 *
 * @category models
 */
export type PeerState = "PRIMARY" | "BACKUP" | "ACTIVE" | "PASSIVE"

/**
 * All reported states, in the order of their numbers on the wire: `1` to `4`.
 *
 * @category constants
 */
export const peerStates: ReadonlyArray<PeerState> = ["PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"]

/**
 * State that a server reports with every heartbeat. A server that is handing over sends no heartbeats and closes its state
 * port, so that its peer detects it as down.
 *
 * @category constants
 */
export const reportedState: { readonly [S in State]: PeerState | undefined } = {
  PRIMARY: "PRIMARY",
  BACKUP: "BACKUP",
  ACTIVE: "ACTIVE",
  PASSIVE: "PASSIVE",
  REJOINING: "PASSIVE",
  HANDING_OVER: undefined,
  CONTESTED: "ACTIVE"
}

/**
 * Crash evidence: the peer's host refused a connection to `endpoint`, its state port, so no process listened there. `asOf`
 * is the monotonic time in milliseconds at which that was certain. Evidence is delivered after everything that the peer
 * sent over a connection that it has closed since.
 *
 * @category models
 */
export interface CrashEvidence {
  readonly _tag: "ConnectionRefused"
  readonly endpoint: string
  readonly asOf: number
}

/**
 * Input of the state machine. `now` is monotonic time in milliseconds.
 *
 * - `PeerPrimary`, `PeerBackup`, `PeerActive`, `PeerPassive`: a heartbeat of the peer, by the state that it reports.
 * - `PeerHandsOver`: the final heartbeat of a peer that was active, sent to this process less than a peer timeout ago.
 * - `PeerSenior`, `PeerJunior`: the peer reports `ACTIVE`, for a longer time than this active server, or not. Like
 *   `PeerHandsOver` only by a heartbeat with an identity; see `Heartbeat`.
 * - `PeerDown`: crash evidence. The peer has crashed, or is handing over.
 * - `LinkConnecting`, `LinkConnected`, `LinkLost`: the connection to the peer's state port is being made (TCP is open, the
 *   handshake is in progress), is made, or is lost.
 * - `ClientRequest`: a request that arrives; a vote if this server is not active. `hasSubscriber` is whether a subscriber is
 *   connected to this server's state port. Defaults to `false`.
 * - `BrieflyStalled`: this process stalled too briefly for its peer to take over; see {@link isBriefStall}.
 * - `Stalled`: this process stalled for so long that its peer may have taken over; see {@link isStalled}. `isAlone` is whether
 *   no peer can have been active meanwhile and none listens now: the peer was expired before the stall, and its host
 *   refused a connection soon enough after it; see {@link mayKeepTerm}. Defaults to `false`.
 * - `Stopping`: the server is to stop, and its accepted requests are complete.
 * - `HandOver`: an operator's command to make the peer active. The accepted requests are complete.
 * - `Promote`: an operator's command to make this server active. Counts as a vote.
 * - `RightGained`, `RightLapsed`: a member of a pair with a witness has gained the right to serve, or has none left.
 * - `Superseded`: an active member has learned of a larger term.
 *
 * @category models
 */
export type Event =
  | { readonly _tag: "PeerPrimary"; readonly now: number }
  | { readonly _tag: "PeerBackup"; readonly now: number }
  | { readonly _tag: "PeerActive"; readonly now: number }
  | { readonly _tag: "PeerPassive"; readonly now: number }
  | { readonly _tag: "PeerDown"; readonly now: number; readonly evidence: CrashEvidence }
  | { readonly _tag: "LinkConnecting"; readonly now: number }
  | { readonly _tag: "LinkConnected"; readonly now: number }
  | { readonly _tag: "LinkLost"; readonly now: number }
  | { readonly _tag: "ClientRequest"; readonly now: number; readonly hasSubscriber?: boolean }
  | { readonly _tag: "BrieflyStalled"; readonly now: number }
  | { readonly _tag: "Stalled"; readonly now: number; readonly isAlone?: boolean }
  | { readonly _tag: "Stopping"; readonly now: number }
  | { readonly _tag: "HandOver"; readonly now: number }
  | { readonly _tag: "Promote"; readonly now: number }
  | { readonly _tag: HeartbeatEvent; readonly now: number }
  | { readonly _tag: RightEvent; readonly now: number }

/**
 * Events that only a heartbeat with an identity has. Where a state has no cell for one, it is the event of the reported state.
 *
 * @category models
 */
export type HeartbeatEvent = "PeerHandsOver" | "PeerSenior" | "PeerJunior"

/**
 * Events that only members of a pair with a witness have.
 *
 * @category models
 */
export type RightEvent = "RightGained" | "RightLapsed" | "Superseded"

/**
 * Tags of the events of every member, in the order of the documentation.
 *
 * @category constants
 */
export const eventTags: ReadonlyArray<Exclude<Event["_tag"], HeartbeatEvent | RightEvent>> = [
  "PeerPrimary",
  "PeerBackup",
  "PeerActive",
  "PeerPassive",
  "PeerDown",
  "LinkConnecting",
  "LinkConnected",
  "LinkLost",
  "ClientRequest",
  "BrieflyStalled",
  "Stalled",
  "Stopping",
  "HandOver",
  "Promote"
]

/**
 * Tags of the events that only a heartbeat with an identity has.
 *
 * @category constants
 */
export const heartbeatEventTags: ReadonlyArray<HeartbeatEvent> = ["PeerHandsOver", "PeerSenior", "PeerJunior"]

/**
 * Tags of the events that only members of a pair with a witness have.
 *
 * @category constants
 */
export const rightEventTags: ReadonlyArray<RightEvent> = ["RightGained", "RightLapsed", "Superseded"]

/**
 * Event of a heartbeat, by the state that it reports.
 *
 * @category constants
 */
export const eventOf = {
  PRIMARY: "PeerPrimary",
  BACKUP: "PeerBackup",
  ACTIVE: "PeerActive",
  PASSIVE: "PeerPassive"
} as const satisfies { readonly [S in PeerState]: Event["_tag"] }

/**
 * Reason of an abort: both servers of the pair were active, or both were passive. Only `classic` aborts.
 *
 * @category models
 */
export type FatalReason = "DualActive" | "DualPassive"

/**
 * What an event leads to, apart from the next state. A client request is handled (`Accept`) or rejected (`Reject`); after any
 * other event the server continues, unless the verdict is `Fatal`.
 *
 * @category models
 */
export type Verdict =
  | { readonly _tag: "Accept" }
  | { readonly _tag: "Reject" }
  | { readonly _tag: "Fatal"; readonly reason: FatalReason }

/**
 * Progress of the connection to the peer's state port.
 *
 * @category models
 */
export type Link = "Down" | "Connecting" | "Connected"

/**
 * Memory of the state machine. Instants are monotonic, in milliseconds.
 *
 * @category models
 */
export interface ProtocolState {
  readonly state: State
  /** A peer that is silent is expired after this; negative infinity while the peer is known to be down. */
  readonly peerDeadline: number
  /** A peer whose connection is being made is not expired before this; negative infinity if the connection is no reason to wait. */
  readonly connectionDeadline: number
  /** The last sign of life of the peer, or the beginning of the wait for one. Earlier crash evidence is ignored. */
  readonly silentSince: number
  readonly link: Link
  /**
   * The connection progress that last moved `connectionDeadline`. Each step of it does so once, until a heartbeat or crash
   * evidence is received.
   */
  readonly awaited: Link
  /** Whether a heartbeat was received: by a backup since its process started, by a primary since it was last `PRIMARY`. */
  readonly hasReceived: boolean
}

/**
 * Result of one step: the next state, the verdict, the state to publish at once instead of with the next heartbeat, and the
 * message to log.
 *
 * @category models
 */
export interface Outcome {
  readonly next: ProtocolState
  readonly verdict: Verdict
  readonly publish: PeerState | undefined
  readonly message: string | undefined
}

/**
 * The rules of `hardened` that `classic` does not have.
 *
 * - `H1` cautious start: a primary rejects requests until it has received a heartbeat, or its peer has expired or is down.
 * - `H2` dual actives heal: the backup steps down, the primary stays. No server ends.
 * - `H3` dual passives heal: the primary becomes active, the backup stays. No server ends.
 * - `H4` stall: after a stall a server does not know which server is active. It publishes its role and restarts its wait for
 *   the peer. After a brief stall it gives its peer one more heartbeat. An active server without a peer keeps its term if no
 *   peer could have become active since its last heartbeat.
 * - `H5` final heartbeat: a server that stops reports its role. A passive primary is then active at once. A backup, because
 *   of `H8`, takes over with the first vote after crash evidence, some milliseconds later; at once by `H13`.
 * - `H7` crash evidence: a peer that is down is expired at once. A takeover still requires a vote.
 * - `H8` no crossing: a starting primary may have received `BACKUP` and become active before the backup receives its
 *   `PRIMARY`. The backup therefore leaves it to the primary to be active. A lone backup that is promoted waits for the same
 *   reason. Found by `bstar verify`.
 * - `H9` handing over: an active server that hands over publishes a final heartbeat, closes its state port and rejects
 *   requests until its peer is active. If a vote arrives and the peer is down, or has not become active within four
 *   heartbeats, the server publishes its role and waits for two more before it restarts.
 * - `H10` a connection that is being made is not silence: the peer may take as long as a handshake to connect. Once connected
 *   it has two heartbeats to be received. Needed by `bstar verify`, in whose model a connection takes time.
 * - `H11` the longer active server stays: when its peer reports `ACTIVE`, a primary steps down if that has been active for
 *   longer. If it does not say for how long, a primary steps down that became active by silence alone. A backup waits for
 *   that, and rejects requests meanwhile, before it steps down itself.
 * - `H12` lone backup: a backup that has received a heartbeat and lost its primary takes over by way of `REJOINING`. One that
 *   never received any rejects requests, unless it may serve alone and no subscriber is connected.
 * - `H13` hand-over at once: the final heartbeat of an active server makes its passive peer active, without a vote and without
 *   crash evidence, if it was sent to this process and echoes a heartbeat sent less than a peer timeout ago. That is sooner
 *   than the sender could be active again.
 *
 * `H6`, fresh evidence first, is in no table: for every policy, the caller of {@link step} passes all that the peer has sent
 * before it passes a request. The rules `R1` to `R9` of `witnessed` are listed in `Rights.ts`.
 *
 * @category models
 */
export type Rule =
  | "H1"
  | "H2"
  | "H3"
  | "H4"
  | "H5"
  | "H7"
  | "H8"
  | "H9"
  | "H10"
  | "H11"
  | "H12"
  | "H13"
  | "R1"
  | "R4"
  | "R6"
  | "R7"

/**
 * Entry of a policy: the effect of an event in a state. `rule` is the rule that the cell implements, if it differs from the
 * Guide: of `hardened`, or of rights.
 *
 * - `Stay`: the state stays; a request is accepted. May publish.
 * - `Reject`: the state stays; a request is rejected.
 * - `Become`: the state changes. May publish.
 * - `TakeOver`: if the peer is expired, become `ACTIVE` and accept; otherwise reject.
 * - `Expire`: the peer is down, if the evidence is not older than its last sign of life.
 * - `Restart`: publish, give the peer new time to be received, and continue in a state as after a start. `timeouts` is that
 *   time in peer timeouts. Defaults to `1`.
 * - `KeepIfAlone`: a server without a peer keeps its state and publishes it; any other follows `otherwise`.
 * - `Ignore`: nothing changes, not even the peer's deadline.
 * - `RestartIfExpired`: if the peer is expired, restart; reject in any case.
 * - `ExtendDeadline`: a silent peer does not expire within the next heartbeat.
 * - `Await`: the link changes. Its progress extends the connection deadline, once: by the time of a handshake while that is
 *   in progress, by the time to receive a heartbeat once connected.
 * - `Note`: the link changes, without a deadline.
 * - `ByReceived`: depends on whether a heartbeat was received; see {@link ProtocolState}.
 * - `ServeAlone`: `cell`, if a backup may serve alone and no subscriber is connected; otherwise reject.
 * - `Abort`: the server ends.
 *
 * @category models
 */
export type Cell =
  & { readonly rule?: Rule }
  & (
    | { readonly _tag: "Stay"; readonly publish?: PeerState }
    | { readonly _tag: "Reject" }
    | { readonly _tag: "Become"; readonly state: State; readonly publish?: PeerState; readonly message: string }
    | { readonly _tag: "TakeOver"; readonly message: string }
    | { readonly _tag: "Expire" }
    | {
      readonly _tag: "Restart"
      readonly state: State
      readonly publish: PeerState
      readonly timeouts?: number
      readonly message: string
    }
    | {
      readonly _tag: "RestartIfExpired"
      readonly state: State
      readonly publish: PeerState
      readonly message: string
    }
    | { readonly _tag: "KeepIfAlone"; readonly message: string; readonly otherwise: Cell }
    | { readonly _tag: "Ignore" }
    | { readonly _tag: "ExtendDeadline" }
    | { readonly _tag: "Await" }
    | { readonly _tag: "Note" }
    | { readonly _tag: "ByReceived"; readonly received: Cell; readonly unreceived: Cell }
    | { readonly _tag: "ServeAlone"; readonly cell: Cell }
    | { readonly _tag: "Abort"; readonly reason: FatalReason; readonly message: string }
  )

/**
 * Cells of one state, by event. An event without a cell is rejected.
 *
 * @category models
 */
export type Row =
  & { readonly [E in Exclude<Event["_tag"], HeartbeatEvent | RightEvent>]: Cell }
  & { readonly [E in HeartbeatEvent | RightEvent]?: Cell }

/**
 * A policy is data: for each role a table of cells by state and event. In a state without a row every event is rejected.
 *
 * @category models
 */
export type Policy = { readonly [R in Role]: { readonly [S in State]?: Row } }

/**
 * Configuration of the state machine.
 *
 * @category models
 */
export interface Rules {
  readonly role: Role
  readonly policy: Policy
  /** Milliseconds without a heartbeat after which the peer is expired: two heartbeats. */
  readonly peerTimeoutMillis: number
  /** Milliseconds for which the handshake of a connection counts as a sign of life. Longer than `peerTimeoutMillis`. */
  readonly handshakeMillis: number
  readonly lone: Lone
}

/**
 * Behaviour of a backup that has received no heartbeat since it started: wait for its primary, or serve alone.
 *
 * @category models
 */
export type Lone = "wait" | "serve"

const rejectAll: Cell = { _tag: "Reject" }
const accept: Verdict = { _tag: "Accept" }
const reject: Verdict = { _tag: "Reject" }

/**
 * Initial outcome of a server: the state of its role, with one peer timeout from `now` to receive the peer.
 *
 * @category transitions
 */
export const start = (rules: Rules, now: number): Outcome => {
  const state = rules.role === "primary" ? "PRIMARY" : "BACKUP"
  return {
    next: {
      state,
      peerDeadline: now + rules.peerTimeoutMillis,
      connectionDeadline: Number.NEGATIVE_INFINITY,
      silentSince: now,
      link: "Down",
      awaited: "Down",
      hasReceived: false
    },
    verdict: accept,
    publish: reportedState[state],
    message: rules.role === "primary"
      ? "Primary active, waiting for backup (passive)"
      : "Backup passive, waiting for primary (active)"
  }
}

/**
 * Whether the peer is expired at `now`: strictly after both deadlines.
 *
 * @category guards
 */
export const isPeerExpired = (member: ProtocolState, now: number): boolean =>
  now > member.peerDeadline && now > member.connectionDeadline

/**
 * Whether a server that last sent a heartbeat at `lastHeartbeatAt` has stalled: one and a half heartbeats, after which its peer
 * may be about to take over.
 *
 * @category guards
 */
export const isStalled = (rules: Pick<Rules, "peerTimeoutMillis">, lastHeartbeatAt: number, now: number): boolean =>
  now - lastHeartbeatAt > inMillis(rules, timing.stall)

/**
 * Whether a server that last sent a heartbeat at `lastHeartbeatAt` has stalled briefly: one and a quarter heartbeats.
 * Heartbeats of its peer may not have been delivered yet, so the peer's silence is unproven.
 *
 * @category guards
 */
export const isBriefStall = (rules: Pick<Rules, "peerTimeoutMillis">, lastHeartbeatAt: number, now: number): boolean =>
  now - lastHeartbeatAt > inMillis(rules, timing.briefStall)

/**
 * Whether an active server that last sent a heartbeat at `lastHeartbeatAt` may keep its term, if its peer's host had refused a
 * connection by `refusedAt`: within one peer timeout.
 *
 * A peer that received that heartbeat becomes active strictly after a peer timeout. A peer that starts later waits at least as
 * long (H1): the port of a stalled process accepts connections, so it finds no crash evidence. A peer that does not listen at
 * `refusedAt` was therefore never active.
 *
 * @category guards
 */
export const mayKeepTerm = (
  rules: Pick<Rules, "peerTimeoutMillis">,
  lastHeartbeatAt: number,
  refusedAt: number
): boolean => refusedAt - lastHeartbeatAt <= rules.peerTimeoutMillis

/**
 * Outcome of an event. Total. Every heartbeat that is neither fatal nor ignored renews the peer's deadline, and every change of
 * state is published at once.
 *
 * @category transitions
 */
export const step = (rules: Rules, member: ProtocolState, event: Event): Outcome => {
  const result = react(rules, member, event, rules.policy[rules.role][member.state]?.[event._tag] ?? rejectAll)
  return result.next.state === member.state || result.publish !== undefined
    ? result
    : { ...result, publish: reportedState[result.next.state] }
}

const react = (rules: Rules, member: ProtocolState, event: Event, cell: Cell): Outcome => {
  const renewed: ProtocolState = heartbeatEvents.has(event._tag)
    ? {
      ...member,
      peerDeadline: event.now + rules.peerTimeoutMillis,
      connectionDeadline: Number.NEGATIVE_INFINITY,
      silentSince: event.now,
      awaited: "Down",
      hasReceived: true
    }
    : member
  switch (cell._tag) {
    case "Stay":
      return outcome(renewed, accept, undefined, cell.publish)
    case "Reject":
      return outcome(renewed, reject)
    case "Become":
      return outcome({ ...renewed, state: cell.state }, accept, cell.message, cell.publish)
    case "TakeOver":
      return isPeerExpired(member, event.now)
        ? outcome({ ...member, state: "ACTIVE" }, accept, cell.message)
        : outcome(member, reject)
    case "Expire":
      return event._tag === "PeerDown" && isFresh(member, event.evidence)
        ? outcome(
          withoutPeer(member),
          accept,
          `the peer is down (connection to ${event.evidence.endpoint} refused)`
        )
        : outcome(member, accept)
    case "Restart":
      return outcome(restartIn(rules, member, cell.state, event.now, cell.timeouts), accept, cell.message, cell.publish)
    case "RestartIfExpired":
      return isPeerExpired(member, event.now)
        ? outcome(restartIn(rules, member, cell.state, event.now), reject, cell.message, cell.publish)
        : outcome(member, reject)
    case "KeepIfAlone":
      return event._tag === "Stalled" && event.isAlone === true
        ? outcome(withoutPeer(member), accept, cell.message, reportedState[member.state])
        : react(rules, member, event, cell.otherwise)
    case "Ignore":
      return outcome(member, accept)
    case "ExtendDeadline":
      return outcome(
        Number.isFinite(member.peerDeadline) &&
          member.peerDeadline < event.now + inMillis(rules, timing.briefStallGrace)
          ? { ...member, peerDeadline: event.now + inMillis(rules, timing.briefStallGrace) }
          : member,
        accept
      )
    case "Await":
      return outcome(awaitConnection(rules, withLink(member, event), event.now), accept)
    case "Note":
      return outcome(withLink(member, event), accept)
    case "ByReceived":
      return react(rules, member, event, member.hasReceived ? cell.received : cell.unreceived)
    case "ServeAlone":
      return rules.lone === "serve" && event._tag === "ClientRequest" && event.hasSubscriber !== true
        ? react(rules, member, event, cell.cell)
        : outcome(member, reject)
    case "Abort":
      return outcome(member, { _tag: "Fatal", reason: cell.reason }, cell.message)
  }
}

const heartbeatEvents: ReadonlySet<Event["_tag"]> = new Set([...Object.values(eventOf), ...heartbeatEventTags])

/** Evidence from before the peer's last sign of life is void, and so is evidence about a peer that is known to be down. */
const isFresh = ({ peerDeadline, silentSince }: ProtocolState, { asOf }: CrashEvidence): boolean =>
  Number.isFinite(peerDeadline) && asOf >= silentSince

const outcome = (next: ProtocolState, verdict: Verdict, message?: string, publish?: PeerState): Outcome => ({
  next,
  verdict,
  publish,
  message
})

const withoutPeer = (member: ProtocolState): ProtocolState => ({
  ...member,
  peerDeadline: Number.NEGATIVE_INFINITY,
  connectionDeadline: Number.NEGATIVE_INFINITY,
  awaited: "Down"
})

const restartIn = (rules: Rules, member: ProtocolState, state: State, now: number, timeouts = 1): ProtocolState => {
  const next: ProtocolState = {
    state,
    peerDeadline: now + rules.peerTimeoutMillis * timeouts,
    connectionDeadline: Number.NEGATIVE_INFINITY,
    silentSince: now,
    link: member.link,
    awaited: "Down",
    hasReceived: state !== "PRIMARY" && member.hasReceived
  }
  // A connection that is being made still is a reason to wait (H10).
  return rules.policy[rules.role][state]?.LinkConnecting._tag === "Await" && next.link === "Connecting"
    ? awaitConnection(rules, next, now)
    : next
}

const linkOf: { readonly [E in Event["_tag"]]?: Link } = {
  LinkConnecting: "Connecting",
  LinkConnected: "Connected",
  LinkLost: "Down"
}

const withLink = (member: ProtocolState, { _tag }: Event): ProtocolState => {
  const link = linkOf[_tag] ?? member.link
  if (link === member.link) {
    return member
  }
  // Going back means that the connection was lost, even if the next one is being made already. A handshake that completes
  // again is a new sign of life; one that only begins again is not.
  return progress[link] < progress[member.link]
    ? {
      ...member,
      link,
      connectionDeadline: Number.NEGATIVE_INFINITY,
      awaited: member.awaited === "Connected" ? "Connecting" : member.awaited
    }
    : { ...member, link }
}

const progress: { readonly [L in Link]: number } = { Down: 0, Connecting: 1, Connected: 2 }

/** Any progress is a sign of life. Progress repeated without a heartbeat does not extend the deadline, so the wait is bounded. */
const awaitConnection = (rules: Rules, member: ProtocolState, now: number): ProtocolState => {
  if (progress[member.link] <= progress[member.awaited]) {
    return { ...member, silentSince: now }
  }
  const millis = member.link === "Connecting"
    ? rules.handshakeMillis
    : inMillis(rules, timing.peerTimeout + timing.subscription)
  return { ...member, connectionDeadline: now + millis, silentSince: now, awaited: member.link }
}

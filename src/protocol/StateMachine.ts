/**
 * The Binary Star state machine: one pure, total function from a state and an event to what follows.
 *
 * Nothing in here knows a clock, a socket or Effect. Time enters as a field of the event, so what runs in production is
 * exactly what the tests go through cell by cell.
 *
 * @since 0.1.0
 */

import { inMillis, timing } from "./Timing.ts"

/**
 * Which server of the pair this is. Fixed by configuration; a role never changes.
 *
 * @since 0.1.0
 * @category models
 */
export type Role = "primary" | "backup"

/**
 * The role of the other server of the pair.
 *
 * @since 0.1.0
 * @category combinators
 */
export const peerOf = (role: Role): Role => role === "primary" ? "backup" : "primary"

/**
 * What a server is doing now. `PRIMARY` and `BACKUP` wait for the first heartbeat of the peer; `ACTIVE` answers clients;
 * `PASSIVE` stands by; `REJOINING` was paired and must learn anew which server is active; `HANDING_OVER` was active and hands over
 * to its peer; `CONTESTED` is a backup that was active when its peer reported that it is active too.
 *
 * @since 0.1.0
 * @category models
 */
export type State = "PRIMARY" | "BACKUP" | "ACTIVE" | "PASSIVE" | "REJOINING" | "HANDING_OVER" | "CONTESTED"

/**
 * All states.
 *
 * @since 0.1.0
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
 * Whether a server in a state was paired and does not answer, but may be active again without being started anew.
 *
 * @since 0.1.0
 * @category guards
 */
export const standsBy = (state: State): boolean => state === "PASSIVE" || state === "REJOINING" || state === "CONTESTED"

/**
 * What the servers of a pair can say to each other.
 *
 * @since 0.1.0
 * @category models
 */
export type PeerState = "PRIMARY" | "BACKUP" | "ACTIVE" | "PASSIVE"

/**
 * The words in the order of their numbers on the wire.
 *
 * @since 0.1.0
 * @category constants
 */
export const peerStates: ReadonlyArray<PeerState> = ["PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"]

/**
 * What a server in a state says of itself with every heartbeat. One that yields says nothing and lets go of where it says
 * it, so that its peer may take over as from one that is gone.
 *
 * @since 0.1.0
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
 * Why a peer is known not to be active at `asOf`, monotonic time in milliseconds: the system refused a connection to the
 * endpoint where it publishes, so that no process listened there. Evidence comes after all that the peer has said before
 * over a connection that it has closed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Evidence {
  readonly _tag: "ConnectionRefused"
  readonly endpoint: string
  readonly asOf: number
}

/**
 * Everything that can happen to a server. `now` is monotonic time in milliseconds.
 *
 * - `PeerPrimary`, `PeerBackup`, `PeerActive`, `PeerPassive`: the peer says in which state it is.
 * - `PeerDown`: the peer is gone, or leaves it to this server to be active.
 * - `LinkConnecting`, `LinkConnected`, `LinkLost`: the connection to the peer's state port is being made (TCP is open, the
 *   handshake is under way), is made, or is there no more.
 * - `ClientRequest`: a request of a client, which is a vote. `hasSubscriber` is whether a subscriber is connected to this
 *   server's own state port. Defaults to `false`.
 * - `BrieflyStalled`: the server itself stalled briefly; its peer cannot have taken over meanwhile; see {@link isBriefStall}.
 * - `Stalled`: the server itself stood still for so long that its peer may have taken over; see {@link isStalled}. `isAlone` is
 *   whether no peer can have been active meanwhile, and none listens now: the peer had expired before the stall, its state
 *   port refused a connection after it, and that was soon enough; see {@link mayKeepTerm}. Defaults to `false`.
 * - `Stopping`: the server is asked to stop and has answered what it had accepted.
 * - `HandOver`: an operator wants the peer to be active, and the server has answered what it had accepted.
 * - `Promote`: an operator wants this server to be active, which counts as a vote.
 *
 * @since 0.1.0
 * @category models
 */
export type Event =
  | { readonly _tag: "PeerPrimary"; readonly now: number }
  | { readonly _tag: "PeerBackup"; readonly now: number }
  | { readonly _tag: "PeerActive"; readonly now: number }
  | { readonly _tag: "PeerPassive"; readonly now: number }
  | { readonly _tag: "PeerDown"; readonly now: number; readonly evidence: Evidence }
  | { readonly _tag: "LinkConnecting"; readonly now: number }
  | { readonly _tag: "LinkConnected"; readonly now: number }
  | { readonly _tag: "LinkLost"; readonly now: number }
  | { readonly _tag: "ClientRequest"; readonly now: number; readonly hasSubscriber?: boolean }
  | { readonly _tag: "BrieflyStalled"; readonly now: number }
  | { readonly _tag: "Stalled"; readonly now: number; readonly isAlone?: boolean }
  | { readonly _tag: "Stopping"; readonly now: number }
  | { readonly _tag: "HandOver"; readonly now: number }
  | { readonly _tag: "Promote"; readonly now: number }

/**
 * The kinds of events, in the order of the table in the documentation.
 *
 * @since 0.1.0
 * @category constants
 */
export const eventTags: ReadonlyArray<Event["_tag"]> = [
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
 * The event that each word is to the one who hears it.
 *
 * @since 0.1.0
 * @category constants
 */
export const eventOf = {
  PRIMARY: "PeerPrimary",
  BACKUP: "PeerBackup",
  ACTIVE: "PeerActive",
  PASSIVE: "PeerPassive"
} as const satisfies { readonly [W in PeerState]: Event["_tag"] }

/**
 * Why a server gives up: both servers of the pair said that they were active, or both that they were passive.
 *
 * @since 0.1.0
 * @category models
 */
export type FatalReason = "DualActive" | "DualPassive"

/**
 * What is to be done about the event. For a client request `Accept` means answer it and `Reject` means drop it without
 * an answer. For anything else `Accept` means that the server goes on.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict =
  | { readonly _tag: "Accept" }
  | { readonly _tag: "Reject" }
  | { readonly _tag: "Fatal"; readonly reason: FatalReason }

/**
 * The connection to the peer's state port, as far as a server has made it.
 *
 * @since 0.1.0
 * @category models
 */
export type Link = "Down" | "Connecting" | "Connected"

/**
 * All that a server has to remember.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProtocolState {
  readonly state: State
  /**
   * The monotonic time in milliseconds after which a silent peer counts as dead; negative infinity when its process is known
   * to be gone.
   */
  readonly peerDeadline: number
  /**
   * The monotonic time in milliseconds until which a peer that is silent does not count as dead because of the connection to
   * it; negative infinity where the connection is no reason to wait.
   */
  readonly connectionDeadline: number
  /** When the peer last gave a sign of life, or this server began to wait for one. Evidence from before proves nothing. */
  readonly silentSince: number
  readonly link: Link
  /** How far the connection had come when it last moved `connectionDeadline`. Each step does so once until the peer is heard, or known to be gone. */
  readonly awaited: Link
  /**
   * Whether the peer has been heard: by a backup since its process started, by a primary since it last was `PRIMARY`.
   */
  readonly hasReceived: boolean
}

/**
 * The result of one step: the member as it is from now on, the verdict, what to publish at once and not only with the
 * next heartbeat, and what to tell the operator, if anything.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly next: ProtocolState
  readonly verdict: Verdict
  readonly publish: PeerState | undefined
  readonly message: string | undefined
}

/**
 * The rules by which `hardened` differs from `classic`.
 *
 * - `H1` cautious start: a primary answers nobody before it has heard its peer, or knows it to be silent or gone.
 * - `H2` dual actives heal: the backup steps down, the primary stays. Nobody ends.
 * - `H3` dual passives heal: the primary becomes active, the backup stays. Nobody ends.
 * - `H4` sleep: a server that stood still does not know any more who is active; it says its role and starts over. One that
 *   stood still for less gives its peer one more heartbeat to be heard. An active one that has no peer keeps its term, if its
 *   peer could not have become active since its last heartbeat.
 * - `H5` goodbye: a server that is stopped says its role as its last word. A passive primary is active at once; a backup,
 *   because of `H8`, with the first vote after evidence, some milliseconds later.
 * - `H7` crash evidence: a peer whose process is gone has expired now. The vote is still required.
 * - `H8` no crossing: a primary that starts may have heard from the backup that it is to be active before it said so
 *   itself, so the backup leaves it to the primary instead of becoming active on its word. A lone backup that an operator
 *   promotes waits for the same reason. Found by `bstar verify`.
 * - `H9` handing over: an active server that an operator tells to yield says goodbye as one that is stopped does, lets go of
 *   its port and answers nobody, until its peer is active. When it has not become so within four heartbeats, or is gone, and
 *   somebody asks, the server says its role and waits for two more before it starts over.
 *
 * - `H10` a connection that is being made is not silence: while the peer's host accepts a connection and its handshake is
 *   under way, the peer is there, for as long as a handshake may take; once the connection is made it has two heartbeats to
 *   be heard. Found necessary by `bstar verify`, where a new connection takes time.
 * - `H11` the longer one stays: a primary that became active by silence alone, and then learns that its peer is active,
 *   stands by. A backup waits for that, without answering, before it stands by itself.
 * - `H12` lone backup: a backup that has heard its primary and lost it takes over like one that was paired, by way of
 *   `REJOINING`. One that never has heard it refuses, unless it is told to serve alone and no subscriber is connected to it.
 *
 * `H6`, fresh evidence first, is not in a table: whoever feeds {@link step} gives it all that the peer has said before it
 * gives it a request, whatever the policy.
 *
 * @since 0.1.0
 * @category models
 */
export type Rule = "H1" | "H2" | "H3" | "H4" | "H5" | "H7" | "H8" | "H9" | "H10" | "H11" | "H12"

/**
 * One entry of a policy's table: what an event does in a state.
 *
 * - `Stay`: the state stays; a request is answered. May have a word to publish.
 * - `Refuse`: the state stays; a request is dropped.
 * - `Become`: the state changes. May have a word to publish.
 * - `TakeOver`: when the peer has expired, become `ACTIVE` and answer, or do as the operator says; refuse otherwise.
 * - `Expire`: the peer counts as dead from now on, if the evidence is not older than its last word.
 * - `Restart`: say a word, give the peer a new expiry to be heard, and go on in a state as if just started.
 * - `KeepIfAlone`: a server that has no peer keeps its state and reports it, and its peer is known to be gone; any other does
 *   what `otherwise` does.
 * - `Ignore`: nothing changes, not even the peer's expiry.
 * - `RestartIfExpired`: when the peer has expired, start over; refuse otherwise.
 * - `ExtendDeadline`: a peer that is only silent does not expire within the next heartbeat.
 * - `Await`: a step of the connection is noted, and is a reason to wait, once: for the time that a handshake may take while it
 *   is under way, and for the peer to be heard when it is done.
 * - `Note`: a step of the connection is noted.
 * - `ByReceived`: depends on whether the peer has been heard, see {@link ProtocolState}.
 * - `ServeAlone`: what `cell` does, if the rules let a backup serve alone and no subscriber is connected; refuse otherwise.
 * - `Abort`: the server ends.
 *
 * `rule` names the rule that a cell follows where that is not the Guide's, `patience` how many expiries the peer is given.
 * Defaults to `1`.
 *
 * @since 0.1.0
 * @category models
 */
export type Cell =
  & { readonly rule?: Rule }
  & (
    | { readonly _tag: "Stay"; readonly publish?: PeerState }
    | { readonly _tag: "Refuse" }
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
 * What each event does in one state.
 *
 * @since 0.1.0
 * @category models
 */
export type Row = { readonly [E in Event["_tag"]]: Cell }

/**
 * A policy is data: for each role a table with one cell for every state that the role can have and every event. In a
 * state that it cannot have everything is refused.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = { readonly [R in Role]: { readonly [S in State]?: Row } }

/**
 * What a member's steps depend on besides its state.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rules {
  readonly role: Role
  readonly policy: Policy
  /** How long in milliseconds a peer may be silent before it counts as dead: two heartbeats. */
  readonly peerTimeoutMillis: number
  /** How long in milliseconds the handshake of a connection counts as a sign of life. Longer than `peerTimeoutMillis`. */
  readonly handshakeMillis: number
  /** What a backup does that has never heard its primary: wait for it, or serve. */
  readonly lone: Lone
}

/**
 * What a backup does that has never heard its primary since it started.
 *
 * @since 0.1.0
 * @category models
 */
export type Lone = "wait" | "serve"

const refuse: Cell = { _tag: "Refuse" }
const accept: Verdict = { _tag: "Accept" }
const reject: Verdict = { _tag: "Reject" }

/**
 * How a member begins: in the state of its role, giving its peer one expiry from `now` to be heard.
 *
 * @since 0.1.0
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
 * Whether the peer counts as dead at `now`: strictly after its expiry.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPeerExpired = (member: ProtocolState, now: number): boolean =>
  now > member.peerDeadline && now > member.connectionDeadline

/**
 * Whether a member whose last heartbeat was at `lastHeartbeatAt` has stood still for so long that its peer may be about to take
 * over: an expiry but for half a heartbeat.
 *
 * @since 0.1.0
 * @category guards
 */
export const isStalled = (rules: Pick<Rules, "peerTimeoutMillis">, lastHeartbeatAt: number, now: number): boolean =>
  now - lastHeartbeatAt > inMillis(rules, timing.stall)

/**
 * Whether a member whose last heartbeat was at `lastHeartbeatAt` has stood still for a while: a heartbeat and a quarter. What its
 * peer said meanwhile may not have come in yet, so that it cannot take its peer for silent.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBriefStall = (rules: Pick<Rules, "peerTimeoutMillis">, lastHeartbeatAt: number, now: number): boolean =>
  now - lastHeartbeatAt > inMillis(rules, timing.briefStall)

/**
 * Whether an active member whose last heartbeat was at `lastHeartbeatAt` may keep its term, if its peer's host has refused a
 * connection by `refusedAt`: within one expiry. A peer that received that heartbeat becomes active strictly after an expiry. One
 * that starts later gives this member at least as long (H1): the port of a stalled process accepts connections, so that it finds
 * no crash evidence. So a peer that listens no longer was never active.
 *
 * @since 0.1.0
 * @category guards
 */
export const mayKeepTerm = (
  rules: Pick<Rules, "peerTimeoutMillis">,
  lastHeartbeatAt: number,
  refusedAt: number
): boolean => refusedAt - lastHeartbeatAt <= rules.peerTimeoutMillis

/**
 * What follows when `event` happens to `member`. Total. Every heartbeat of the peer that is not fatal renews the peer's
 * expiry, and every change of state is published at once.
 *
 * @since 0.1.0
 * @category transitions
 */
export const step = (rules: Rules, member: ProtocolState, event: Event): Outcome => {
  const outcome = react(rules, member, event, rules.policy[rules.role][member.state]?.[event._tag] ?? refuse)
  return outcome.next.state === member.state || outcome.publish !== undefined
    ? outcome
    : { ...outcome, publish: reportedState[outcome.next.state] }
}

const react = (rules: Rules, member: ProtocolState, event: Event, cell: Cell): Outcome => {
  const heard: ProtocolState = wordEvents.has(event._tag)
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
      return go(heard, accept, undefined, cell.publish)
    case "Refuse":
      return go(heard, reject)
    case "Become":
      return go({ ...heard, state: cell.state }, accept, cell.message, cell.publish)
    case "TakeOver":
      return isPeerExpired(member, event.now)
        ? go({ ...member, state: "ACTIVE" }, accept, cell.message)
        : go(member, reject)
    case "Expire":
      return event._tag === "PeerDown" && isNews(member, event.evidence)
        ? go(
          withoutPeer(member),
          accept,
          `the peer is gone (connection to ${event.evidence.endpoint} refused)`
        )
        : go(member, accept)
    case "Restart":
      return go(startOverIn(rules, member, cell.state, event.now, cell.timeouts), accept, cell.message, cell.publish)
    case "RestartIfExpired":
      return isPeerExpired(member, event.now)
        ? go(startOverIn(rules, member, cell.state, event.now), reject, cell.message, cell.publish)
        : go(member, reject)
    case "KeepIfAlone":
      return event._tag === "Stalled" && event.isAlone === true
        ? go(withoutPeer(member), accept, cell.message, reportedState[member.state])
        : react(rules, member, event, cell.otherwise)
    case "Ignore":
      return go(member, accept)
    case "ExtendDeadline":
      return go(
        Number.isFinite(member.peerDeadline) &&
          member.peerDeadline < event.now + inMillis(rules, timing.briefStallGrace)
          ? { ...member, peerDeadline: event.now + inMillis(rules, timing.briefStallGrace) }
          : member,
        accept
      )
    case "Await":
      return go(awaitConnection(rules, withLink(member, event), event.now), accept)
    case "Note":
      return go(withLink(member, event), accept)
    case "ByReceived":
      return react(rules, member, event, member.hasReceived ? cell.received : cell.unreceived)
    case "ServeAlone":
      return rules.lone === "serve" && event._tag === "ClientRequest" && event.hasSubscriber !== true
        ? react(rules, member, event, cell.cell)
        : go(member, reject)
    case "Abort":
      return go(member, { _tag: "Fatal", reason: cell.reason }, cell.message)
  }
}

const wordEvents: ReadonlySet<Event["_tag"]> = new Set(Object.values(eventOf))

/** Evidence that is older than the peer's last sign of life, or than the member's start, proves nothing. */
const isNews = ({ peerDeadline, silentSince }: ProtocolState, { asOf }: Evidence): boolean =>
  Number.isFinite(peerDeadline) && asOf >= silentSince

const go = (next: ProtocolState, verdict: Verdict, message?: string, publish?: PeerState): Outcome => ({
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

const startOverIn = (rules: Rules, member: ProtocolState, state: State, now: number, patience = 1): ProtocolState => {
  const next: ProtocolState = {
    state,
    peerDeadline: now + rules.peerTimeoutMillis * patience,
    connectionDeadline: Number.NEGATIVE_INFINITY,
    silentSince: now,
    link: member.link,
    awaited: "Down",
    hasReceived: state !== "PRIMARY" && member.hasReceived
  }
  // A connection that is being made is as good a reason to wait as before.
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
  // A step back means that the connection was lost, be it that another one is on its way already. A handshake that is completed
  // again is a sign of life again; one that is only begun again is not.
  return steps[link] < steps[member.link]
    ? {
      ...member,
      link,
      connectionDeadline: Number.NEGATIVE_INFINITY,
      awaited: member.awaited === "Connected" ? "Connecting" : member.awaited
    }
    : { ...member, link }
}

const steps: { readonly [L in Link]: number } = { Down: 0, Connecting: 1, Connected: 2 }

/** Any step is a sign of life. One that was taken before since the peer was last heard puts nothing off, so that it ends. */
const awaitConnection = (rules: Rules, member: ProtocolState, now: number): ProtocolState => {
  if (steps[member.link] <= steps[member.awaited]) {
    return { ...member, silentSince: now }
  }
  const millis = member.link === "Connecting"
    ? rules.handshakeMillis
    : inMillis(rules, timing.peerTimeout + timing.subscription)
  return { ...member, connectionDeadline: now + millis, silentSince: now, awaited: member.link }
}

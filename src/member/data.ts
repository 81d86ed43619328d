import type * as StateMachine from "../protocol/StateMachine.ts"

/**
 * What a member's decisions depend on besides what it remembers. Times are in milliseconds.
 *
 * @category models
 */
export interface Rules extends StateMachine.Rules {
  /** Whether the member votes for itself with each heartbeat, because it has no clients. */
  readonly isSelfVoting: boolean
  /** How long accepted requests may take to complete once the member is to stop or to hand over. */
  readonly drainMillis: number
  /** How many failovers are allowed within `failoverWindowMillis`; infinity for no limit. */
  readonly maxFailovers: number
  readonly failoverWindowMillis: number
  /** Whether refused connections to the peer's state port are looked for. */
  readonly crashDetection: boolean
  /** For messages: where the peer publishes, and where this member does. */
  readonly peerEndpoint: string
  readonly stateEndpoint: string
}

/**
 * A command of an operator that takes a while. `Complete` names it by its `id`.
 *
 * @category models
 */
export interface Command {
  readonly id: number
  readonly reason: string
}

/**
 * The lifecycle around the state machine.
 *
 * - `Serving`: requests are judged by the state.
 * - `Draining`: accepted requests are completed until then; new ones are rejected.
 * - `EndingTerm`: what runs in the term is being finalized, while the member still reports `ACTIVE`.
 * - `Stopped`: nothing follows any more.
 *
 * @category models
 */
export type Phase =
  | { readonly _tag: "Serving" }
  | {
    readonly _tag: "Draining"
    readonly since: number
    readonly until: number
    readonly handOver: Command | undefined
  }
  | {
    readonly _tag: "EndingTerm"
    readonly end: number
    readonly since: number
    readonly handOver: Command | undefined
  }
  | { readonly _tag: "Stopped" }

/**
 * What the member waits for before it takes in anything else; the rest is kept in `deferred`, in order.
 *
 * - `TermEnded`: what ran in the term has to be finalized before the member reports another state. `then` follows.
 * - `LinkReset`: after a stall, all that the peer sent meanwhile has to be received first.
 *
 * @category models
 */
export type Wait =
  | {
    readonly _tag: "TermEnded"
    readonly end: number
    readonly then: ReadonlyArray<Output>
    readonly isStalled: boolean
    readonly deferred: ReadonlyArray<Input>
  }
  | {
    readonly _tag: "LinkReset"
    /** When this process was last known to run, if it may keep its term because it has no peer. */
    readonly mayKeepTermOf: number | undefined
    readonly deferred: ReadonlyArray<Input>
  }

/**
 * All that a member remembers: plain data, which can be compared, printed and replayed.
 *
 * @category models
 */
export interface Member {
  readonly protocol: StateMachine.ProtocolState
  readonly phase: Phase
  readonly wait: Wait | undefined
  /** The peer's last heartbeat. */
  readonly peer: { readonly state: StateMachine.PeerState; readonly receivedAt: number } | undefined
  /** Why the peer is known to be down, for messages. */
  readonly peerDownBecause: string | undefined
  /** How many terms have begun to end. */
  readonly ends: number
  /** Heartbeats and evidence of an earlier epoch were received before a stall ended, and prove nothing. */
  readonly linkEpoch: number
  readonly startedAt: number
  /** When this member's last heartbeat was sent, or it last started over. */
  readonly lastHeartbeatAt: number
  /** When a heartbeat was last late; silence proves nothing for a while after that. */
  readonly briefStallAt: number
  /** A vote, or the member's own, that is judged once the link has been read. */
  readonly vote: { readonly voter: string } | undefined
  /** Whether a read of the link was asked for, and has not been answered. */
  readonly isReading: boolean
  readonly promotion: Promotion | undefined
  readonly paused: { readonly reason: string; readonly since: number } | undefined
  /** When the latest failovers happened, the oldest first. */
  readonly failovers: ReadonlyArray<number>
}

/**
 * A promotion that is under way: `waiting` is the state that it has led to so far. A heartbeat from the peer changes that
 * state, and the promotion fails.
 *
 * @category models
 */
export interface Promotion extends Command {
  readonly waiting: StateMachine.ProtocolState | undefined
}

/**
 * What happens to a member. `linkEpoch` is the epoch in which something was received.
 *
 * - `PeerMalformed`: the peer has sent something that is no state. It is no sign of life.
 * - `LinkRead`: everything that the peer had sent by then has been delivered. Answers `ReadLink`.
 * - `LinkReset`: the same after a stall. `refusal` is that of a connection to the peer's state port. Answers
 *   `ResetLink`.
 * - `Vote`: a request has reached a member that does not accept it.
 * - `RequestsDrained`: no accepted request is left.
 * - `TermEnded`: everything that ran in the term is finalized. Answers the `EndTerm` with the same number.
 * - `Woken`: a time that `WakeAt` named has come.
 *
 * @category models
 */
export type Input =
  | {
    readonly _tag: "PeerHeartbeat"
    readonly state: StateMachine.PeerState
    readonly receivedAt: number
    readonly linkEpoch: number
  }
  | { readonly _tag: "PeerMalformed"; readonly problem: string }
  | { readonly _tag: "PeerDown"; readonly evidence: StateMachine.Evidence; readonly linkEpoch: number }
  | { readonly _tag: "LinkConnecting" | "LinkConnected" | "LinkLost" }
  | { readonly _tag: "LinkRead"; readonly at: number; readonly hasSubscriber: boolean }
  | { readonly _tag: "LinkReset"; readonly refusal: Refusal | undefined }
  | { readonly _tag: "SubscriberJoined" | "HeartbeatDue" }
  | { readonly _tag: "HeartbeatSent"; readonly startedAt: number }
  | { readonly _tag: "Vote"; readonly voter: string; readonly hasSubscriber: boolean }
  | { readonly _tag: "Promote" | "HandOver" | "Pause"; readonly id: number; readonly reason: string }
  | { readonly _tag: "Resume"; readonly id: number }
  | { readonly _tag: "Stop" | "RequestsDrained" | "Woken" }
  | { readonly _tag: "TermEnded"; readonly end: number }

/**
 * The peer's host has refused a connection to the peer's state port, some time between these instants.
 *
 * @category models
 */
export interface Refusal {
  readonly triedAt: number
  readonly knownAt: number
}

/**
 * Why a command is rejected.
 *
 * @category models
 */
export type Rejection = "NotActive" | "PeerSilent" | "PeerAlive" | "Unsupported" | "Interrupted"

/**
 * A change of the member's state, or why its term ends.
 *
 * @category models
 */
export interface Transition {
  readonly from: StateMachine.State
  readonly to: StateMachine.State
  readonly cause: StateMachine.Event["_tag"]
  readonly message: string
  readonly explanation: string | undefined
  readonly reason: string | undefined
  readonly at: number
}

/**
 * What the runtime has to do, in order. What follows from an answer that is given meanwhile comes after all that was to be done
 * before it.
 *
 * - `Publish`: send a state message; with `isFinal` the state port is closed behind it. `isHeartbeat` asks for `HeartbeatSent`.
 * - `ReadLink`: deliver what the peer has sent, then `LinkRead` (H6).
 * - `ResetLink`: deliver what the peer sent during a stall, then `LinkReset`. What is received afterwards is of `epoch`. For up
 *   to `probeMillis`, if there are any, the peer's state port is probed first.
 * - `BeginTerm`, `EndTerm`: the member is active, or ceases to be. With `isSilent` nothing else may be taken in before
 *   `TermEnded`.
 * - `Transitioned`: watchers are notified.
 * - `FailedOver`: a vote has led to a failover, so long after the peer's last heartbeat.
 * - `Conflict`: the peer reports the state that this member has, and only one of them may have.
 * - `Complete`: a command is done, or rejected.
 * - `Log`: `burst` names a message that is logged once as long as it keeps coming.
 *
 * @category models
 */
export type Output =
  | {
    readonly _tag: "Publish"
    readonly state: StateMachine.PeerState
    readonly isFinal: boolean
    readonly isHeartbeat: boolean
  }
  | { readonly _tag: "ReadLink" }
  | { readonly _tag: "ResetLink"; readonly epoch: number; readonly probeMillis: number | undefined }
  | { readonly _tag: "BeginTerm" | "Transitioned"; readonly transition: Transition }
  | { readonly _tag: "EndTerm"; readonly end: number; readonly transition: Transition; readonly isSilent: boolean }
  | { readonly _tag: "FailedOver"; readonly silentMillis: number }
  | { readonly _tag: "Conflict"; readonly state: StateMachine.PeerState }
  | { readonly _tag: "WakeAt"; readonly at: number }
  | {
    readonly _tag: "Complete"
    readonly id: number
    readonly rejection: Rejection | undefined
    readonly since: number
  }
  | {
    readonly _tag: "Log"
    readonly level: "Info" | "Warning" | "Error"
    readonly message: string
    readonly transition?: Transition
    readonly burst?: "Held" | "Malformed" | "TwoActive" | "Silent"
  }
  | { readonly _tag: "Abort"; readonly reason: StateMachine.FatalReason }
  | { readonly _tag: "Exit" }

/** One step under way: what the member has become so far, and what is to be done. */
export interface Turn {
  readonly rules: Rules
  readonly now: number
  member: Member
  readonly outputs: Array<Output>
}

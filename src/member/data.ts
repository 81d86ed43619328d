import type { Heartbeat } from "../protocol/Heartbeat.ts"
import type * as Rights from "../protocol/Rights.ts"
import type * as StateMachine from "../protocol/StateMachine.ts"
import type { Term } from "../protocol/Term.ts"
import type { Dialogue } from "./Dialogue.ts"

/**
 * Configuration of a member's decisions. Durations are in milliseconds.
 *
 * @category models
 */
export interface Rules extends StateMachine.Rules {
  /** Whether the member votes for itself with each heartbeat, because it has no clients. */
  readonly isSelfVoting: boolean
  /** Maximum time to complete accepted requests before the member stops or hands over. */
  readonly drainMillis: number
  /** Maximum number of failovers within `failoverWindowMillis`; infinity for no limit. */
  readonly maxFailovers: number
  readonly failoverWindowMillis: number
  /** Whether the peer's state port is probed for refused connections. */
  readonly crashDetection: boolean
  /** The state ports of the peer and of this member, for messages. */
  readonly peerEndpoint: string
  readonly stateEndpoint: string
  /** Random id of this process, new with each start. */
  readonly life: string
  /** Where there is a witness, that of its rights. */
  readonly rights?: Rights.Rules | undefined
  /** The witness, without secrets, for messages. */
  readonly witnessEndpoint?: string | undefined
  /** Whether requests are accepted only in a term that has a number. */
  readonly fencing: "optional" | "required"
}

/**
 * A command of an operator that does not complete at once. `Complete` refers to it by its `id`.
 *
 * @category models
 */
export interface Command {
  readonly id: number
  readonly reason: string
}

/**
 * Lifecycle of a member.
 *
 * - `Serving`: the state decides about requests.
 * - `Draining`: accepted requests are completed until the deadline; new ones are rejected.
 * - `EndingTerm`: effects of the term are being finalized, while the member still reports `ACTIVE`.
 * - `Stopped`: inputs are ignored.
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
 * A result without which the member must not process other inputs; these are kept in `deferred`, in order.
 *
 * - `TermEnded`: effects of the term have to be finalized before the member reports another state. `then` follows.
 * - `LinkReset`: after a stall, everything that the peer sent meanwhile has to be received.
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
    /** The last heartbeat before the stall, if the member may keep its term because it has no peer. */
    readonly mayKeepTermOf: number | undefined
    readonly deferred: ReadonlyArray<Input>
  }

/**
 * Memory of a member: plain data, which can be compared, printed and replayed. Instants are monotonic, in milliseconds.
 *
 * @category models
 */
export interface Member {
  readonly protocol: StateMachine.ProtocolState
  readonly phase: Phase
  readonly wait: Wait | undefined
  /** The peer's last heartbeat. */
  readonly peer: {
    readonly state: StateMachine.PeerState
    readonly receivedAt: number
    /** What came beside the digit; nothing from a peer of another implementation. */
    readonly heartbeat: Heartbeat | undefined
  } | undefined
  /** The term of an active member; of any other, the largest that it knows. */
  readonly term: Term | undefined
  /** Number of the last heartbeat before this member became active. */
  readonly termAfter: number
  /** Where there is a witness, the right of this member to serve. */
  readonly rights: Rights.Rights | undefined
  readonly witness: WitnessHealth
  /** The latest wish to become active, where that needs an answer first. */
  readonly wish: Wish | undefined
  /** The time of the latest `WakeAt` for the end of a right. */
  readonly rightsWakeAt: number
  /** When this member became active, until it reports another state. */
  readonly activeSince: number | undefined
  readonly dialogue: Dialogue
  /** Why this member hands over, until its peer is active. */
  readonly handOverReason: string | undefined
  /** What the peer's final heartbeat has left to this member, until it is active or receives another one; for people. */
  readonly handedOver: {
    /** Nothing if the peer stops. */
    readonly reason: string | undefined
    /** When this member sent the heartbeat that the final one echoes. */
    readonly echoAt: number
  } | undefined
  /** The message of the latest crash evidence. */
  readonly peerDownReason: string | undefined
  /** Number of terms that have begun to end. */
  readonly endCount: number
  /** Heartbeats and crash evidence of an earlier epoch were received before the end of a stall, and are ignored. */
  readonly linkEpoch: number
  readonly startedAt: number
  /** When this member last sent a heartbeat, or last restarted. */
  readonly lastHeartbeatAt: number
  /** The latest brief stall, shortly after which silence is unproven. */
  readonly briefStallAt: number
  /** A vote that is decided once the link has been read. */
  readonly vote: { readonly voter: string } | undefined
  /** Whether a `ReadLink` is pending. */
  readonly isReading: boolean
  readonly promotion: Promotion | undefined
  readonly paused: { readonly reason: string; readonly since: number } | undefined
  /** The latest failovers, the oldest first. */
  readonly failovers: ReadonlyArray<number>
}

/**
 * When the witness answered last, and why it does not.
 *
 * @category models
 */
export interface WitnessHealth {
  readonly answeredAt: number | undefined
  readonly problem: string | undefined
  /** Identifies the register: the same on both members if they use the same one. */
  readonly fingerprint: string | undefined
}

/**
 * A wish to become active: a vote, or a promotion.
 *
 * @category models
 */
export interface Wish {
  readonly voter: string
  readonly at: number
}

/**
 * A pending promotion. `waiting` is the state to which it has led so far; if a heartbeat changes that, the promotion fails.
 *
 * @category models
 */
export interface Promotion extends Command {
  readonly since: number
  readonly waiting: StateMachine.ProtocolState | undefined
  /** Whether it is a part of a switchover. */
  readonly isSwitchover: boolean
  /** Whether it was logged that it waits for the peer to be expired. */
  readonly isHeld: boolean
}

/**
 * Input of a member. `linkEpoch` is the epoch in which it was received.
 *
 * - `PeerHeartbeat`: `heartbeat` is what a peer of this implementation sends beside the digit.
 * - `PeerMalformed`: a message of the peer that is neither a state nor a heartbeat. It does not count as a sign of life.
 * - `SubscriberJoined`: somebody has subscribed to this member's states. `PeerJoined`: also to its heartbeats.
 * - `HeartbeatSent`: result of a `Publish` that is a heartbeat. `isPortOpen` is whether the state port is.
 * - `LinkRead`: result of `ReadLink`. Everything that the peer had sent by `at` has been delivered.
 * - `LinkReset`: result of `ResetLink`. `refusal` is that of a connection to the peer's state port.
 * - `Promote`: with `isWithoutWitness` the operator answers for the witness and the peer; with `isSwitchover` the peer hands over.
 * - `WitnessAnswered`: result of the `AskWitness` with the same id.
 * - `Vote`: a request that this member does not accept.
 * - `RequestsDrained`: all accepted requests are complete.
 * - `TermEnded`: result of the `EndTerm` with the same number. Everything that ran in the term is finalized.
 * - `Woken`: the time of a `WakeAt` is reached.
 *
 * @category models
 */
export type Input =
  | {
    readonly _tag: "PeerHeartbeat"
    readonly state: StateMachine.PeerState
    readonly heartbeat?: Heartbeat | undefined
    readonly receivedAt: number
    readonly linkEpoch: number
  }
  | { readonly _tag: "PeerMalformed"; readonly problem: string }
  | { readonly _tag: "PeerDown"; readonly evidence: StateMachine.CrashEvidence; readonly linkEpoch: number }
  | { readonly _tag: "LinkConnecting" | "LinkConnected" | "LinkLost" }
  | { readonly _tag: "LinkRead"; readonly at: number; readonly hasSubscriber: boolean }
  | { readonly _tag: "LinkReset"; readonly refusal: ConnectionRefusal | undefined }
  | { readonly _tag: "SubscriberJoined" | "PeerJoined" | "HeartbeatDue" }
  | { readonly _tag: "HeartbeatSent"; readonly startedAt: number; readonly isPortOpen: boolean }
  | { readonly _tag: "Vote"; readonly voter: string; readonly hasSubscriber: boolean }
  | { readonly _tag: "HandOver" | "Pause"; readonly id: number; readonly reason: string }
  | {
    readonly _tag: "Promote"
    readonly id: number
    readonly reason: string
    readonly isWithoutWitness?: boolean | undefined
    readonly isSwitchover?: boolean | undefined
  }
  | {
    readonly _tag: "WitnessAnswered"
    readonly id: number
    readonly answer: WitnessAnswer
    readonly fingerprint?: string | undefined
  }
  | { readonly _tag: "Resume"; readonly id: number }
  | { readonly _tag: "Stop" | "RequestsDrained" | "Woken" }
  | { readonly _tag: "TermEnded"; readonly end: number }

/**
 * Answer of a witness. `Conflict` has what the register contains instead.
 *
 * @category models
 */
export type WitnessAnswer =
  | { readonly _tag: "Seen" | "Conflict"; readonly seen: Rights.Seen | undefined }
  | { readonly _tag: "Swapped"; readonly version: string }
  | { readonly _tag: "NoAnswer"; readonly problem: string }

/**
 * The peer's host refused a connection to the peer's state port, at some time between these instants.
 *
 * @category models
 */
export interface ConnectionRefusal {
  readonly triedAt: number
  readonly knownAt: number
}

/**
 * Reason of a rejected command.
 *
 * - `NotActive`: only the active server can hand over.
 * - `PeerSilent`: the peer is expired, or is not passive.
 * - `PeerAlive`: the peer sends heartbeats and has not handed over, so both would be active.
 * - `Unsupported`: the policy has no hand-over.
 * - `NoMajority`: neither the witness nor the peer gives the right to serve.
 * - `InProgress`: another promotion or hand-over is not complete yet.
 * - `Replaced`: a promotion without the witness was requested before this promotion was complete.
 * - `NoWitness`: the operator answers for a witness that the pair does not have.
 * - `Interrupted`: the server was stopped, or ceased to be active, before the command was complete.
 *
 * @category models
 */
export type CommandReason =
  | "NotActive"
  | "PeerSilent"
  | "PeerAlive"
  | "Unsupported"
  | "NoMajority"
  | "InProgress"
  | "Replaced"
  | "NoWitness"
  | "Interrupted"

/**
 * A change of a member's state and its cause: an event of the state machine, the `Start` of the member, or its `End` by a
 * failure. The transition that ends a term by a stop may keep the state.
 *
 * @category models
 */
export interface Transition {
  /** `undefined` for the start. */
  readonly from: StateMachine.State | undefined
  readonly to: StateMachine.State
  readonly cause: StateMachine.Event["_tag"] | "Start" | "End"
  /** What happened, for people. */
  readonly message: string
  /** Why, for people: for example how long the peer was silent, and whose vote it was. */
  readonly explanation?: string | undefined
  /** The reason that an operator gave. */
  readonly reason?: string | undefined
  /** The term that begins or ends, where it has a number. */
  readonly term?: Term | undefined
  /** Monotonic time in milliseconds. */
  readonly at: number
}

/**
 * Why votes do not lead to a takeover: an operator has paused the server, or the limit of failovers is reached. Instants are
 * monotonic, in milliseconds.
 *
 * @category models
 */
export type TakeoverBlock =
  | { readonly _tag: "Paused"; readonly reason: string; readonly since: number }
  | { readonly _tag: "Limited"; readonly until: number }

/**
 * Output of a member: work for the runtime, to be performed in order. Outputs that follow from a result are performed after
 * those that preceded it.
 *
 * - `Publish`: send a state message, and after it the heartbeat for a peer of this implementation. `isFinal` closes the state
 *   port after it. `isHeartbeat` requests a `HeartbeatSent`.
 * - `Reply`: send a heartbeat to a peer of this implementation at once, without a state message: it answers one of the peer.
 * - `AskWitness`: ask, then `WitnessAnswered`. An earlier question is given up; the answer to it is ignored.
 * - `Probe`: try to connect to the peer's state port. A refusal is a `PeerDown`.
 * - `ReadLink`: deliver what the peer has sent, then `LinkRead` (H6).
 * - `ResetLink`: deliver what the peer sent during a stall, then `LinkReset`. Later messages belong to `epoch`. Probe the
 *   peer's state port first, for up to `probeMillis`, if defined.
 * - `BeginTerm`, `EndTerm`: the member becomes active, or ceases to be. If `isSilent`, `TermEnded` has to be the next input.
 * - `Transitioned`: notify watchers.
 * - `FailedOver`: a vote has led to a failover, `silentMillis` after the peer's last heartbeat.
 * - `Conflict`: both servers are active, or both are passive.
 * - `Leased`: this active member has the right to serve until then.
 * - `Complete`: a command is complete, or rejected.
 * - `Log`: `once` is the key of a message that is logged once in a burst.
 *
 * @category models
 */
export type Output =
  | {
    readonly _tag: "Publish"
    readonly state: StateMachine.PeerState
    readonly heartbeat: Heartbeat
    readonly isFinal: boolean
    readonly isHeartbeat: boolean
  }
  | { readonly _tag: "Reply"; readonly heartbeat: Heartbeat }
  | { readonly _tag: "AskWitness"; readonly request: Rights.Request; readonly expected: string | undefined }
  | { readonly _tag: "ReadLink" | "Probe" }
  | { readonly _tag: "ResetLink"; readonly epoch: number; readonly probeMillis: number | undefined }
  | { readonly _tag: "BeginTerm" | "Transitioned"; readonly transition: Transition }
  | { readonly _tag: "EndTerm"; readonly end: number; readonly transition: Transition; readonly isSilent: boolean }
  | { readonly _tag: "FailedOver"; readonly silentMillis: number }
  | { readonly _tag: "Conflict"; readonly state: StateMachine.PeerState }
  | { readonly _tag: "WakeAt"; readonly at: number }
  | { readonly _tag: "Leased"; readonly until: number }
  | {
    readonly _tag: "Complete"
    readonly id: number
    readonly rejection: CommandReason | undefined
    readonly since: number
  }
  | {
    readonly _tag: "Log"
    readonly level: "Info" | "Warning" | "Error"
    readonly message: string
    readonly transition?: Transition
    readonly once?:
      | "Blocked"
      | "Malformed"
      | "OnlyMalformed"
      | "SameRole"
      | "SameState"
      | "TwoActive"
      | "Silent"
      | "Witness"
      | "WitnessBack"
      | "OtherWitness"
      | "OneWay"
  }
  | { readonly _tag: "Abort"; readonly reason: StateMachine.FatalReason }
  | { readonly _tag: "Exit" }

/** Working copy of a member during one step, with the outputs so far. */
export interface Draft {
  readonly rules: Rules
  readonly now: number
  member: Member
  readonly outputs: Array<Output>
}

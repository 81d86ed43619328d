/** Snapshot of a member: what an operator can observe. */
import type { Connections } from "../ports/Frontend.ts"
import type { Giver, TermRecord } from "../protocol/Rights.ts"
import type * as StateMachine from "../protocol/StateMachine.ts"
import type { Term } from "../protocol/Term.ts"
import type { TakeoverBlock, Transition } from "./data.ts"
import type { Histogram } from "./Histogram.ts"

export type { TakeoverBlock, Transition } from "./data.ts"
export type { Histogram } from "./Histogram.ts"

/**
 * Counters of a member since it started.
 *
 * @category models
 */
export interface Counters {
  /** Requests that were passed to the handler. */
  readonly accepted: number
  /** Requests that were rejected because this server is not active. */
  readonly rejected: number
  /** Accepted requests whose handler failed or timed out. A `RequestFailure` is not counted. */
  readonly failed: number
  /** Requests that were rejected by a limit: too many frames, or too many of one client at a time. */
  readonly limited: number
  /** Heartbeats received from the peer. */
  readonly heartbeats: number
  /** Messages from the peer that were not a state. They are ignored, and are no sign of life. */
  readonly malformed: number
  /** Requests received while this server was not active: votes. */
  readonly votes: number
  /** Own heartbeats at which the peer's was overdue by half a heartbeat. */
  readonly missed: number
  /** Heartbeats of the peer which showed that both servers were active, or both passive. */
  readonly conflicts: number
  /** Takeovers by a vote because the peer was lost. */
  readonly failovers: number
  /** Crash evidence that was wrong: a heartbeat showed that the same process of the peer had been running. */
  readonly refuted: number
  /** How often the machine was suspended: its boot clock was ahead of the monotonic one, which stands still meanwhile. */
  readonly suspended: number
}

/**
 * Snapshot of a member. Instants are monotonic, in milliseconds.
 *
 * @category models
 */
export interface Report {
  readonly at: number
  /** The latest transition: the current state, and since when. */
  readonly transition: Transition
  /** Whether a request that arrives now is accepted. */
  readonly answers: boolean
  /** The term of an active member, once it has a number. */
  readonly term: Term | undefined
  readonly peer: {
    /** The state that its last heartbeat reported. */
    readonly state: StateMachine.PeerState | undefined
    readonly lastHeartbeatAt: number | undefined
    readonly isExpired: boolean
    /**
     * Since when it has received no heartbeat of this member although its own arrive, once that is longer than three heartbeats.
     * Unknown of a peer of another implementation.
     */
    readonly unreceivedSince: number | undefined
    /** Whether its last message was but a digit: then it is of another implementation, and promises nothing. */
    readonly isLegacy: boolean | undefined
    /** What is wrong with its latest message, if it has sent nothing but malformed ones. */
    readonly malformed: string | undefined
  }
  /** The latest suspension of the machine: when it was noticed, and how long it was, in milliseconds. */
  readonly suspension: { readonly at: number; readonly millis: number } | undefined
  readonly counters: Counters
  /** Connections of clients. */
  readonly connections: Connections
  /** Milliseconds from the arrival of a request to its reply. */
  readonly latency: Histogram
  /** Milliseconds from the peer's last heartbeat to the failover. */
  readonly failover: Histogram
  readonly takeoverBlock: TakeoverBlock | undefined
  /** The third party, where there is one. */
  readonly witness: WitnessReport | undefined
}

/**
 * What a member knows of its witness, and its rights. Instants are monotonic, in milliseconds.
 *
 * @category models
 */
export interface WitnessReport {
  /** The engine and the pair's name there, without secrets. */
  readonly endpoint: string
  /** Identifies the register: the same on both members if they use the same one. Unknown before the first answer. */
  readonly fingerprint: string | undefined
  /** That of the peer, if it has told. */
  readonly peerFingerprint: string | undefined
  /** The last answer. */
  readonly answeredAt: number | undefined
  /** Why the latest question has no answer. */
  readonly problem: string | undefined
  /** The record as this member saw it last. */
  readonly record: TermRecord | undefined
  /** Swaps that found another record. */
  readonly conflicts: number
  /** Milliseconds from a question to its answer. */
  readonly latency: Histogram
  /** The end of each right to serve. */
  readonly rights: { readonly [G in Giver]: number }
  /** Until when a takeover needs evidence. */
  readonly guardUntil: number
}

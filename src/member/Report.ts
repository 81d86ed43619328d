/**
 * What can be seen of a member of a pair.
 *
 * @since 0.1.0
 */
import type { Connections } from "../ports/Frontend.ts"
import type * as StateMachine from "../protocol/StateMachine.ts"
export type { Histogram } from "./Histogram.ts"
import type { Histogram } from "./Histogram.ts"

/**
 * What a member has seen since it started.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counters {
  /** Requests that were answered, or handed to an effect that answers them. */
  readonly accepted: number
  /** Requests that were dropped because this server may not answer. */
  readonly rejected: number
  /** Requests that were accepted but whose handler failed or took too long. A `Refusal` is no failure. */
  readonly failed: number
  /** Requests that were refused because of a limit: too many frames, or too many of one client at a time. */
  readonly limited: number
  /** States heard from the peer. */
  readonly heartbeats: number
  /** Messages from the peer that were no state. They are ignored and are no sign of life. */
  readonly malformed: number
  /** Requests that came while this server did not answer: votes. */
  readonly votes: number
  /** Heartbeats at which the peer was overdue by half of one. */
  readonly missed: number
  /** How often the peer said that it is active while this server was, or both were passive. */
  readonly conflicts: number
  /** How often votes have made this server take over. */
  readonly failovers: number
}

/**
 * A change of a member's state, and what caused it: an event of the state machine, the `Start` of the member, or its `End`
 * in bad order.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transition {
  /** `undefined` for the start. */
  readonly from: StateMachine.State | undefined
  readonly to: StateMachine.State
  readonly cause: StateMachine.Event["_tag"] | "Start" | "End"
  /** What has happened, for people. */
  readonly message: string
  /** What has led to it, for people: how long the peer was silent, and who voted. */
  readonly explanation?: string | undefined
  /** What an operator gave as the reason. */
  readonly reason?: string | undefined
  /** When, in milliseconds of the monotonic clock. */
  readonly at: number
}

/**
 * Why votes do not make a member take over.
 *
 * - `Paused`: an operator has paused it, then.
 * - `Limited`: votes have done so too often of late; they will again from then on.
 *
 * Times are in milliseconds of the monotonic clock.
 *
 * @since 0.1.0
 * @category models
 */
export type TakeoverBlock =
  | { readonly _tag: "Paused"; readonly reason: string; readonly at: number }
  | { readonly _tag: "Limited"; readonly until: number }

/**
 * All that can be seen of a member at one moment. Times are in milliseconds of the monotonic clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly at: number
  /** The latest, which tells the state and since when. */
  readonly transition: Transition
  /** Whether a client that asks now is answered. */
  readonly answers: boolean
  readonly peer: {
    /** Its last word, and when it came. */
    readonly state: StateMachine.PeerState | undefined
    readonly lastHeartbeatAt: number | undefined
    readonly isExpired: boolean
  }
  readonly counters: Counters
  /** Those of the clients. */
  readonly connections: Connections
  /** From the arrival of a request to its reply. */
  readonly latency: Histogram
  /** From the peer's last word to a take-over. */
  readonly failover: Histogram
  readonly takeoverBlock: TakeoverBlock | undefined
}

/**
 * The heartbeat between two members of this implementation. It is sent beside the Guide's digit, and only to a peer that has
 * subscribed to it.
 */
import type { PeerState } from "./StateMachine.ts"
import type { Term } from "./Term.ts"

/**
 * A heartbeat of one process to another, by the process and its number there.
 *
 * @category models
 */
export interface Echo {
  /** Random id of the process, new with each start. */
  readonly life: string
  /** Number of the heartbeat in that life, from 1. */
  readonly sequence: number
}

/**
 * What an active member, or one that wants to be active, asks of its peer: a promise not to take over within two heartbeats
 * without evidence.
 *
 * - `Serve`: it is active.
 * - `Resume`: it was active last, and wants to go on with that term.
 * - `Stand`: nobody is active, and no witness answers.
 *
 * @category models
 */
export type Question = "Serve" | "Resume" | "Stand"

/**
 * Heartbeat of a member.
 *
 * @category models
 */
export interface Heartbeat extends Echo {
  readonly state: PeerState
  /** The last heartbeat received from the addressee. A heartbeat that names another life than the receiver's is void. */
  readonly received: Echo | undefined
  /** The term of this member, else the last one that it had or followed; without a witness the largest that it knows. */
  readonly term: Term | undefined
  /** Whether the witness has recorded the term. */
  readonly isRecorded: boolean
  readonly question: Question | undefined
  /** Whether the question of the `received` heartbeat is promised. */
  readonly promises: boolean
  /** Whether this member was active, and leaves it to its peer: its final heartbeat. */
  readonly handsOver: boolean
  /** Why an operator makes it hand over; may be cut. Nothing if it stops. */
  readonly reason: string | undefined
  /** Milliseconds since it became active. */
  readonly activeMillis: number | undefined
  /** Fingerprint of the witness and the pair's name there. */
  readonly witness: string | undefined
}

/**
 * What a heartbeat has besides its number and its state: here nothing.
 *
 * @category constants
 */
export const stateOnly = {
  received: undefined,
  term: undefined,
  isRecorded: false,
  question: undefined,
  promises: false,
  handsOver: false,
  reason: undefined,
  activeMillis: undefined,
  witness: undefined
} as const satisfies Omit<Heartbeat, "life" | "sequence" | "state">

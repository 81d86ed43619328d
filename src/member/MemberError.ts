/** Errors of a member: why it ends by itself, and why it rejects a command. */
import * as Data from "effect/Data"
import type { FatalReason } from "../protocol/StateMachine.ts"
import type { CommandReason } from "./data.ts"

export type { CommandReason } from "./data.ts"

/**
 * Reason why a member of a pair ended by itself. Only `classic` ends by itself.
 *
 * - `DualActive`: both servers were active (split brain).
 * - `DualPassive`: both servers were passive, so neither would ever answer.
 *
 * @category errors
 */
export class MemberError extends Data.TaggedError("MemberError")<{
  readonly reason: FatalReason
}> {
  override get message(): string {
    return this.reason === "DualActive"
      ? "both servers of the pair were active; this one ended"
      : "both servers of the pair were passive; this one ended"
  }
}

/**
 * A member has no term, and so no fencing token.
 *
 * - `NotActive`: it is not active, or has ended.
 * - `NotRecorded`: it is active, but the witness has not recorded its term yet.
 *
 * @category errors
 */
export class NoTerm extends Data.TaggedError("NoTerm")<{
  readonly reason: "NotActive" | "NotRecorded"
}> {
  override get message(): string {
    return this.reason === "NotActive" ? "this server is not active" : "the witness has not recorded the term yet"
  }
}

const sentences: { readonly [R in CommandReason]: string } = {
  NotActive: "this server is not active",
  PeerSilent: "the peer is not ready as passive",
  PeerAlive: "the peer is alive and has not handed over (bstar switchover makes it hand over)",
  Unsupported: "the policy classic does not support it",
  NoMajority:
    "neither the witness nor the peer gives the right to serve: start one of them; if the other server certainly does not run, " +
    "bstar promote --without-witness",
  InProgress: "another promotion or hand-over is in progress",
  Replaced: "a promotion without the witness has replaced this one",
  NoWitness: "this server has no witness to answer for: leave out --without-witness (withoutWitness)",
  Interrupted: "this server was stopped, or ceased to be active, before it was complete"
}

/**
 * A command of an operator that a member has rejected.
 *
 * @category errors
 */
export class CommandRejected extends Data.TaggedError("CommandRejected")<{
  readonly command: "handOver" | "promote"
  readonly reason: CommandReason
}> {
  override get message(): string {
    return `${this.command === "promote" ? "not promoted" : "not handed over"}: ${sentences[this.reason]}`
  }
}

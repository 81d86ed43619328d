/** Errors of a member: why it ends by itself, and why it rejects a command. */
import * as Data from "effect/Data"
import type { FatalReason } from "../protocol/StateMachine.ts"

/**
 * Why a member of a pair ended by itself.
 *
 * - `DualActive`: both servers were active (split brain).
 * - `DualPassive`: both servers were passive, so neither would ever answer.
 *
 * @since 0.1.0
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
 * Why an operator's order was refused.
 *
 * - `NotActive`: only the active server can hand over.
 * - `PeerSilent`: the peer is not there, or not ready to take over.
 * - `PeerAlive`: the peer is heard and has not handed over, so that both would be active.
 * - `Unsupported`: the policy does not have it.
 * - `Interrupted`: the server was stopped, or ceased to be active, before it was carried out.
 *
 * @since 0.1.0
 * @category models
 */
export type CommandReason = "NotActive" | "PeerSilent" | "PeerAlive" | "Unsupported" | "Interrupted"

const orderSentences: { readonly [R in CommandReason]: string } = {
  NotActive: "this server is not active",
  PeerSilent: "the peer does not stand by",
  PeerAlive: "the peer is alive and has not handed over",
  Unsupported: "the policy classic has no such thing",
  Interrupted: "this server was stopped or has ceased to be active meanwhile"
}

/**
 * A server does not do what an operator has ordered.
 *
 * @since 0.1.0
 * @category errors
 */
export class CommandRejected extends Data.TaggedError("CommandRejected")<{
  readonly command: "handOver" | "promote"
  readonly reason: CommandReason
}> {
  override get message(): string {
    return `${this.command === "promote" ? "not promoted" : "not handed over"}: ${orderSentences[this.reason]}`
  }
}

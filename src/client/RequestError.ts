/** Errors of a request. */
import * as Data from "effect/Data"
import type { Frames } from "../wire/Frames.ts"

/**
 * Why a request has no reply.
 *
 * - `NoReply`: no server answered in time.
 * - `Unanswered`: the request must not be resent; it was sent, and its reply is lost or late. It may have been executed.
 * - `Failed`: the handler failed; `detail` is what it reported.
 * - `TimedOut`: the handler exceeded its timeout and was interrupted.
 * - `Busy`: the server is overloaded. The request was not executed.
 *
 * @category models
 */
export type RequestReason = "NoReply" | "Unanswered" | "Failed" | "TimedOut" | "Busy"

const requestSentences: { readonly [R in Exclude<RequestReason, "NoReply">]: string } = {
  Unanswered: "has not replied; it may have been executed, and must not be resent",
  Failed: "failed to handle it",
  TimedOut: "exceeded the timeout of its handler",
  Busy: "is busy and has rejected it"
}

/**
 * A request has no reply. `attempts` is how often it was sent. `detail` is reported by the handler or the server, with the
 * reasons `Failed` and `Busy` only.
 *
 * @category errors
 */
export class RequestError extends Data.TaggedError("RequestError")<{
  readonly reason: RequestReason
  readonly servers: ReadonlyArray<string>
  readonly attempts: number
  readonly detail?: Frames
  readonly cause?: unknown
}> {
  override get message(): string {
    const servers = this.servers.join(" or ")
    return this.reason === "NoReply"
      ? `no reply from ${servers} after ${this.attempts} ${this.attempts === 1 ? "attempt" : "attempts"}`
      : `sent to ${servers}, which ${requestSentences[this.reason]}`
  }
}

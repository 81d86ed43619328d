/** Errors of a request. */
import * as Data from "effect/Data"
import type { Frames } from "../wire/Frames.ts"

/**
 * Why a request has no reply.
 *
 * - `NoReply`: no server answered within the time that the client's timings promise.
 * - `Unanswered`: the request must not be sent twice; it was sent, and its reply is lost or has not come in time. Whether a
 *   server has executed it is not known.
 * - `Failed`: the server's handler failed; `detail` is what it has to say about it.
 * - `TimedOut`: the server's handler took longer than it may and was interrupted.
 * - `Busy`: the server has too much to do. The request was not executed.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestReason = "NoReply" | "Unanswered" | "Failed" | "TimedOut" | "Busy"

const requestSentences: { readonly [R in Exclude<RequestReason, "NoReply">]: string } = {
  Unanswered: "has not answered; it was not sent again because it must not be",
  Failed: "failed to handle it",
  TimedOut: "took longer than it may and gave it up",
  Busy: "is too busy to take it"
}

/**
 * A request has no reply. `attempts` is how often it was sent, `detail` what a handler that refused it has to
 * say, if anything; only with the reasons `Failed` and `Busy`.
 *
 * @since 0.1.0
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
      ? `no reply from ${servers} after ${this.attempts} ${this.attempts === 1 ? "try" : "tries"}`
      : `sent to ${servers}, which ${requestSentences[this.reason]}`
  }
}

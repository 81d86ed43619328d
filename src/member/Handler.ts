/** What a server does for its clients. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { State } from "../protocol/StateMachine.ts"
import type * as Frames from "../wire/Frames.ts"

/**
 * A client's request, apart from the envelope that leads the reply back to it.
 *
 * @category models
 */
export interface Request {
  /** What the client says. */
  readonly body: Frames.Frames
  /** Names the client's connection to this server, in hexadecimal digits. Another connection has another name. */
  readonly client: string
  /** The state in which this server has accepted the request: `ACTIVE`, or with the policy `classic` also `PRIMARY`. */
  readonly state: State
}

/**
 * Answers a request: with a reply, or with an effect that gives one.
 *
 * A reply that is given at once costs no fiber. Effects run beside each other, up to the configured `concurrency`; with a
 * concurrency of 1 they run one after the other, in the order in which each client has asked. While that many run, further
 * requests wait with the clients. An effect that takes longer than the configured `timeout` is interrupted, as are all
 * that still run when the server ceases to be active.
 *
 * A handler that throws, fails or dies harms nobody else. A client of this library is told that it has failed, and with a
 * {@link RequestFailure} what it has to say; any other client has no answer. All but refusals are counted, and their cause is
 * logged once a burst.
 *
 * An effect runs in a span `BinaryStar.request` where a client of this library has asked in a span, which is its parent, or
 * where the member was made with a tracer of its own.
 * Bytes that were given as a reply must not be changed afterwards.
 *
 * @category models
 */
export type Handler<R = never> = (
  request: Request
) => Frames.Input | DeferredReply | Effect.Effect<Frames.Input, unknown, R>

/**
 * A reply that somebody else will give, for handlers that only pass a request on and wait: it costs no fiber and no span,
 * which is more than half of what a request costs. All that holds for effects holds for it.
 *
 * @category models
 */
export class DeferredReply {
  /**
   * Called once, at once, with what takes the reply, or what an effect would fail with. Gives what is called instead of an
   * interruption: nobody waits for the reply any more. It may still settle with a {@link RequestFailure} as its last word, instead of
   * having taken too long. `Busy` says that it has not been begun: where the server has ceased to be active the client then asks
   * the other one.
   */
  readonly start: (settle: (answer: Exit.Exit<Frames.Input, unknown>) => void) => () => void
  constructor(start: (settle: (answer: Exit.Exit<Frames.Input, unknown>) => void) => () => void) {
    this.start = start
  }
}

/**
 * What a handler fails with in order to tell its client why: the client's request fails with the same reason, and with
 * the body as its `detail`. `Busy` says that the request was not executed; with `Dropped` no client has an answer.
 *
 * @category errors
 */
export class RequestFailure extends Data.TaggedError("Refusal")<{
  readonly reason?: "Failed" | "Busy" | "Dropped"
  readonly body?: Frames.Input
}> {}

/**
 * Answers a request with itself, as the server of the Guide does.
 *
 * @category constructors
 */
export const echo: Handler = (request) => request.body

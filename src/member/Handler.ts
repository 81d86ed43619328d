/** Handlers of requests. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import type { State } from "../protocol/StateMachine.ts"
import type { Term } from "../protocol/Term.ts"
import type * as Frames from "../wire/Frames.ts"

/**
 * A client's request, without its envelope.
 *
 * @category models
 */
export interface Request {
  readonly body: Frames.Frames
  /** Routing id of the client's connection, in hexadecimal digits. Every connection has another one. */
  readonly client: string
  /** State in which the request was accepted: `ACTIVE`, or with the policy `classic` also `PRIMARY`. */
  readonly state: State
  /**
   * The term in which the request was accepted: the fencing token, of which `Term.toToken` makes an integer. `None` while there is
   * none, which is never so with the fencing `required`.
   */
  readonly term: Option.Option<Term>
}

/**
 * Handler of requests: returns a reply, or an effect that produces one.
 *
 * An immediate reply costs no fiber. Effects run concurrently, up to the configured `concurrency`; with a concurrency of 1 they
 * run one after the other, in the order of each client's requests. Beyond that, requests wait at the clients. An effect is
 * interrupted after the configured `timeout`, or when the server ceases to be active.
 *
 * A handler that throws, fails or dies does not affect other requests. A client of this library receives the failure, with the
 * details of a {@link RequestFailure}; any other client receives no reply. All failures but a {@link RequestFailure} are counted,
 * and logged once in a burst.
 *
 * `Effect.gen` in a handler makes a generator function for each request, which costs more than the rest of an effect that ends at
 * once. With `Effect.fnUntraced` there is one for all requests.
 *
 * An effect runs in a span `BinaryStar.request` if a client of this library sent a span, which becomes its parent, or if the
 * member was made with its own tracer. The bytes of a reply must not be changed afterwards.
 *
 * @category models
 */
export type Handler<R = never> = (
  request: Request
) => Frames.Input | DeferredReply | Effect.Effect<Frames.Input, unknown, R>

/**
 * A callback-style reply, for handlers that forward requests. It has the same limits, timeout and interruption as an effect, but
 * needs no fiber and no span, which are more than half of the cost of a request.
 *
 * @category models
 */
export class DeferredReply {
  /**
   * Called once, at once. `complete` takes the exit of the reply. Returns the callback for an interruption, after which no reply is
   * expected. That callback may still complete with a {@link RequestFailure}, which replaces the timeout. Its reason `Busy` means
   * that the request was not executed; if the server has ceased to be active, the client then retries at the peer.
   */
  readonly start: (complete: (exit: Exit.Exit<Frames.Input, unknown>) => void) => () => void
  constructor(start: (complete: (exit: Exit.Exit<Frames.Input, unknown>) => void) => () => void) {
    this.start = start
  }
}

/**
 * Failure of a handler that is reported to its client: the request fails with the same reason, and with the body as its `detail`.
 * `Busy` means that the request was not executed. So does `NotActive`, and that this server cannot, for example because a store has
 * found its term stale: the client turns to the other server. With `Dropped` no client receives a reply.
 *
 * @category errors
 */
export class RequestFailure extends Data.TaggedError("RequestFailure")<{
  readonly reason?: "Failed" | "Busy" | "NotActive" | "Dropped"
  readonly body?: Frames.Input
}> {}

/**
 * Replies with the request itself, as the server of the Guide does.
 *
 * @category constructors
 */
export const echo: Handler = (request) => request.body

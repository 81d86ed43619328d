/**
 * What a server does for its clients.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Frames from "./Frames.ts"

/**
 * A client's request, apart from the envelope that leads the reply back to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  /** What the client says. */
  readonly body: Frames.Frames
}

/**
 * Answers a request: with a reply, or with an effect that gives one.
 *
 * A reply that is given at once costs no fiber. Effects run beside each other, up to the configured concurrency; while
 * that many run, further requests wait with the clients; give those that may hang a timeout, since a server whose
 * handlers all hang is alive to its peer. A handler that throws, fails or dies harms nobody else: its request is dropped
 * and counted, and the cause is logged once a burst. Bytes that were given as a reply must not be changed afterwards.
 *
 * @since 0.1.0
 * @category models
 */
export type Handler<R = never> = (request: Request) => Frames.Input | Effect.Effect<Frames.Input, unknown, R>

/**
 * Answers a request with itself, as the server of the Guide does.
 *
 * @since 0.1.0
 * @category constructors
 */
export const echo: Handler = (request) => request.body

/**
 * The port through which a client reaches the servers of a pair.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Frames from "../wire/Frames.ts"
import type { SocketError } from "./SocketError.ts"

/**
 * A client's connection to one server. Messages come in order. What was sent and not yet delivered is
 * dropped when the connection's scope closes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  /** Sends a message, now or as soon as the server is there. */
  readonly send: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /**
   * Hands what the server sends to `take` in batches, and goes on when the promise that `take` gave is fulfilled. Never ends
   * by itself. To be run once.
   */
  readonly run: (take: (messages: ReadonlyArray<Frames.Frames>) => Promise<void>) => Effect.Effect<never, SocketError>
  /** Tells when the server is there and when it is lost. To be run once. */
  readonly events: Stream.Stream<"connected" | "lost">
}

/**
 * Opens connections to servers. Connecting to a server that is not there succeeds: it may come.
 *
 * @since 0.1.0
 * @category tags
 */
export class ClientLink extends Context.Tag("effect-binary-star/ClientLink")<ClientLink, {
  /** Connects to a server's frontend. */
  readonly connect: (server: string) => Effect.Effect<Connection, SocketError, Scope.Scope>
}>() {}

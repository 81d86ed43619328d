/** Port through which a client reaches the servers of a pair. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Frames from "../wire/Frames.ts"
import type { SocketError } from "./SocketError.ts"

/**
 * Connection of a client to one server. Messages keep their order. Messages that are sent but not yet delivered are
 * dropped when the scope of the connection closes.
 *
 * @category models
 */
export interface Connection {
  /** Sends a message, or queues it until the server is connected. Fails with the reason `Full` when the queue is full. */
  readonly send: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /** The same for the hot path, without a fiber: calls `onUnsent` instead of failing, at once or a little later. */
  readonly sendNow: (message: Frames.Frames, onUnsent: () => void) => void
  /**
   * Passes received messages to `onBatch`, the next batch at once, or when the returned promise is fulfilled. Never ends by
   * itself; to be run once.
   */
  readonly run: (
    onBatch: (messages: ReadonlyArray<Frames.Frames>) => Promise<void> | void
  ) => Effect.Effect<never, SocketError>
  /** Emits when the server is connected and when the connection is lost. To be run once. */
  readonly events: Stream.Stream<"connected" | "lost">
}

/**
 * Opens connections to servers. Connecting to a server that is not running succeeds: it may start later.
 *
 * @category tags
 */
export class ClientLink extends Context.Tag("effect-binary-star/ClientLink")<ClientLink, {
  /** Connects to the frontend of a server. Fails with the reason `UnknownHost` when its name cannot be resolved. */
  readonly connect: (server: string) => Effect.Effect<Connection, SocketError, Scope.Scope>
}>() {}

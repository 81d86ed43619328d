import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import * as Burst from "../internal/LogOnce.ts"
import { nextTurn } from "../internal/Scheduler.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Frames from "../wire/Frames.ts"
import { tellPort } from "./ports.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/** How long, in milliseconds, a final heartbeat may take after the server has ended. */
const lingerMillis = 200

/** Subscriptions and CURVE handshakes fit in 512 bytes. */
const limits = { maxMessageSize: 512, handshakeMillis: 5000 }

/** Failures less than so many milliseconds apart are logged once. */
const quietMillis = 10_000

/**
 * Where a server publishes its state. It can be closed and opened again.
 *
 * @internal
 */
export interface StatePort {
  readonly publish: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /** Publishes a final message and closes the port. Does nothing where it is closed. */
  readonly farewell: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /** Subscribers that have connected. Those at one moment count once. */
  readonly joined: Stream.Stream<void>
  readonly hasSubscriber: Effect.Effect<boolean>
}

/** @internal */
export const make = (
  options: { readonly endpoint: string; readonly secure: ZmqSocket.Secure | undefined }
): Effect.Effect<StatePort, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const now = yield* monotonicReader
    const isFirstFailure = Burst.make(quietMillis)
    const joined = yield* Mailbox.make<void>({ capacity: 1, strategy: "sliding" })

    const open = (endpoint: string) =>
      Effect.gen(function*() {
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const close = Scope.close(own, Exit.void)
        const publisher = yield* ZmqSocket.makeStatePublisher({ lingerMillis, ...limits, secure: options.secure }).pipe(
          Scope.extend(own),
          Effect.tapError(() => close)
        )
        yield* Stream.runForEach(
          publisher.subscriptions,
          (change) => change === "joined" ? joined.offer(undefined) : Effect.void
        ).pipe(Effect.interruptible, Effect.forkIn(own))
        const bound = yield* Effect.tapError(publisher.bind(endpoint), () => close)
        return { ...publisher, endpoint: bound, close, isOpen: true }
      })

    let publisher = yield* open(options.endpoint)
    yield* tellPort(options.endpoint, publisher.endpoint)

    const publish = (message: Frames.Frames) =>
      Effect.gen(function*() {
        publisher = publisher.isOpen ? publisher : yield* open(publisher.endpoint)
        yield* publisher.send(message)
        // The turn of the event loop is the time in which libzmq's own thread takes the message to the network.
        yield* nextTurn
      })

    return {
      // Descriptors may be used up for a while; the next heartbeat opens the port.
      publish: (message) =>
        Effect.catchIf(
          publish(message),
          (error) => error.reason === "TooManySockets",
          (error) => isFirstFailure(now()) ? Effect.logWarning(`${error.message}; trying again`) : Effect.void
        ),
      farewell: (message) =>
        Effect.suspend(() => {
          if (!publisher.isOpen) {
            return Effect.void
          }
          // An endpoint of inproc is not found again once it was closed.
          publisher.isOpen = publisher.endpoint.startsWith("inproc:")
          return publisher.isOpen
            ? publisher.send(message)
            : Effect.zipRight(publisher.send(message), publisher.close)
        }),
      joined: Mailbox.toStream(joined),
      hasSubscriber: Effect.suspend(() =>
        publisher.isOpen ? Effect.map(publisher.subscribers, (count) => count > 0) : Effect.succeed(false)
      )
    }
  })

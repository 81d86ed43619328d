import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { nextTurn } from "../internal/Scheduler.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Frames from "../wire/Frames.ts"
import { logPort } from "./logPort.ts"
import type { SocketSecurity, StatePublisher } from "./models.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * Largest frame on the link to the peer, in bytes. State messages, subscriptions and CURVE handshakes are shorter.
 *
 * @internal
 */
export const maxMessageSize = 512

/** How long, in milliseconds, a final heartbeat may be sent after the server has stopped. */
const lingerMillis = 200

/** How long, in milliseconds, a handshake may take. */
const handshakeMillis = 5000

/** Failures less than this many milliseconds apart are logged once. */
const quietMillis = 10_000

/**
 * The port at which a server publishes its state. It can be closed and opened again.
 *
 * @internal
 */
export interface StatePort {
  readonly publish: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /** Publishes a final message and closes the port. Does nothing if it is closed. */
  readonly publishFinal: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /** Subscribers that have connected. Those of one moment count once. */
  readonly joined: Stream.Stream<void>
  readonly hasSubscriber: Effect.Effect<boolean>
}

/** @internal */
export interface Options {
  readonly endpoint: string
  readonly security: SocketSecurity | undefined
}

/** An open port, in a scope of its own. */
interface Port extends StatePublisher {
  readonly close: Effect.Effect<void>
}

const open = (
  endpoint: string,
  { security }: Options,
  scope: Scope.Scope,
  joined: Mailbox.Mailbox<void>
): Effect.Effect<Port & { readonly endpoint: string }, SocketError> =>
  Effect.gen(function*() {
    const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const close = Scope.close(own, Exit.void)
    return yield* Effect.gen(function*() {
      const publisher = yield* ZmqSocket.makeStatePublisher({ lingerMillis, maxMessageSize, handshakeMillis, security })
      yield* Stream.runForEach(
        publisher.subscriptions,
        (change) => change === "joined" ? joined.offer(undefined) : Effect.void
      ).pipe(Effect.interruptible, Effect.forkScoped)
      return { ...publisher, endpoint: yield* publisher.bind(endpoint), close }
    }).pipe(Scope.extend(own), Effect.tapError(() => close))
  })

/** @internal */
export const make = (options: Options): Effect.Effect<StatePort, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const now = yield* monotonicReader
    const isFirstFailure = LogOnce.make(quietMillis)
    const joined = yield* Mailbox.make<void>({ capacity: 1, strategy: "sliding" })
    const { endpoint, ...first } = yield* open(options.endpoint, options, scope, joined)
    yield* logPort(options.endpoint, endpoint)
    let port: Port | undefined = first

    const publish = (message: Frames.Frames) =>
      Effect.gen(function*() {
        port ??= yield* open(endpoint, options, scope, joined)
        yield* port.send(message)
        // libzmq's own thread passes the message to the network within this turn of the event loop.
        yield* nextTurn
      })

    return {
      // Descriptors may be used up for a while. The next heartbeat opens the port.
      publish: (message) =>
        Effect.catchIf(
          publish(message),
          (error) => error.reason === "TooManySockets",
          (error) => isFirstFailure(now()) ? Effect.logWarning(`${error.message}; trying again`) : Effect.void
        ),
      publishFinal: (message) =>
        Effect.suspend(() => {
          const before = port
          // Subscribers do not find a closed endpoint of inproc again.
          port = endpoint.startsWith("inproc:") ? before : undefined
          const close = before === port ? Effect.void : before?.close ?? Effect.void
          return before === undefined ? Effect.void : Effect.zipRight(before.send(message), close)
        }),
      joined: Mailbox.toStream(joined),
      hasSubscriber: Effect.suspend(() =>
        port === undefined ? Effect.succeed(false) : Effect.map(port.subscribers, (count) => count > 0)
      )
    }
  })

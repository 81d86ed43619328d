import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { nextTurn } from "../internal/Scheduler.ts"
import type { Publication } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import { isInproc } from "../settings/Inproc.ts"
import * as HeartbeatMessage from "../wire/HeartbeatMessage.ts"
import { logPort } from "./logPort.ts"
import type { SocketSecurity, StatePublisher, Subscription } from "./models.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * Largest frame on the link to the peer, in bytes. Heartbeats, subscriptions and CURVE handshakes are no longer.
 *
 * @internal
 */
export const maxMessageSize = HeartbeatMessage.maxBytes

/** How long, in milliseconds, a final heartbeat may be sent after the server has stopped. */
const lingerMillis = 200

/** How long, in milliseconds, a handshake may take. */
const handshakeMillis = 5000

/**
 * Pause before the port is closed, in milliseconds. To close it for the first time takes several, during which a peer and clients on the
 * same machine need the CPU: the peer takes over.
 */
const closeMillis = 15

/** Failures less than this many milliseconds apart are logged once. */
const quietMillis = 10_000

/**
 * The port at which a server publishes its state. It can be closed and opened again.
 *
 * @internal
 */
export interface StatePort {
  /** Publishes, and opens the port for a state if it is closed. Whether it is open. */
  readonly publish: (publication: Publication) => Effect.Effect<boolean, SocketError>
  /** Publishes. Does nothing if the port is closed. */
  readonly publishFinal: (publication: Publication) => Effect.Effect<void, SocketError>
  readonly close: Effect.Effect<void>
  /** Subscribers that have connected, in order. Those of one moment count once. */
  readonly joined: Stream.Stream<"Joined" | "PeerJoined">
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

/** A subscriber that has connected. One that asks for heartbeats has subscribed to everything before. */
const joinedBy = ({ change, topic }: Subscription): "Joined" | "PeerJoined" | undefined =>
  change === "left" ? undefined : topic === HeartbeatMessage.topic ? "PeerJoined" : "Joined"

const open = (
  endpoint: string,
  { security }: Options,
  scope: Scope.Scope,
  joined: Mailbox.Mailbox<"Joined" | "PeerJoined">
): Effect.Effect<Port & { readonly endpoint: string }, SocketError> =>
  Effect.gen(function*() {
    const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const close = Scope.close(own, Exit.void)
    return yield* Effect.gen(function*() {
      const publisher = yield* ZmqSocket.makeStatePublisher({
        lingerMillis,
        maxMessageSize,
        handshakeMillis,
        topics: [HeartbeatMessage.topic],
        security
      })
      yield* Stream.runForEach(publisher.subscriptions, (subscription) => {
        const step = joinedBy(subscription)
        return step === undefined ? Effect.void : joined.offer(step)
      }).pipe(Effect.interruptible, Effect.forkScoped)
      return { ...publisher, endpoint: yield* publisher.bind(endpoint), close }
    }).pipe(Scope.extend(own), Effect.tapError(() => close))
  })

/** Sends the state, and after it the heartbeat if a peer asks for it. */
const send = (
  { isSubscribed, sendTogether }: Port,
  { heartbeat, state }: Publication
): Effect.Effect<void, SocketError> =>
  sendTogether([
    ...(state === undefined ? [] : [state]),
    ...(heartbeat === undefined || !isSubscribed(HeartbeatMessage.topic) ? [] : [heartbeat])
  ])

/** @internal */
export const make = (options: Options): Effect.Effect<StatePort, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const now = yield* monotonicReader
    const isFirstFailure = LogOnce.make(quietMillis)
    const joined = yield* Mailbox.make<"Joined" | "PeerJoined">({ capacity: 2, strategy: "sliding" })
    const { endpoint, ...first } = yield* open(options.endpoint, options, scope, joined)
    yield* logPort(options.endpoint, endpoint)
    let port: Port | undefined = first

    const publish = (publication: Publication) =>
      Effect.gen(function*() {
        if (port === undefined && publication.state === undefined) {
          return false
        }
        port ??= yield* open(endpoint, options, scope, joined)
        yield* send(port, publication)
        // libzmq's own thread passes the message to the network within this turn of the event loop.
        yield* nextTurn
        return true
      })

    return {
      // Descriptors may be used up for a while. The next heartbeat opens the port.
      publish: (publication) =>
        Effect.catchIf(
          publish(publication),
          (error) => error.reason === "TooManySockets",
          (error) =>
            Effect.as(isFirstFailure(now()) ? Effect.logWarning(`${error.message}; trying again`) : Effect.void, false)
        ),
      publishFinal: (publication) => Effect.suspend(() => port === undefined ? Effect.void : send(port, publication)),
      close: Effect.suspend(() => {
        const before = port
        port = undefined
        return before?.close ?? Effect.void
      }).pipe(
        Effect.delay(closeMillis),
        // Subscribers do not find a closed endpoint of inproc again.
        Effect.unless(() => port === undefined || isInproc(endpoint))
      ),
      joined: Mailbox.toStream(joined),
      hasSubscriber: Effect.suspend(() =>
        port === undefined ? Effect.succeed(false) : Effect.map(port.subscribers, (count) => count > 0)
      )
    }
  })

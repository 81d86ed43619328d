/**
 * The link between the servers of a pair over PUB and SUB.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SocketError } from "../BinaryStarError.ts"
import type * as Frames from "../Frames.ts"
import type { Evidence } from "../Fsm.ts"
import { monotonicMillis, monotonicReader } from "../internal/clock.ts"
import { nextTurn } from "../internal/scheduler.ts"
import { PeerLink } from "../PeerLink.ts"
import { tellPort } from "./ports.ts"
import { isRefused } from "./probe.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * The two ends of the link.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where to publish. */
  readonly state: string
  /** Where the peer publishes. */
  readonly peer: string
  /** Time between two words. A lost connection is tried again much sooner. */
  readonly heartbeat: Duration.Duration
  /** Whether to look for proof that the peer is gone. */
  readonly crashDetection: boolean
  /** What secures each of the two. Defaults to nothing. */
  readonly secure?: { readonly state: ZmqSocket.Secure; readonly peer: ZmqSocket.Secure } | undefined
}

/** How often a peer is looked up whose name is not known yet. */
const lookUpAgain = Schedule.spaced("1 second")

const isUnknownHost = (error: SocketError) => error.reason === "UnknownHost"

/** How long, in milliseconds, a goodbye may take after the server has ended. */
const lingerMillis = 200

/** Nobody says more to a state port than which topics he wants; what CURVE needs to get acquainted is less than this, too. */
const guard = { maxMessageSize: 512, handshakeMillis: 5000 }

/** A process that dies closes its connections first and its ports some milliseconds later. */
const whileItDies = Schedule.intersect(Schedule.exponential("2 millis"), Schedule.recurs(4))

/** Asks the system whether anybody listens at the peer's endpoint: ZeroMQ itself does not tell why a connection failed. */
const evidence = (endpoint: string): Effect.Effect<Option.Option<Evidence>> =>
  Effect.gen(function*() {
    const asOf = yield* monotonicMillis
    return (yield* isRefused(endpoint)) ? Option.some({ _tag: "ConnectionRefused", endpoint, asOf }) : Option.none()
  })

/**
 * Publishes at `state` and listens to `peer`. A peer that is not there yet, or whose name cannot be looked up yet, is
 * connected as soon as it is. A connection on which nothing has come for two heartbeats is made anew, since TCP may wait
 * for seconds before it tries again on a network that is whole again.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<PeerLink, SocketError> =>
  Layer.scoped(
    PeerLink,
    Effect.gen(function*() {
      const now = yield* monotonicReader
      const scope = yield* Effect.scope
      const heartbeatMillis = Duration.toMillis(options.heartbeat)
      const found = yield* Mailbox.make<Evidence>({ capacity: 1, strategy: "sliding" })

      /** Whoever publishes, at a port of its own, so that it can let go of it. */
      const publishAt = (endpoint: string) =>
        Effect.gen(function*() {
          const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
          const { bind, send } = yield* Scope.extend(
            ZmqSocket.makePublisher({ lingerMillis, ...guard, secure: options.secure?.state }),
            own
          )
          return { send, endpoint: yield* bind(endpoint), close: Scope.close(own, Exit.void), isOpen: true }
        })
      let publisher = yield* publishAt(options.state)
      yield* tellPort(options.state, publisher.endpoint)
      const publish = (message: Frames.Frames) =>
        Effect.gen(function*() {
          publisher = publisher.isOpen ? publisher : yield* publishAt(publisher.endpoint)
          yield* publisher.send(message)
        })

      /** Somebody who listens to the peer, in a scope of its own so that another one can take its place. */
      const listen = Effect.gen(function*() {
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const subscriber = yield* ZmqSocket.makeSubscriber({
          reconnectMillis: Math.ceil(Math.min(200, heartbeatMillis / 8)),
          connectMillis: Math.ceil(heartbeatMillis),
          secure: options.secure?.peer
        }).pipe(Scope.extend(own))
        const connect = subscriber.connect(options.peer)
        /** Connects now, or as soon as the name of the peer's host is known. */
        const connectAtLast = Effect.catchIf(connect, isUnknownHost, (error) =>
          Effect.logWarning(`${error.message}; trying again`).pipe(
            Effect.zipRight(Effect.retry(connect, { while: isUnknownHost, schedule: lookUpAgain })),
            Effect.zipRight(Effect.logInfo(`the host of ${options.peer} is known now`)),
            Effect.catchAll((error) =>
              Effect.logError(error.message)
            ),
            Effect.interruptible,
            Effect.forkIn(own)
          ))
        const listener = {
          ...subscriber,
          isConnected: false,
          heardAt: now(),
          close: Scope.close(own, Exit.void),
          connect: connectAtLast,
          /** The same behind the back of one who must not wait for a name server. */
          connectLater: connectAtLast.pipe(
            Effect.catchAll((error) =>
              Effect.logError(error.message)
            ),
            Effect.interruptible,
            Effect.forkIn(own)
          )
        }
        // What was said before the connection closed is there a turn later at the latest.
        const look = Effect.flatMap(
          Effect.zipRight(nextTurn, evidence(options.peer)),
          Option.match({
            onNone: () => Effect.succeed(false),
            onSome: (evidence) => found.offer(evidence)
          })
        )
        // The first look is worth its result, and that the next one, which counts, is made by code that has run before.
        yield* options.crashDetection ? Effect.forkIn(Effect.interruptible(look), own) : Effect.void
        const outcomes = Stream.filter(subscriber.connections, (event) => event !== "opened" && event !== "ended")
        yield* Stream.runForEach(outcomes, (event) => {
          listener.isConnected = event === "connected"
          return options.crashDetection && !listener.isConnected
            ? Effect.repeat(look, { until: (isGone) => isGone || listener.isConnected, schedule: whileItDies })
            : Effect.void
        }).pipe(Effect.interruptible, Effect.forkIn(own))
        return listener
      })

      let listener = yield* listen
      yield* listener.connect
      const forget = Effect.uninterruptible(
        Effect.gen(function*() {
          const next = yield* listen
          const before = listener
          listener = next
          yield* before.close
          yield* next.connectLater
        })
      )
      const receive: Effect.Effect<ReadonlyArray<Frames.Frames>, SocketError> = Effect.suspend(() => {
        const mine = listener
        return Effect.matchEffect(mine.receive, {
          onFailure: (error) => mine === listener ? Effect.fail(error) : receive,
          onSuccess: (batch) => {
            mine.heardAt = now()
            return mine === listener ? Effect.succeed(batch) : receive
          }
        })
      })
      const isSilent = () => listener.isConnected && now() - listener.heardAt > 2 * heartbeatMillis
      /** Another connection takes the place of a silent one once it is there, unless the silent one speaks again before. */
      const renew = Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const before = listener
          const next = yield* listen
          yield* next.connectLater
          yield* restore(
            Effect.repeat(Effect.sleep("10 millis"), {
              until: () => next.isConnected || listener !== before || !isSilent()
            })
          ).pipe(Effect.onInterrupt(() => next.close))
          if (!next.isConnected || listener !== before) {
            return yield* next.close
          }
          listener = next
          yield* before.close
        })
      )
      yield* Effect.suspend(() => isSilent() ? renew : Effect.void).pipe(
        Effect.catchAll((error) => Effect.logWarning(error.message)),
        Effect.schedule(Schedule.spaced(options.heartbeat)),
        Effect.interruptible,
        Effect.forkScoped
      )

      return PeerLink.of({
        messages: Stream.repeatEffect(receive),
        waiting: Effect.suspend(() => listener.waiting),
        // The turn of the event loop is the time in which libzmq's own thread takes the message to the network.
        publish: (message) => Effect.zipLeft(publish(message), nextTurn),
        farewell: (message) =>
          Effect.suspend(() => {
            if (!publisher.isOpen) {
              return Effect.void
            }
            // Over inproc nobody would find us again.
            publisher.isOpen = publisher.endpoint.startsWith("inproc:")
            return publisher.isOpen
              ? publisher.send(message)
              : Effect.zipRight(publisher.send(message), publisher.close)
          }),
        forget,
        gone: Mailbox.toStream(found)
      })
    })
  )

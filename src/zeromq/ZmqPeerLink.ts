/**
 * The link between the servers of a pair over PUB and SUB.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { SocketError } from "../BinaryStarError.ts"
import type { Evidence } from "../Fsm.ts"
import { monotonicMillis } from "../internal/clock.ts"
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
}

/** How often a peer is looked up whose name is not known yet. */
const lookUpAgain = Schedule.spaced("1 second")

const isUnknownHost = (error: SocketError) => error.reason === "UnknownHost"

/** How long, in milliseconds, a goodbye may take after the server has ended. */
const lingerMillis = 200

/**
 * Asks the system whether anybody listens at the peer's endpoint. Made when a connection was lost and at every attempt
 * to get it back that fails: ZeroMQ itself does not tell why it failed.
 */
const evidence = (endpoint: string): Effect.Effect<Option.Option<Evidence>> =>
  Effect.gen(function*() {
    const asOf = yield* monotonicMillis
    return (yield* isRefused(endpoint)) ? Option.some({ _tag: "ConnectionRefused", endpoint, asOf }) : Option.none()
  })

/**
 * Publishes at `state` and listens to `peer`. A peer that is not there yet, or whose name cannot be looked up yet, is
 * connected as soon as it is.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<PeerLink, SocketError> =>
  Layer.scoped(
    PeerLink,
    Effect.gen(function*() {
      const publisher = yield* ZmqSocket.makePublisher({ lingerMillis })
      const subscriber = yield* ZmqSocket.makeSubscriber({
        reconnectMillis: Math.ceil(Math.min(200, Duration.toMillis(options.heartbeat) / 8))
      })
      yield* tellPort(options.state, yield* publisher.bind(options.state))
      const connect = subscriber.connect(options.peer)
      yield* connect.pipe(
        Effect.catchIf(isUnknownHost, (error) =>
          Effect.logWarning(`${error.message}; trying again`).pipe(
            Effect.zipRight(Effect.retry(connect, { while: isUnknownHost, schedule: lookUpAgain })),
            Effect.zipRight(Effect.logInfo(`the host of ${options.peer} is known now`)),
            Effect.catchAll((error) => Effect.logError(error.message)),
            Effect.interruptible,
            Effect.forkScoped
          ))
      )
      return PeerLink.of({
        messages: subscriber.messages,
        waiting: subscriber.waiting,
        // The turn of the event loop is the time in which libzmq's own thread takes the message to the network.
        publish: (message) => Effect.zipLeft(publisher.send(message), nextTurn),
        gone: subscriber.connections.pipe(
          Stream.filter((event) => event !== "connected"),
          Stream.mapEffect(() => evidence(options.peer)),
          Stream.filterMap((evidence) => evidence)
        )
      })
    })
  )

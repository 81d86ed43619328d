/**
 * The link between the servers of a pair over PUB and SUB.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { SocketError } from "../BinaryStarError.ts"
import { PeerLink } from "../PeerLink.ts"
import { tellPort } from "./ports.ts"
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
}

/** How often a peer is looked up whose name is not known yet. */
const lookUpAgain = Schedule.spaced("1 second")

const isUnknownHost = (error: SocketError) => error.reason === "UnknownHost"

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
      const publisher = yield* ZmqSocket.makePublisher()
      const subscriber = yield* ZmqSocket.makeSubscriber()
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
        publish: publisher.send
      })
    })
  )

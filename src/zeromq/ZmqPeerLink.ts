/**
 * The link between the servers of a pair over XPUB and SUB.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import * as Probe from "./probe.ts"
import * as StatePort from "./statePort.ts"
import * as Subscription from "./subscription.ts"
import type * as ZmqSocket from "./ZmqSocket.ts"

/**
 * The two ends of the link.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where to publish. */
  readonly stateEndpoint: string
  /** Where the peer publishes. */
  readonly peerEndpoint: string
  /** Time between two heartbeats. */
  readonly heartbeat: Duration.Duration
  /** Whether to look for proof that the peer is gone. */
  readonly crashDetection: boolean
  /** What secures each of the two. Defaults to nothing. */
  readonly secure?: { readonly state: ZmqSocket.Secure; readonly peer: ZmqSocket.Secure } | undefined
}

/** How long, in milliseconds, what has arrived at this host may take to reach the event loop on a busy machine. */
const arrivalMillis = 200

/**
 * Publishes at `state` and subscribes to `peer`. A peer that is not there yet, or whose name cannot be looked up yet, is
 * connected as soon as it is. A connection on which nothing arrives is made anew, whatever became of it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<PeerLink, SocketError> =>
  Layer.scoped(
    PeerLink,
    Effect.gen(function*() {
      const port = yield* StatePort.make({ endpoint: options.stateEndpoint, secure: options.secure?.state })
      const subscription = yield* Subscription.make({
        endpoint: options.peerEndpoint,
        heartbeatMillis: Duration.toMillis(options.heartbeat),
        crashDetection: options.crashDetection,
        secure: options.secure?.peer
      })
      const arrival = Duration.min(Duration.millis(arrivalMillis), Duration.times(options.heartbeat, 0.25))
      return PeerLink.of({
        messages: Stream.repeatEffect(subscription.receive),
        poll: subscription.waiting,
        pollSync: subscription.poll,
        publish: port.publish,
        publishFinal: port.farewell,
        reset: Effect.sleep(arrival),
        events: Stream.merge(subscription.events, Stream.as(port.joined, "Joined" as const)),
        hasSubscriber: port.hasSubscriber,
        isRefused: (timeoutMillis) => Probe.isRefused(options.peerEndpoint, timeoutMillis),
        peerDown: Mailbox.toStream(subscription.evidence)
      })
    })
  )

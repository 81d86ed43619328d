/** The link between the servers of a pair over XPUB and SUB. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import { isRefused } from "./crashEvidence.ts"
import type { SocketSecurity } from "./models.ts"
import * as StatePort from "./statePort.ts"
import * as Subscription from "./subscription.ts"

/**
 * The two ends of the link.
 *
 * @category models
 */
export interface Options {
  /** Where this server publishes its state. */
  readonly stateEndpoint: string
  /** Where the peer publishes its state. */
  readonly peerEndpoint: string
  /** Time between two heartbeats. */
  readonly heartbeat: Duration.Duration
  /** Whether to look for crash evidence. */
  readonly crashDetection: boolean
  /** Keys of both sockets. Defaults to none. */
  readonly security?: { readonly state: SocketSecurity; readonly peer: SocketSecurity } | undefined
}

/** How long, in milliseconds, a message that has reached this host may take to reach the event loop on a busy machine. */
const arrivalMillis = 200

/**
 * Publishes at `stateEndpoint` and subscribes to `peerEndpoint`. A peer that is not there yet, or whose name cannot be looked up yet,
 * is connected as soon as it is. A connection on which nothing arrives is made again.
 *
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<PeerLink, SocketError> =>
  Layer.scoped(
    PeerLink,
    Effect.gen(function*() {
      const port = yield* StatePort.make({ endpoint: options.stateEndpoint, security: options.security?.state })
      const subscription = yield* Subscription.make({
        endpoint: options.peerEndpoint,
        heartbeatMillis: Duration.toMillis(options.heartbeat),
        crashDetection: options.crashDetection,
        security: options.security?.peer
      })
      const arrival = Duration.min(Duration.millis(arrivalMillis), Duration.times(options.heartbeat, 0.25))
      return PeerLink.of({
        messages: Stream.repeatEffect(subscription.receive),
        poll: subscription.poll,
        publish: port.publish,
        publishFinal: port.publishFinal,
        close: port.close,
        reset: Effect.sleep(arrival),
        events: Stream.merge(subscription.events, port.joined),
        hasSubscriber: port.hasSubscriber,
        isRefused: (timeoutMillis) => isRefused(options.peerEndpoint, timeoutMillis),
        peerDown: Mailbox.toStream(subscription.evidence)
      })
    })
  )

/** The ZeroMQ layers of a server of a pair. */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Descriptors from "../internal/Descriptors.ts"
import * as Frontend from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as ZmqFrontend from "./ZmqFrontend.ts"
import * as ZmqPeerLink from "./ZmqPeerLink.ts"

/**
 * The configuration of a server, and its keys.
 *
 * @category models
 */
export interface Options extends BinaryStarConfig.Options {
  /** The keys of this server, of its peer and of its clients. Defaults to none: every connection to its ports is accepted. */
  readonly security?: Curve.Server | undefined
}

// The code for keys is loaded only if there are any.
const curveServer = Effect.promise(() => import("./curveServer.ts"))
const curveClient = Effect.promise(() => import("./curveClient.ts"))

/** The link to the peer, with keys if there are any. */
const peerLink = (config: BinaryStarConfig.BinaryStarConfig, security: Curve.Server | undefined) =>
  security === undefined ? ZmqPeerLink.layer(config) : Layer.unwrapScoped(
    Effect.gen(function*() {
      const { bound } = yield* curveServer
      const { connecting } = yield* curveClient
      const own = yield* security.own
      return ZmqPeerLink.layer({
        ...config,
        security: {
          state: yield* bound(security, "state", config.stateEndpoint),
          peer: yield* connecting(own, security.peer)
        }
      })
    })
  )

const frontend = (config: BinaryStarConfig.BinaryStarConfig, security: Curve.Server | undefined) =>
  security === undefined ? ZmqFrontend.layer(config) : Layer.unwrapScoped(
    Effect.gen(function*() {
      const { bound } = yield* curveServer
      const limits = yield* Descriptors.withConnections(config, config.frontend)
      return ZmqFrontend.layer({
        ...config,
        ...limits,
        security: yield* bound(security, "frontend", config.frontend, limits)
      })
    })
  )

/**
 * Binds and connects the sockets of a server. The state port is bound first: the peer of a server that answers clients can always
 * receive its heartbeats.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { BinaryStar, Handler, Zmq } from "effect-binary-star"
 *
 * const options = {
 *   role: "primary",
 *   policy: "hardened",
 *   frontend: "tcp://*:5001",
 *   stateEndpoint: "tcp://*:5003",
 *   peerEndpoint: "tcp://10.0.0.2:5003"
 * } as const
 *
 * export const Pair = BinaryStar.layer(options, Handler.echo).pipe(Layer.provide(Zmq.layer(options)))
 * ```
 *
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<Frontend.Frontend | PeerLink, InvalidConfig | SocketError> =>
  Layer.unwrapEffect(
    Effect.map(BinaryStarConfig.make(options), (config) =>
      Layer.provideMerge(frontend(config, options.security), peerLink(config, options.security)))
  )

/**
 * Binds and connects the sockets of the link to the peer alone: for a server without clients that votes for itself.
 *
 * @category layers
 */
export const layerWithoutClients = (
  options: Options
): Layer.Layer<Frontend.Frontend | PeerLink, InvalidConfig | SocketError> =>
  Layer.unwrapEffect(
    Effect.map(
      BinaryStarConfig.make(options),
      (config) => Layer.merge(Frontend.none, peerLink(config, options.security))
    )
  )

/**
 * The same as {@link layer} with options from a `Config`.
 *
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<BinaryStarConfig.Options>
): Layer.Layer<Frontend.Frontend | PeerLink, ConfigError.ConfigError | InvalidConfig | SocketError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))

/**
 * Everything that a server of a pair needs from ZeroMQ.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BinaryStarConfig from "../BinaryStarConfig.ts"
import type { InvalidConfig, SocketError } from "../BinaryStarError.ts"
import * as Frontend from "../Frontend.ts"
import type { PeerLink } from "../PeerLink.ts"
import * as ZmqFrontend from "./ZmqFrontend.ts"
import * as ZmqPeerLink from "./ZmqPeerLink.ts"

/**
 * Binds and connects the sockets of a server. The state port comes first: a server that answers clients can always be
 * heard by its peer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: BinaryStarConfig.Options
): Layer.Layer<Frontend.Frontend | PeerLink, InvalidConfig | SocketError> =>
  Layer.unwrapEffect(
    Effect.map(BinaryStarConfig.make(options), (config) =>
      Layer.provideMerge(ZmqFrontend.layer(config), ZmqPeerLink.layer(config)))
  )

/**
 * Binds and connects the state ports alone: for a server that has no clients and votes for itself.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWithoutClients = (
  options: BinaryStarConfig.Options
): Layer.Layer<Frontend.Frontend | PeerLink, InvalidConfig | SocketError> =>
  Layer.unwrapEffect(
    Effect.map(BinaryStarConfig.make(options), (config) => Layer.merge(Frontend.none, ZmqPeerLink.layer(config)))
  )

/**
 * What {@link layer} gives, with options from a `Config`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<BinaryStarConfig.Options>
): Layer.Layer<Frontend.Frontend | PeerLink, ConfigError.ConfigError | InvalidConfig | SocketError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))

/**
 * A client's connections over DEALER sockets.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ClientLink } from "../ClientLink.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * Connects a client to its servers, with a socket for each connection.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<ClientLink> = Layer.succeed(
  ClientLink,
  ClientLink.of({
    connect: (server) => Effect.tap(ZmqSocket.makeDealer(), (dealer) => dealer.connect(server))
  })
)

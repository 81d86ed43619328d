/**
 * A client's connections over DEALER sockets.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
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
    connect: (server) =>
      Effect.gen(function*() {
        const dealer = yield* ZmqSocket.makeDealer()
        yield* dealer.connect(server)
        return {
          send: dealer.send,
          run: dealer.run,
          events: server.startsWith("inproc:")
            ? Stream.concat(Stream.make("connected" as const), Stream.never)
            : Stream.filter(dealer.connections, (event) => event !== "failed")
        }
      })
  })
)

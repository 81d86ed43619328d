/**
 * A client's connections over DEALER sockets.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { ClientLink } from "../ports/ClientLink.ts"
import type * as Curve from "../security/Curve.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

const make = (secure: ZmqSocket.Secure | undefined) =>
  ClientLink.of({
    connect: (server) =>
      Effect.gen(function*() {
        const dealer = yield* ZmqSocket.makeDealer({ secure })
        yield* dealer.connect(server)
        return {
          send: dealer.send,
          run: dealer.run,
          events: server.startsWith("inproc:")
            ? Stream.concat(Stream.make("connected" as const), Stream.never)
            : Stream.filter(dealer.connections, (event) => event === "connected" || event === "lost")
        }
      })
  })
/**
 * Connects a client to its servers, with a socket for each connection.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<ClientLink> = Layer.succeed(ClientLink, make(undefined))

/**
 * The same with keys: the servers are those whose public keys the client knows, and let it in if they accept its own. Where they
 * do not, or not yet, it tries again, at least once a second. What was sent to a server before that has let the client in is
 * lost where it does not at first.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerCurve = (security: Curve.Client): Layer.Layer<ClientLink, InvalidConfig> =>
  Layer.effect(
    ClientLink,
    Effect.gen(function*() {
      const { connecting } = yield* Effect.promise(() => import("./curveClient.ts"))
      return make(yield* connecting(yield* security.own, security.servers))
    })
  )

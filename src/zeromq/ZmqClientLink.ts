/** The connections of a client over DEALER sockets. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { ClientLink } from "../ports/ClientLink.ts"
import type * as Curve from "../security/Curve.ts"
import { isInproc } from "../settings/Inproc.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { SocketSecurity } from "./models.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

const make = (security: SocketSecurity | undefined) =>
  ClientLink.of({
    connect: (server) =>
      Effect.gen(function*() {
        const dealer = yield* ZmqSocket.makeDealer({ security })
        yield* dealer.connect(server)
        return {
          send: dealer.send,
          sendNow: dealer.sendNow,
          run: dealer.run,
          events: isInproc(server)
            ? Stream.concat(Stream.make("connected" as const), Stream.never)
            : Stream.filter(dealer.connections, (event) => event === "connected" || event === "lost")
        }
      })
  })

/**
 * Connects a client to its servers, each over a socket of its own.
 *
 * @category layers
 */
export const layer: Layer.Layer<ClientLink> = Layer.succeed(ClientLink, make(undefined))

/**
 * The same with keys: connects to servers that have a key that the client knows. If a server does not accept the client's key, or not
 * yet, the client tries again at least once a second. Messages sent before the first time that it is accepted are lost if it is
 * rejected at first.
 *
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

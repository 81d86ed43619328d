/**
 * The backend of a proxy over a DEALER.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Backend } from "../ports/Backend.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Limits from "../settings/Limits.ts"
import * as Valve from "./valve.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * The end of a server that its workers see. Limits that are not given are {@link Limits.standard}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Partial<Pick<Limits.Limits, "handshakeTimeout" | "maxMemory" | "maxMessageSize">> {
  /** Where workers connect. */
  readonly backend: string
}

/**
 * What may wait for each worker: so many messages here, and so many bytes in the system. A DEALER gives each worker its turn as
 * long as there is room for one more message, even where the worker stands still, so room is a trap for messages. Left to itself
 * the system keeps 50,000 of them; fewer than 256 here cost throughput. See test/bench/README.md.
 */
const room = { sendQueue: 256, sendBytes: 32 * 1024 }

const make = (options: Options, secure?: ZmqSocket.Secure) =>
  Effect.gen(function*() {
    const { handshakeTimeout, maxMemory, maxMessageSize } = { ...Limits.standard, ...options }
    const { current, run } = yield* Valve.make({
      endpoint: options.backend,
      maxMemory,
      open: ZmqSocket.makeDealer({
        ...room,
        maxMessageSize,
        handshakeMillis: Math.ceil(Duration.toMillis(handshakeTimeout)),
        secure
      }),
      whom: "workers"
    })
    return Backend.of({
      send: (messages) => Effect.suspend(() => current()?.sendSome(messages) ?? Effect.succeed(0)),
      run: (take) => run((dealer) => dealer.run(take))
    })
  })

/**
 * Lets workers connect to `backend`: REP sockets, or whatever returns a request's envelope with the reply.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Backend, SocketError> => Layer.scoped(Backend, make(options))

/**
 * The same for workers whose keys are accepted.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerCurve = (
  options: Options & { readonly security: Curve.Server }
): Layer.Layer<Backend, InvalidConfig | SocketError> =>
  Layer.scoped(
    Backend,
    Effect.gen(function*() {
      const { bound } = yield* Effect.promise(() => import("./curveServer.ts"))
      return yield* make(options, yield* bound(options.security, "backend", options.backend))
    })
  )

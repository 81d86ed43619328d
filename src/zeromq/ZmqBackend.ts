/** The backend of a proxy over a DEALER. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Backend } from "../ports/Backend.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Limits from "../settings/Limits.ts"
import * as MemoryGuard from "./memoryGuard.ts"
import type { SocketSecurity } from "./models.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * The backend and its limits, by default {@link Limits.standard}.
 *
 * @category models
 */
export interface Options extends Partial<Pick<Limits.Limits, "handshakeTimeout" | "maxMemory" | "maxMessageSize">> {
  /** Where workers connect. */
  readonly backend: string
}

/**
 * Capacity for each worker: messages here, and bytes in the system. A DEALER sends to each worker in turns while there is capacity,
 * even to one that has stalled, so that capacity is a trap for messages. By default the system keeps 50,000 of them; fewer than 256
 * here cost throughput. See test/bench/README.md.
 */
const capacity = { sendQueue: 256, sendBytes: 32 * 1024 }

const make = (options: Options, security?: SocketSecurity) =>
  Effect.gen(function*() {
    const { handshakeTimeout, maxMemory, maxMessageSize } = { ...Limits.standard, ...options }
    const { current, run } = yield* MemoryGuard.make({
      endpoint: options.backend,
      maxMemory,
      open: ZmqSocket.makeDealer({
        ...capacity,
        maxMessageSize,
        handshakeMillis: Math.ceil(Duration.toMillis(handshakeTimeout)),
        security
      }),
      remote: "workers"
    })
    return Backend.of({
      send: async (messages) => current()?.sendSome(messages) ?? [...messages.keys()],
      run: (onBatch) => run((dealer) => dealer.run(onBatch))
    })
  })

/**
 * Accepts workers at `backend`: REP sockets, or any that return the envelope of a request with the reply.
 *
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Backend, SocketError> => Layer.scoped(Backend, make(options))

/**
 * The same for workers whose keys are accepted.
 *
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

/**
 * `bstar proxy -p` and `bstar proxy -b`: a server that forwards requests to workers.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { MemberError } from "../../member/MemberError.ts"
import type { Backend } from "../../ports/Backend.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import * as Proxy from "../../proxy/Proxy.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import * as Zmq from "../../zeromq/Zmq.ts"
import * as ZmqBackend from "../../zeromq/ZmqBackend.ts"
import * as logging from "../logging.ts"
import type { Output } from "../output.ts"
import * as witness from "../witness.ts"
import { securityOf, untilEnd, warm, withOperations } from "./server.ts"

export const run = (
  values: Values<"proxy">
): Effect.Effect<never, MemberError | InvalidConfig | SocketError, Output> =>
  Effect.gen(function*() {
    const security = yield* securityOf(values)
    const backend: Layer.Layer<Backend, InvalidConfig | SocketError> = security === undefined
      ? ZmqBackend.layer(values)
      : ZmqBackend.layerCurve({ ...values, security })
    const ports = Layer.mergeAll(Zmq.layer({ ...values, security }), backend, yield* witness.layerOf(values))
    return yield* untilEnd(Effect.flatMap(Proxy.Proxy, ({ join }) => join)).pipe(
      Effect.provide(withOperations(values, security, warm(Layer.provide(Proxy.layer(values), ports))))
    )
  }).pipe(
    Effect.tapErrorTag("MemberError", () => Effect.logInfo("interrupted")),
    Effect.provide(logging.layerOfServer(values.logFormat, values.policy))
  )

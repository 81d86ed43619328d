/**
 * `bstar proxy -p` and `bstar proxy -b`: a server that hands requests on to workers.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { MemberError } from "../../member/MemberError.ts"
import type { Backend } from "../../ports/Backend.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import type { Role } from "../../protocol/StateMachine.ts"
import * as Proxy from "../../proxy/Proxy.ts"
import * as BinaryStarConfig from "../../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import { validate } from "../../settings/Validation.ts"
import * as Endpoint from "../../wire/Endpoint.ts"
import * as Zmq from "../../zeromq/Zmq.ts"
import * as ZmqBackend from "../../zeromq/ZmqBackend.ts"
import * as logging from "../logging.ts"
import type { Parsed, proxy } from "../options.ts"
import { backends } from "../options.ts"
import type { Output } from "../output.ts"
import { memberOptions, securityOf, withOperations } from "./server.ts"

const Settings = Schema.Struct({ backend: Endpoint.Bindable })

export const run = (
  role: Role,
  parsed: Parsed<typeof proxy>
): Effect.Effect<never, MemberError | InvalidConfig | SocketError, Output> =>
  Effect.gen(function*() {
    const settings = yield* validate(Settings, { backend: Option.getOrElse(parsed.backend, () => backends[role]) })
    const options: Proxy.Options = {
      ...memberOptions(role, parsed),
      concurrency: Option.getOrUndefined(parsed.concurrency),
      maxPerClient: Option.getOrUndefined(parsed.maxPerClient),
      timeout: Option.getOrUndefined(parsed.timeout) as Duration.DurationInput | undefined,
      whenBusy: parsed.whenBusy
    }
    const security = yield* securityOf(role, parsed)
    const workers = { ...(yield* BinaryStarConfig.make(options)), ...settings }
    const backend: Layer.Layer<Backend, InvalidConfig | SocketError> = security === undefined
      ? ZmqBackend.layer(workers)
      : ZmqBackend.layerCurve({ ...workers, security })
    const ports = Layer.merge(Zmq.layer({ ...options, security }), backend)
    return yield* Effect.flatMap(Proxy.Proxy, ({ join }) => join).pipe(
      Effect.provide(withOperations(parsed, security, Layer.provide(Proxy.layer(options), ports)))
    )
  }).pipe(
    Effect.tapErrorTag("MemberError", () => Effect.logWarning("interrupted")),
    Effect.provide(logging.layerOfServer(parsed.logFormat, parsed.policy))
  )

/**
 * `bstar -p` and `bstar -b`: the Guide's server.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as BinaryStar from "../BinaryStar.ts"
import type * as BinaryStarConfig from "../BinaryStarConfig.ts"
import type { BinaryStarError, InvalidConfig, SocketError } from "../BinaryStarError.ts"
import type { Role } from "../Fsm.ts"
import * as Handler from "../Handler.ts"
import * as Zmq from "../zeromq/Zmq.ts"
import * as logging from "./logging.ts"
import type { Parsed, server } from "./options.ts"

export const run = (
  role: Role,
  parsed: Parsed<typeof server>
): Effect.Effect<never, BinaryStarError | InvalidConfig | SocketError> => {
  const options: BinaryStarConfig.Options = {
    role,
    policy: parsed.policy,
    frontend: Option.getOrUndefined(parsed.frontend),
    state: Option.getOrUndefined(parsed.state),
    peer: Option.getOrUndefined(parsed.peer),
    heartbeat: Option.getOrUndefined(parsed.heartbeat) as Duration.DurationInput | undefined,
    crashDetection: parsed.crashDetection === "policy" ? undefined : parsed.crashDetection === "on",
    drain: Option.getOrUndefined(parsed.drain) as Duration.DurationInput | undefined
  }
  return Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
    // The Guide's server says so whatever it was that ended its loop.
    Effect.tapErrorTag("BinaryStarError", () => Effect.logWarning("interrupted")),
    Effect.provide(Layer.provide(BinaryStar.layer(options, Handler.echo), Zmq.layer(options))),
    Effect.provide(logging.layer(parsed.logFormat))
  )
}

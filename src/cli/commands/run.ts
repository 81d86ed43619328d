/**
 * `bstar run -p -- command` and `bstar run -b -- command`: a command that runs on the active server.
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ActiveCommand from "../../command/ActiveCommand.ts"
import * as Lease from "../../command/Lease.ts"
import * as BinaryStar from "../../member/BinaryStar.ts"
import * as Handler from "../../member/Handler.ts"
import type { MemberError } from "../../member/MemberError.ts"
import * as Frontend from "../../ports/Frontend.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import type { Role } from "../../protocol/StateMachine.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import * as Zmq from "../../zeromq/Zmq.ts"
import * as logging from "../logging.ts"
import type { Parsed, run as options } from "../options.ts"
import type { Output } from "../output.ts"
import { memberOptions, securityOf, withOperations } from "./server.ts"

/** The command has ended by itself, and not well. Its exit code is that of `bstar` too. */
export class CommandEnded extends Data.TaggedError("CommandEnded")<{ readonly code: number }> {}

export const run = (
  role: Role,
  parsed: Parsed<typeof options>,
  [command, ...args]: readonly [string, ...Array<string>]
): Effect.Effect<void, MemberError | CommandEnded | InvalidConfig | SocketError, Output> =>
  Effect.gen(function*() {
    const options = { ...memberOptions(role, parsed), vote: "self" } as const
    const security = yield* securityOf(role, parsed)
    const link = Layer.provide(Lease.layer(options), Zmq.layerWithoutClients({ ...options, security }))
    const member = Layer.provideMerge(BinaryStar.layer(options, Handler.echo), Layer.merge(Frontend.none, link))
    const code = yield* ActiveCommand.run({
      command,
      args,
      grace: Option.getOrUndefined(parsed.grace) as Duration.DurationInput | undefined,
      restart: parsed.restart
    }).pipe(
      Effect.provide(withOperations(parsed, security, member))
    )
    if (code !== 0) {
      return yield* new CommandEnded({ code })
    }
  }).pipe(
    Effect.tapErrorTag("MemberError", () => Effect.logWarning("interrupted")),
    Effect.provide(logging.layerOfServer(parsed.logFormat, parsed.policy))
  )

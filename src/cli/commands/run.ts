/**
 * `bstar run -p -- command` and `bstar run -b -- command`: a command that runs on the active server.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ActiveCommand from "../../command/ActiveCommand.ts"
import * as Lease from "../../command/Lease.ts"
import * as BinaryStar from "../../member/BinaryStar.ts"
import * as Handler from "../../member/Handler.ts"
import type { MemberError } from "../../member/MemberError.ts"
import * as Frontend from "../../ports/Frontend.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import * as Zmq from "../../zeromq/Zmq.ts"
import * as logging from "../logging.ts"
import type { Output } from "../output.ts"
import * as witness from "../witness.ts"
import { securityOf, withOperations } from "./server.ts"

/** The command has ended by itself with an error. Its exit code is that of `bstar`, too. */
export class CommandEnded extends Data.TaggedError("CommandEnded")<{ readonly code: number }> {}

export const run = (
  values: Values<"run">,
  [command, ...args]: readonly [string, ...Array<string>]
): Effect.Effect<void, MemberError | CommandEnded | InvalidConfig | SocketError, Output> =>
  Effect.gen(function*() {
    const options = { ...values, vote: "self" } as const
    const security = yield* securityOf(values)
    const link = Layer.provide(Lease.layer(options), Zmq.layerWithoutClients({ ...options, security }))
    const ports = Layer.mergeAll(Frontend.none, link, yield* witness.layerOf(values))
    const member = Layer.provideMerge(BinaryStar.layer(options, Handler.echo), ports)
    const code = yield* ActiveCommand.run({ command, args, grace: values.grace, restart: values.restart }).pipe(
      Effect.provide(withOperations(values, security, member))
    )
    if (code !== 0) {
      return yield* new CommandEnded({ code })
    }
  }).pipe(
    Effect.tapErrorTag("MemberError", () => Effect.logInfo("interrupted")),
    Effect.provide(logging.layerOfServer(values.logFormat, values.policy))
  )

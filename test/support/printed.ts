/** Everything that is printed of an error. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { inspect } from "node:util"

/** As loggers write it, as JSON, and as a console shows it. */
export const printed = (error: unknown): Effect.Effect<string> =>
  Effect.gen(function*() {
    const cause = Cause.fail(error)
    const lines = [JSON.stringify(error), inspect(error, { depth: 20, showHidden: true }), Cause.pretty(cause)]
    const collect = (line: string) => {
      lines.push(line)
    }
    const loggers = Logger.zip(Logger.map(Logger.jsonLogger, collect), Logger.map(Logger.logfmtLogger, collect))
    yield* Effect.provide(Effect.logError(error, cause), Logger.replace(Logger.defaultLogger, loggers))
    return lines.join("\n")
  })

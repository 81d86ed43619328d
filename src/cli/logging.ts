/**
 * How a server's and a client's lines are written. They are what the command is for, so they go to standard output.
 */
import * as Cause from "effect/Cause"
import * as HashMap from "effect/HashMap"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type { PolicyName } from "../Fsm.ts"
import { shortened } from "./bursts.ts"

export type Format = "plain" | "json" | "pretty"

const prefix = (level: LogLevel.LogLevel): string =>
  level._tag === "Info"
    ? "I"
    : level._tag === "Warning"
    ? "W"
    : level._tag === "Error" || level._tag === "Fatal"
    ? "E"
    : "D"

/** The Guide's lines: `I: ...`, `W: ...`, `E: ...`. */
const plain = Logger.make<unknown, string>(({ cause, logLevel, message }) => {
  const words = (Array.isArray(message) ? message : [message]).map((part) =>
    typeof part === "string" ? part : JSON.stringify(part)
  )
  const why = Cause.isEmpty(cause) ? [] : [Cause.pretty(cause)]
  return `${prefix(logLevel)}: ${[...words, ...why].join(" ")}`
})

/** The same with what a transition was decided by. */
const plainWithEvidence = Logger.make<unknown, string>((options) =>
  Option.match(HashMap.get(options.annotations, "evidence"), {
    onNone: () => plain.log(options),
    onSome: (evidence) => `${plain.log(options)} (${String(evidence)})`
  })
)

const loggerOf = (format: Format, lines: Logger.Logger<unknown, string>): Logger.Logger<unknown, void> =>
  Logger.withConsoleLog(
    format === "plain" ? lines : format === "json" ? Logger.jsonLogger : Logger.prettyLogger({ mode: "tty" })
  )

export const layer = (format: Format): Layer.Layer<never> =>
  Logger.replace(Logger.defaultLogger, loggerOf(format, plain))

/** For a server: bursts are told in short, and with other rules than the Guide's the plain lines tell more than its. */
export const layerOfServer = (format: Format, policy: PolicyName): Layer.Layer<never> =>
  Logger.replaceScoped(
    Logger.defaultLogger,
    shortened(loggerOf(format, policy === "classic" ? plain : plainWithEvidence))
  )

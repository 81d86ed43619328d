/**
 * How a server's and a client's lines are written. They are what the command is for, so they go to standard output.
 */
import * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"

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

export const layer = (format: Format): Layer.Layer<never> =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.withConsoleLog(
      format === "plain" ? plain : format === "json" ? Logger.jsonLogger : Logger.prettyLogger({ mode: "tty" })
    )
  )

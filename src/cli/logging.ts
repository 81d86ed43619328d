/** The log lines of servers and clients. They are the result of the command, so they go to standard output. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import type * as Layer from "effect/Layer"
import * as List from "effect/List"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type { PolicyName } from "../protocol/Policies.ts"
import { Output } from "./output.ts"
import { withoutRepeats } from "./repeats.ts"
import { printable, printableJson } from "./text.ts"

export type Format = "plain" | "json" | "pretty"

const prefixes: { readonly [level: string]: string } = { Info: "I", Warning: "W", Error: "E", Fatal: "E" }

/** A cause with its stack traces. Lines after the first are indented, so that none looks like a log line. */
export const linesOf = (cause: Cause.Cause<unknown>): string =>
  Cause.pretty(cause).split("\n").map((line, i) => i === 0 ? printable(line) : `    ${printable(line.trimStart())}`)
    .join(
      "\n"
    )

/** The Guide's lines: `I: ...`, `W: ...`, `E: ...`. */
const plain = Logger.make<unknown, string>(({ cause, logLevel, message }) => {
  const parts = Arr.ensure(message).map((part) => printable(Inspectable.toStringUnknown(part, 0)))
  const causes = Cause.isEmpty(cause) ? [] : [linesOf(cause)]
  return `${prefixes[logLevel._tag] ?? "D"}: ${[...parts, ...causes].join(" ")}`
})

/** The same, but a server that ends writes a warning, as the Guide's does. */
const plainOfGuide = Logger.make<unknown, string>((options) =>
  Arr.ensure(options.message)[0] === "interrupted"
    ? plain.log({ ...options, logLevel: LogLevel.Warning })
    : plain.log(options)
)

/** The same with the explanation of a transition. */
const plainWithEvidence = Logger.make<unknown, string>((options) =>
  Option.match(HashMap.get(options.annotations, "explanation"), {
    onNone: () => plain.log(options),
    onSome: (explanation) => `${plain.log(options)} (${printable(String(explanation))})`
  })
)

const coloured = Logger.prettyLogger({ mode: "tty" })

/** For people at a terminal. A cause is written below the message and its annotations. */
const pretty = Logger.make<unknown, void>((options) => {
  const part = (value: unknown) =>
    typeof value === "string" ? printable(value) : value instanceof Error ? linesOf(Cause.die(value)) : value
  return coloured.log({
    ...options,
    message: [
      ...Arr.ensure(options.message).map(part),
      ...(Cause.isEmpty(options.cause) ? [] : [linesOf(options.cause)])
    ],
    cause: Cause.empty,
    annotations: HashMap.map(options.annotations, part)
  })
})

const loggerOf = (format: Format, lines: Logger.Logger<unknown, string>): Logger.Logger<unknown, void> =>
  format === "pretty"
    ? pretty
    : Logger.withConsoleLog(format === "plain" ? lines : Logger.map(Logger.jsonLogger, printableJson))

export const layer = (format: Format): Layer.Layer<never> =>
  Logger.replace(Logger.defaultLogger, loggerOf(format, plain))

/** The logger of a server: without repetitions, and with explanations unless the policy is the Guide's. */
export const layerOfServer = (format: Format, policy: PolicyName): Layer.Layer<never, never, Output> => {
  const logger = loggerOf(format, policy === "classic" ? plainOfGuide : plainWithEvidence)
  return Logger.replaceScoped(
    Logger.defaultLogger,
    Effect.zipRight(
      Effect.map(Output, ({ onDropped }) => onDropped((message) => logger.log(warning(message)))),
      withoutRepeats(logger)
    )
  )
}

/** A warning that is not logged by a fiber. */
const warning = (message: string): Logger.Logger.Options<unknown> => ({
  fiberId: FiberId.none,
  logLevel: LogLevel.Warning,
  message,
  cause: Cause.empty,
  context: FiberRefs.empty(),
  spans: List.empty(),
  annotations: HashMap.make(["package", "effect-binary-star"]),
  date: DateTime.toDate(DateTime.unsafeNow())
})

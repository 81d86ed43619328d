/** A logger that writes repeated warnings once, and then how often each was repeated. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Burst } from "../internal/LogOnce.ts"
import { Bursts } from "../internal/LogOnce.ts"

/** Time in milliseconds in which repetitions are counted instead of written. */
const windowMillis = 1000

type Message = Logger.Logger.Options<unknown>

const keyOf = ({ cause, logLevel, message }: Message): string =>
  [logLevel.label, Inspectable.toStringUnknown(message, 0), Cause.isEmpty(cause) ? "" : Cause.pretty(cause)].join(" ")

/** Warnings and errors, but no transition: each of these is an event of its own. */
const mayRepeat = ({ annotations, logLevel }: Message): boolean =>
  LogLevel.greaterThanEqual(logLevel, LogLevel.Warning) &&
  !Option.contains(HashMap.get(annotations, "event"), "transition")

const summaryOf = ({ message: options, repeated }: Burst<Message>): Message => {
  const [first, ...rest]: ReadonlyArray<unknown> = Arr.ensure(options.message)
  return {
    ...options,
    message: [`repeated ${repeated} ${repeated === 1 ? "time" : "times"}: ${String(first)}`, ...rest],
    annotations: HashMap.set(options.annotations, "repeated", repeated)
  }
}

/** The same logger without repetitions. Those not yet summed up are written at the end of the scope. */
export const withoutRepeats = (
  logger: Logger.Logger<unknown, void>
): Effect.Effect<Logger.Logger<unknown, void>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const bursts = new Bursts<Message>({
      windowMillis,
      isExtended: false,
      onEnd: (burst) => burst.repeated > 0 ? logger.log(summaryOf(burst)) : undefined
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => bursts.end(Number.POSITIVE_INFINITY)))
    yield* Effect.forkScoped(
      Effect.repeat(Effect.map(Clock.currentTimeMillis, (now) => bursts.end(now)), Schedule.spaced(windowMillis))
    )
    return Logger.make((options) => {
      const now = options.date.getTime()
      bursts.end(now)
      if (!mayRepeat(options) || bursts.add(keyOf(options), options, now)) {
        logger.log(options)
      }
    })
  })

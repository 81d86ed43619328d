/**
 * Bursts of one and the same warning: told once, and then how often it has come again.
 */
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

/** How long, in milliseconds, a line is not told again. */
const quietMillis = 1000

/** How many lines are remembered at the most. */
const capacity = 100

interface Burst {
  readonly until: number
  /** Its latest line. */
  options: Logger.Logger.Options<unknown>
  repeated: number
}

const keyOf = ({ cause, logLevel, message }: Logger.Logger.Options<unknown>): string =>
  [logLevel.label, Inspectable.toStringUnknown(message, 0), Cause.isEmpty(cause) ? "" : Cause.pretty(cause)].join(" ")

/** Each transition is an event of its own, however often the same one comes. What is no warning, too. */
const maybeBurst = ({ annotations, logLevel }: Logger.Logger.Options<unknown>): boolean =>
  LogLevel.greaterThanEqual(logLevel, LogLevel.Warning) &&
  !Option.contains(HashMap.get(annotations, "event"), "transition")

/** The same logger, which tells bursts in two lines. What is left to be told is told at the end of the scope. */
export const shortened = (
  logger: Logger.Logger<unknown, void>
): Effect.Effect<Logger.Logger<unknown, void>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const bursts = new Map<string, Burst>()

    /** Ends those that have begun before a moment. */
    const end = (now: number) => {
      for (const [key, { options, repeated, until }] of bursts) {
        // They stand in the order in which they have begun. Where the clock was set back, they have all begun long ago.
        if (until > now && until <= now + quietMillis) {
          break
        }
        bursts.delete(key)
        if (repeated > 0) {
          const [first, ...rest]: ReadonlyArray<unknown> = Arr.ensure(options.message)
          logger.log({
            ...options,
            message: [`repeated ${repeated} ${repeated === 1 ? "time" : "times"}: ${String(first)}`, ...rest],
            annotations: HashMap.set(options.annotations, "repeated", repeated)
          })
        }
      }
    }

    const endDue = Effect.map(Clock.currentTimeMillis, end)
    yield* Effect.addFinalizer(() => Effect.sync(() => end(Number.POSITIVE_INFINITY)))
    yield* Effect.forkScoped(Effect.repeat(endDue, Schedule.spaced(quietMillis)))

    return Logger.make((options) => {
      const now = options.date.getTime()
      end(now)
      if (!maybeBurst(options)) {
        return logger.log(options)
      }
      const key = keyOf(options)
      const burst = bursts.get(key)
      if (burst !== undefined) {
        burst.options = options
        burst.repeated++
        return
      }
      if (bursts.size === capacity) {
        end(bursts.values().next().value!.until)
      }
      bursts.set(key, { until: now + quietMillis, options, repeated: 0 })
      logger.log(options)
    })
  })

import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const nanosPerMilli = 1_000_000

const liveClock = Object.getPrototypeOf(Clock.make())

/** Effect's clock allocates big integers, which are most of the cost of reading the time. */
const isLive = (clock: Clock.Clock): boolean => Object.getPrototypeOf(clock) === liveClock

const millis = (clock: Clock.Clock): number =>
  isLive(clock) ? performance.now() : Number(clock.unsafeCurrentTimeNanos()) / nanosPerMilli

const nanos = (clock: Clock.Clock): bigint => BigInt(Math.round(millis(clock) * nanosPerMilli))

/** Monotonic time in milliseconds, from an arbitrary origin. Not affected by changes of the wall clock. */
export const monotonicMillis: Effect.Effect<number> = Effect.clockWith((clock) => Effect.sync(() => millis(clock)))

/** Reader of the monotonic time as a plain function, for hot paths. */
export const monotonicReader: Effect.Effect<() => number> = Effect.clockWith((clock) =>
  Effect.succeed(isLive(clock) ? () => performance.now() : () => millis(clock))
)

/**
 * Runs an effect with its wall clock replaced by the monotonic one. A `Schedule` computes its intervals from the wall clock, so
 * setting that clock back would delay the next heartbeat.
 */
export const withMonotonicTime = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.clockWith((clock) => {
    // A timer may fire up to a millisecond early. A Schedule would then run the same heartbeat twice.
    const sleepUntil = (deadline: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        const left = deadline - millis(clock)
        return left > 0 ? Effect.zipRight(clock.sleep(Duration.millis(left)), sleepUntil(deadline)) : Effect.void
      })
    return Effect.withClock(self, {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      // Whole milliseconds: with fractions a Schedule may repeatedly compute a delay of zero.
      unsafeCurrentTimeMillis: () => Math.floor(millis(clock)),
      unsafeCurrentTimeNanos: () => nanos(clock),
      currentTimeMillis: Effect.sync(() => Math.floor(millis(clock))),
      currentTimeNanos: Effect.sync(() => nanos(clock)),
      sleep: (duration) => Effect.suspend(() => sleepUntil(millis(clock) + Duration.toMillis(duration)))
    })
  })

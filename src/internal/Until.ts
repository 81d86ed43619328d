import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constFalse } from "effect/Function"

const isInterruptedOnly = Exit.match({ onFailure: Cause.isInterruptedOnly, onSuccess: constFalse })

/**
 * Runs an effect until a signal. On any interruption, the effect is finalized before its surroundings.
 *
 * Not `Effect.race`: when that is interrupted from outside, its sides are finalized after their surroundings.
 */
export const until = <A, E, R, B>(
  effect: Effect.Effect<A, E, R>,
  signal: Deferred.Deferred<B>
): Effect.Effect<A | B, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      // Interruptible also in an uninterruptible region, so that the signal ends it.
      const fiber = yield* Effect.fork(Effect.interruptible(effect))
      const watcher = yield* Effect.fork(
        Effect.zipRight(Effect.interruptible(Deferred.await(signal)), Fiber.interruptFork(fiber))
      )
      const exit = yield* Effect.onInterrupt(restore(Fiber.await(fiber)), () => Fiber.interrupt(fiber))
      yield* Fiber.interrupt(watcher)
      return yield* isInterruptedOnly(exit) && (yield* Deferred.isDone(signal)) ? Deferred.await(signal) : exit
    })
  )

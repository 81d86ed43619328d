import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { until } from "../internal/Until.ts"

/**
 * A time in which a member is active, from what began it until what ends it.
 *
 * @internal
 */
export interface Term<Why> {
  readonly began: Why
  readonly ending: Deferred.Deferred<Why>
}

/**
 * The terms of a member, and what runs in them.
 *
 * @internal
 */
export interface Terms<Why, E> {
  /** Begins a term. */
  readonly begin: (why: Why) => void
  /** Ends the term, if there is one: interrupts what runs in it. */
  readonly end: (why: Why) => void
  /** Waits until all of a term that has ended is finalized. */
  readonly ended: Effect.Effect<void>
  /** There will be no other term. */
  readonly close: (cause: Cause.Cause<E>) => Effect.Effect<void>
  /** Runs an effect in each term. */
  readonly whileActive: <A, E2, R>(
    effect: Effect.Effect<A, E2, R> | ((term: Term<Why>) => Effect.Effect<A, E2, R>)
  ) => Effect.Effect<never, E | E2, R>
}

interface Live<Why> extends Term<Why> {
  /** Done when the term has ended and nothing runs in it any more. */
  readonly empty: Deferred.Deferred<void>
  isEnding: boolean
  running: number
}

/** @internal */
export const make = <Why, E>(): Terms<Why, E> => {
  let live: Live<Why> | undefined
  // The live term, or the one to come.
  let next = Deferred.unsafeMake<Live<Why>, E>(FiberId.none)

  const checkEmpty = (term: Live<Why>) => {
    if (term.isEnding && term.running === 0) {
      Deferred.unsafeDone(term.empty, Effect.void)
    }
  }

  const during = <A, E2, R>(term: Live<Why>, effect: Effect.Effect<A, E2, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => term.running++),
      () => term.isEnding ? Effect.void : until(effect, term.ending),
      () =>
        Effect.sync(() => {
          term.running--
          checkEmpty(term)
        })
    )

  return {
    begin: (why) => {
      live = {
        began: why,
        ending: Deferred.unsafeMake(FiberId.none),
        empty: Deferred.unsafeMake(FiberId.none),
        isEnding: false,
        running: 0
      }
      Deferred.unsafeDone(next, Effect.succeed(live))
    },
    end: (why) => {
      if (live !== undefined && !live.isEnding) {
        live.isEnding = true
        next = Deferred.unsafeMake(FiberId.none)
        Deferred.unsafeDone(live.ending, Effect.succeed(why))
        checkEmpty(live)
      }
    },
    ended: Effect.suspend(() => live === undefined ? Effect.void : Deferred.await(live.empty)),
    close: (cause) => Effect.suspend(() => Deferred.failCause(next, cause)),
    whileActive: (effect) =>
      Effect.suspend(() => Deferred.await(next)).pipe(
        Effect.tap((term) => during(term, Effect.isEffect(effect) ? effect : effect(term))),
        Effect.flatMap(({ ending }) => Deferred.await(ending)),
        Effect.forever
      )
  }
}

import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { until } from "../internal/Until.ts"
import type { Term } from "../protocol/Term.ts"
import type { Transition } from "./data.ts"
import { NoTerm } from "./MemberError.ts"

/**
 * One period of being active.
 *
 * @category models
 */
export interface ActiveTerm {
  /** The transition that made the member active. */
  readonly began: Transition
  /** The transition that ends the term. It is known before the effects of the term are interrupted. */
  readonly ending: Deferred.Deferred<Transition>
  /**
   * The number of the term, the fencing token. Waits until there is one, which is at once unless a witness has to record it. The
   * number remains after the end of the term; it fails if the term has ended without one.
   */
  readonly term: Effect.Effect<Term, NoTerm>
}

/** The terms of a member, and the effects that run in them. */
export interface Terms<E> {
  readonly begin: (began: Transition) => void
  /** Takes the number of the current term, which it may get after it has begun. */
  readonly onNumber: (term: Term | undefined) => void
  /** Ends the term, if there is one, and interrupts its effects. */
  readonly end: (ending: Transition) => void
  /** Waits until all effects of the ended term are finalized. */
  readonly ended: Effect.Effect<void>
  /** Fails everything that waits for another term. */
  readonly close: (cause: Cause.Cause<E>) => Effect.Effect<void>
  /** Runs an effect in each term. */
  readonly whileActive: <A, E2, R>(
    effect: Effect.Effect<A, E2, R> | ((active: ActiveTerm) => Effect.Effect<A, E2, R>)
  ) => Effect.Effect<never, E | E2, R>
}

interface CurrentTerm extends ActiveTerm {
  readonly number: Deferred.Deferred<Term, NoTerm>
  hasNumber: boolean
  /** Done when the term has ended and all its effects are finalized. */
  readonly empty: Deferred.Deferred<void>
  isEnding: boolean
  running: number
}

export const make = <E>(): Terms<E> => {
  let current: CurrentTerm | undefined
  // The current term, or the next one.
  let next = Deferred.unsafeMake<CurrentTerm, E>(FiberId.none)

  const checkEmpty = (term: CurrentTerm) => {
    if (term.isEnding && term.running === 0) {
      Deferred.unsafeDone(term.empty, Effect.void)
    }
  }

  const during = <A, E2, R>(term: CurrentTerm, effect: Effect.Effect<A, E2, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => term.running++),
      () => term.isEnding ? Effect.void : until(effect, term.ending),
      () =>
        Effect.sync(() => {
          term.running--
          checkEmpty(term)
        })
    )

  const onNumber = (term: Term | undefined) => {
    if (term !== undefined && current !== undefined && !current.hasNumber && !current.isEnding) {
      current.hasNumber = true
      Deferred.unsafeDone(current.number, Effect.succeed(term))
    }
  }

  return {
    begin: (began) => {
      const number = Deferred.unsafeMake<Term, NoTerm>(FiberId.none)
      current = {
        began,
        ending: Deferred.unsafeMake(FiberId.none),
        term: Deferred.await(number),
        number,
        hasNumber: false,
        empty: Deferred.unsafeMake(FiberId.none),
        isEnding: false,
        running: 0
      }
      onNumber(began.term)
      Deferred.unsafeDone(next, Effect.succeed(current))
    },
    onNumber,
    end: (ending) => {
      if (current !== undefined && !current.isEnding) {
        current.isEnding = true
        next = Deferred.unsafeMake(FiberId.none)
        Deferred.unsafeDone(current.ending, Effect.succeed(ending))
        if (!current.hasNumber) {
          Deferred.unsafeDone(current.number, new NoTerm({ reason: "NotActive" }))
        }
        checkEmpty(current)
      }
    },
    ended: Effect.suspend(() => current === undefined ? Effect.void : Deferred.await(current.empty)),
    close: (cause) => Effect.suspend(() => Deferred.failCause(next, cause)),
    whileActive: (effect) =>
      Effect.suspend(() => Deferred.await(next)).pipe(
        Effect.tap((term) => during(term, Effect.isEffect(effect) ? effect : effect(term))),
        Effect.flatMap(({ ending }) => Deferred.await(ending)),
        Effect.forever
      )
  }
}

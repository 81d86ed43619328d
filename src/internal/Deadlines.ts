import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "./Clock.ts"

/** Things that must be over within a time that is the same for all of them. One timer serves them all. */
export interface Deadlines<A> {
  readonly add: (item: A) => void
  readonly delete: (item: A) => void
}

/** Calls `onDue` for each item that was added and not deleted in time. With an infinite time nothing is kept. */
export const make = <A>(
  time: Duration.Duration,
  onDue: (item: A) => void
): Effect.Effect<Deadlines<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const millis = Duration.toMillis(time)
    if (millis === Number.POSITIVE_INFINITY) {
      return { add: () => {}, delete: () => {} }
    }
    const now = yield* monotonicReader
    const fork = Runtime.runFork(yield* Effect.runtime())
    // In the order of their deadlines, since all have the same time.
    const deadlines = new Map<A, number>()
    let watcher: Fiber.RuntimeFiber<void> | undefined

    const watch: Effect.Effect<void> = Effect.suspend(() => {
      const at = now()
      for (const [item, deadline] of deadlines) {
        if (deadline > at) {
          return Effect.flatMap(Effect.sleep(Math.ceil(deadline - at)), () => watch)
        }
        deadlines.delete(item)
        onDue(item)
      }
      watcher = undefined
      return Effect.void
    })

    yield* Effect.addFinalizer(() => watcher === undefined ? Effect.void : Fiber.interrupt(watcher))
    return {
      add: (item) => {
        deadlines.set(item, now() + millis)
        watcher ??= fork(Effect.interruptible(watch), { immediate: false })
      },
      delete: (item) => {
        deadlines.delete(item)
      }
    }
  })

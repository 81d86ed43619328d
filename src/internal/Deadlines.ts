import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "./Clock.ts"
import type { Linked } from "./LinkedList.ts"
import { LinkedList } from "./LinkedList.ts"

/**
 * Expires items after a common timeout, with a single timer.
 *
 * Not `Effect.timeout`: that costs 21 us for each item.
 */
export interface Deadlines<A> {
  readonly add: (item: A) => Deadline<A>
  readonly delete: (deadline: Deadline<A>) => void
}

/** The deadline of one item. */
export interface Deadline<A> extends Linked<Deadline<A>> {
  readonly item: A
  readonly at: number
}

/**
 * Makes a timer for deadlines. `expire` handles those that have passed, and returns the next one. The timer is to be started whenever
 * there may be a first one.
 */
export const makeTimer = (
  expire: (now: number) => number | undefined
): Effect.Effect<{ readonly start: () => void }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const now = yield* monotonicReader
    const fork = Runtime.runFork(yield* Effect.runtime())
    let watcher: Fiber.RuntimeFiber<void> | undefined

    const watch: Effect.Effect<void> = Effect.suspend(() => {
      const at = now()
      const next = expire(at)
      if (next !== undefined) {
        return Effect.flatMap(Effect.sleep(Math.ceil(next - at)), () => watch)
      }
      watcher = undefined
      return Effect.void
    })

    yield* Effect.addFinalizer(() => watcher === undefined ? Effect.void : Fiber.interrupt(watcher))
    return {
      start: () => {
        watcher ??= fork(Effect.interruptible(watch), { immediate: false })
      }
    }
  })

/** Calls `onExpired` for each item that is not deleted in time. An infinite timeout keeps no items. */
export const make = <A>(
  timeout: Duration.Duration,
  onExpired: (item: A) => void
): Effect.Effect<Deadlines<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const millis = Duration.toMillis(timeout)
    const now = yield* monotonicReader
    // In their order, because the timeout is the same.
    const deadlines = new LinkedList<Deadline<A>>()
    const timer = yield* makeTimer((time) => {
      let first = deadlines.first
      while (first !== undefined && first.at <= time) {
        deadlines.delete(first)
        onExpired(first.item)
        first = deadlines.first
      }
      return first?.at
    })
    return {
      add: (item) => {
        const deadline = { item, at: now() + millis, previous: undefined, next: undefined }
        if (millis !== Number.POSITIVE_INFINITY) {
          deadlines.add(deadline)
          timer.start()
        }
        return deadline
      },
      delete: (deadline) => {
        deadlines.delete(deadline)
      }
    }
  })

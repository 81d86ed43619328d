import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import * as Deadlines from "./deadlines.ts"

/**
 * An effect that runs for somebody.
 *
 * @internal
 */
export interface Task<T, A> {
  /** For whom. */
  readonly owner: T
  readonly fiber: Fiber.RuntimeFiber<A, unknown>
  /** Whether it was interrupted because it took too long. */
  isLate: boolean
}

/**
 * Effects that run beside each other, each with a fiber of its own and for a limited time.
 *
 * @internal
 */
export interface Tasks<T, A, R> {
  /** Starts an effect. One that ends without waiting for anything gives its exit at once; `onEnd` hears of the others. */
  readonly start: (owner: T, effect: Effect.Effect<A, unknown, R>) => Exit.Exit<A, unknown> | undefined
  /** How many run. */
  readonly size: () => number
  /** Interrupts all and waits until they have ended. */
  readonly interruptAll: Effect.Effect<void>
}

/**
 * Makes a place for tasks that all end with the scope.
 *
 * @internal
 */
export const make = <T, A, R>(
  timeout: Duration.Duration,
  onEnd: (task: Task<T, A>, exit: Exit.Exit<A, unknown>) => void
): Effect.Effect<Tasks<T, A, R>, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    // A layer is built where interruption is off; what runs here can be interrupted all the same.
    const runtime = Runtime.enableRuntimeFlag(yield* Effect.runtime<R>(), RuntimeFlags.Interruption)
    const fork = Runtime.runFork(runtime)
    const tasks = new Set<Task<T, A>>()
    const deadlines = yield* Deadlines.make<Task<T, A>>(timeout, (task) => {
      task.isLate = true
      task.fiber.unsafeInterruptAsFork(FiberId.none)
    })
    const interruptAll = Effect.suspend(() => Fiber.interruptAll([...tasks].map(({ fiber }) => fiber)))
    yield* Effect.addFinalizer(() => interruptAll)

    return {
      size: () => tasks.size,
      interruptAll,
      start: (owner, effect) => {
        const fiber = fork(effect)
        const exit = fiber.unsafePoll()
        if (exit !== null) {
          return exit
        }
        const task: Task<T, A> = { owner, fiber, isLate: false }
        tasks.add(task)
        deadlines.add(task)
        fiber.addObserver((exit) => {
          tasks.delete(task)
          deadlines.delete(task)
          onEnd(task, exit)
        })
        return undefined
      }
    }
  })

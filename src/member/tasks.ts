import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Deadlines from "../internal/Deadlines.ts"

/** A running handler: an effect, or a deferred reply. */
export interface Task<T, A> {
  readonly owner: T
  /** `undefined` for a deferred reply. */
  readonly fiber: Fiber.RuntimeFiber<A, unknown> | undefined
  /** Requests its end. */
  readonly interrupt: () => void
  /** Whether it was interrupted by the timeout. */
  isLate: boolean
}

/** Concurrent tasks with a common timeout. */
export interface Tasks<T, A, R> {
  /** Starts an effect. Returns the exit of one that ends at once; `onEnd` is called for any other. */
  readonly start: (owner: T, effect: Effect.Effect<A, unknown, R>) => Exit.Exit<A, unknown> | undefined
  /** Starts a deferred reply: `start` returns the callback for its interruption. */
  readonly startDeferred: (owner: T, start: (complete: (exit: Exit.Exit<A, unknown>) => void) => () => void) => void
  /** Number of running tasks. */
  readonly size: () => number
  /** Interrupts all tasks, and waits until they have ended. */
  readonly interruptAll: Effect.Effect<void>
}

/** Makes a set of tasks, which are interrupted when the scope closes. */
export const make = <T, A, R>(
  timeout: Duration.Duration,
  onEnd: (task: Task<T, A>, exit: Exit.Exit<A, unknown>) => void
): Effect.Effect<Tasks<T, A, R>, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    // A layer may be built in an uninterruptible region and in a span. Tasks inherit neither.
    const runtime = (yield* Effect.runtime<R>()).pipe(
      Runtime.enableRuntimeFlag(RuntimeFlags.Interruption),
      Runtime.updateContext((context) => Context.omit(Tracer.ParentSpan)(context) as Context.Context<R>)
    )
    const fork = Runtime.runFork(runtime)
    const tasks = new Set<Task<T, A>>()
    const deadlines = yield* Deadlines.make<Task<T, A>>(timeout, (task) => {
      task.isLate = true
      task.interrupt()
    })
    const interruptAll = Effect.suspend(() => {
      const running = [...tasks]
      running.forEach(({ interrupt }) => interrupt())
      return Fiber.awaitAll(running.flatMap(({ fiber }) => fiber ?? []))
    }).pipe(Effect.asVoid)
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
        const interrupt = () => fiber.unsafeInterruptAsFork(FiberId.none)
        const task: Task<T, A> = { owner, fiber, interrupt, isLate: false }
        tasks.add(task)
        deadlines.add(task)
        fiber.addObserver((exit) => {
          tasks.delete(task)
          deadlines.delete(task)
          onEnd(task, exit)
        })
        return undefined
      },
      startDeferred: (owner, start) => {
        const end = (exit: Exit.Exit<A, unknown>) => {
          if (tasks.delete(task)) {
            deadlines.delete(task)
            onEnd(task, exit)
          }
        }
        let cancel = () => {}
        const interrupt = () => {
          try {
            cancel()
            end(Exit.interrupt(FiberId.none))
          } catch (defect) {
            end(Exit.die(defect))
          }
        }
        const task: Task<T, A> = { owner, fiber: undefined, interrupt, isLate: false }
        tasks.add(task)
        deadlines.add(task)
        try {
          cancel = start(end)
        } catch (defect) {
          end(Exit.die(defect))
        }
      }
    }
  })

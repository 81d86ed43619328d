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

/** Something that runs for somebody: an effect, or what tells by itself when it has ended. */
export interface Task<T, A> {
  /** For whom. */
  readonly owner: T
  /** Where it has one. */
  readonly fiber: Fiber.RuntimeFiber<A, unknown> | undefined
  /** Ends it, soon. */
  readonly interrupt: () => void
  /** Whether it was interrupted because it took too long. */
  isLate: boolean
}

/** Effects that run beside each other, each with a fiber of its own and for a limited time. */
export interface Tasks<T, A, R> {
  /** Starts an effect. One that ends without waiting for anything gives its exit at once; `onEnd` hears of the others. */
  readonly start: (owner: T, effect: Effect.Effect<A, unknown, R>) => Exit.Exit<A, unknown> | undefined
  /** Starts what calls back when it has ended, and gives what is called where it is interrupted. */
  readonly startLater: (owner: T, start: (settle: (exit: Exit.Exit<A, unknown>) => void) => () => void) => void
  /** How many run. */
  readonly size: () => number
  /** Interrupts all and waits until they have ended. */
  readonly interruptAll: Effect.Effect<void>
}

/** Makes a place for tasks that all end with the scope. */
export const make = <T, A, R>(
  timeout: Duration.Duration,
  onEnd: (task: Task<T, A>, exit: Exit.Exit<A, unknown>) => void
): Effect.Effect<Tasks<T, A, R>, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    // A layer may be built where interruption is off, and in a span; what runs here has nothing to do with either.
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
      startLater: (owner, start) => {
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

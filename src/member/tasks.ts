import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRefs from "effect/FiberRefs"
import * as HashSet from "effect/HashSet"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { monotonicReader } from "../internal/Clock.ts"
import * as Deadlines from "../internal/Deadlines.ts"
import type { Linked } from "../internal/LinkedList.ts"
import { LinkedList } from "../internal/LinkedList.ts"

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
  /** Starts an effect. If it does not end at once, it has to be added. */
  readonly fork: (effect: Effect.Effect<A, unknown, R>) => Fiber.RuntimeFiber<A, unknown>
  /** Adds a running effect. */
  readonly add: (owner: T, fiber: Fiber.RuntimeFiber<A, unknown>) => void
  /** Starts a deferred reply: `start` returns the callback for its interruption. */
  readonly startDeferred: (owner: T, start: (complete: (exit: Exit.Exit<A, unknown>) => void) => () => void) => void
  /** Number of running tasks. */
  readonly size: () => number
  /** Interrupts all tasks, and waits until they have ended. */
  readonly interruptAll: Effect.Effect<void>
}

/** Whether every fiber starts with values of its own, because a reference has a `fork` that makes them. */
const haveFork = (fiberRefs: FiberRefs.FiberRefs): boolean => {
  const forked = FiberRefs.forkAs(fiberRefs, FiberId.none)
  return HashSet.some(
    FiberRefs.fiberRefs(fiberRefs),
    (fiberRef) => !Equal.equals(FiberRefs.getOrDefault(forked, fiberRef), FiberRefs.getOrDefault(fiberRefs, fiberRef))
  )
}

/**
 * Forks effects whose fibers start with the same references, if none of them differs by fiber. `Runtime.runFork` would copy those of the
 * runtime for each of them, which costs as much as the rest of an effect that ends at once.
 */
const makeFork = <R>(runtime: Runtime.Runtime<R>) =>
  Effect.map(Effect.flatten(Fiber.await(Runtime.runFork(runtime)(Effect.getFiberRefs))), (fiberRefs) => {
    const fork = Runtime.runFork(Runtime.make({ ...runtime, fiberRefs: FiberRefs.empty() }))
    const options: Runtime.RunForkOptions = {
      updateRefs: haveFork(fiberRefs) ? (_, id) => FiberRefs.forkAs(fiberRefs, id) : () => fiberRefs
    }
    return <A>(effect: Effect.Effect<A, unknown, R>) => fork(effect, options)
  })

type End<T, A> = (task: Entry<T, A>, exit: Exit.Exit<A, unknown>) => void

/** A task in the list of all, which is in the order of their deadlines, because the timeout is the same. */
abstract class Entry<T, A> implements Task<T, A>, Linked<Entry<T, A>> {
  readonly owner: T
  readonly deadline: number
  abstract readonly fiber: Fiber.RuntimeFiber<A, unknown> | undefined
  isLate = false
  previous: Entry<T, A> | undefined
  next: Entry<T, A> | undefined
  constructor(owner: T, deadline: number) {
    this.owner = owner
    this.deadline = deadline
  }
  abstract interrupt(): void
}

class EffectTask<T, A> extends Entry<T, A> {
  readonly fiber: Fiber.RuntimeFiber<A, unknown>
  constructor(owner: T, deadline: number, fiber: Fiber.RuntimeFiber<A, unknown>) {
    super(owner, deadline)
    this.fiber = fiber
  }
  interrupt() {
    this.fiber.unsafeInterruptAsFork(FiberId.none)
  }
}

class DeferredTask<T, A> extends Entry<T, A> {
  readonly fiber = undefined
  readonly #end: End<T, A>
  #cancel: (() => void) | undefined
  constructor(owner: T, deadline: number, end: End<T, A>) {
    super(owner, deadline)
    this.#end = end
  }
  start(start: (complete: (exit: Exit.Exit<A, unknown>) => void) => () => void) {
    try {
      this.#cancel = start((exit) => this.#end(this, exit))
    } catch (defect) {
      this.#end(this, Exit.die(defect))
    }
  }
  interrupt() {
    try {
      this.#cancel?.()
      this.#end(this, Exit.interrupt(FiberId.none))
    } catch (defect) {
      this.#end(this, Exit.die(defect))
    }
  }
}

/** Interrupts tasks, unless the interruption of an earlier one has completed them. */
const interruptEach = <T, A>(tasks: LinkedList<Entry<T, A>>, each: ReadonlyArray<Entry<T, A>>): void => {
  for (const task of each) {
    if (tasks.has(task)) {
      task.interrupt()
    }
  }
}

/** Interrupts the tasks whose deadline has passed. Returns the next deadline. */
const expire = <T, A>(tasks: LinkedList<Entry<T, A>>, now: number): number | undefined => {
  const late: Array<Entry<T, A>> = []
  let task = tasks.first
  while (task !== undefined && task.deadline <= now) {
    // One that was interrupted before may need time to end.
    if (!task.isLate) {
      task.isLate = true
      late.push(task)
    }
    task = task.next
  }
  interruptEach(tasks, late)
  // Only now: an interruption may have added or removed tasks.
  let next = tasks.first
  while (next?.isLate === true) {
    next = next.next
  }
  return next?.deadline
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
    const fork = yield* makeFork(runtime)
    const tasks = new LinkedList<Entry<T, A>>()
    const now = yield* monotonicReader
    const millis = Duration.toMillis(timeout)
    const timer = yield* Deadlines.makeTimer((at) => expire(tasks, at))
    const interruptAll = Effect.suspend(() => {
      const running = tasks.toArray()
      interruptEach(tasks, running)
      return Fiber.awaitAll(running.flatMap(({ fiber }) => fiber ?? []))
    }).pipe(Effect.asVoid)
    yield* Effect.addFinalizer(() => interruptAll)
    const begin = (task: Entry<T, A>) => {
      tasks.add(task)
      if (millis !== Number.POSITIVE_INFINITY) {
        timer.start()
      }
    }
    /** A deferred reply may be completed more than once. */
    const end: End<T, A> = (task, exit) => {
      if (tasks.delete(task)) {
        onEnd(task, exit)
      }
    }

    return {
      size: () => tasks.size,
      interruptAll,
      fork,
      add: (owner, fiber) => {
        const task = new EffectTask(owner, now() + millis, fiber)
        begin(task)
        fiber.addObserver((exit) => end(task, exit))
      },
      startDeferred: (owner, start) => {
        const task = new DeferredTask(owner, now() + millis, end)
        begin(task)
        task.start(start)
      }
    }
  })

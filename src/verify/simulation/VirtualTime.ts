/**
 * Time that only goes on when everything has come to rest, and schedulers that can be stopped, for running many fibers in
 * one thread so that a run is the same each time.
 *
 * A `TestClock` would do for time, but it waits for real milliseconds at each step to see whether everything rests.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import * as Heap from "./heap.ts"

/**
 * A process of its own for the fibers that are given its scheduler: it can be made to stand still.
 *
 * @since 0.1.0
 * @category models
 */
export interface Process {
  readonly scheduler: Scheduler.Scheduler
  /** Lets nothing run any more until it is resumed. What becomes ready meanwhile waits in order. */
  readonly pause: () => void
  readonly resume: () => void
  readonly isPaused: () => boolean
}

/**
 * Virtual time in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface VirtualTime {
  readonly now: () => number
  /** Does something later. The result takes it back. */
  readonly after: (millis: number, what: () => void) => () => void
  /** Goes on until `end`: does what is due, each time letting everything come to rest before time goes on. */
  readonly runUntil: (end: number, afterEach: () => void) => Promise<void>
  readonly makeProcess: () => Process
  /** A clock whose wall time is off by what `wallOffset` says. */
  readonly clock: (wallOffset: () => number) => Clock.Clock
}

interface Planned extends Heap.Planned {
  what: (() => void) | undefined
}

/** Time is kept in whole microseconds, so that it is never a rounding error short of what somebody sleeps for. */
const micro = 1000

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/**
 * Makes a time that begins at 0.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): VirtualTime => {
  const heap: Array<Planned> = []
  let time = 0
  let order = 0
  let ready = 0
  let steps = 0

  const after = (millis: number, what: () => void) => {
    const planned: Planned = { at: time + Math.max(0, Math.ceil(millis * micro)), order: order++, what }
    Heap.push(heap, planned)
    return () => {
      planned.what = undefined
    }
  }

  /** Promises are taken care of in a turn of the event loop, and some code waits for the next one on purpose. */
  const rest = async () => {
    let before: number
    do {
      before = steps
      await turn()
    } while (steps !== before)
  }

  return {
    now: () => time / micro,
    after,
    runUntil: async (end, afterEach) => {
      await rest()
      while (heap.length > 0 && heap[0]!.at <= end * micro) {
        const { at, what } = Heap.pop(heap)
        if (what !== undefined) {
          time = at
          const before = ready
          what()
          if (ready !== before) {
            await rest()
            afterEach()
          }
        }
      }
      time = end * micro
    },
    makeProcess: () => {
      let tasks: Array<Scheduler.Task> = []
      let isPaused = false
      let isPlanned = false
      const run = () => {
        isPlanned = false
        while (!isPaused && tasks.length > 0) {
          const due = tasks
          tasks = []
          for (let i = 0; i < due.length; i++) {
            if (isPaused) {
              tasks = [...due.slice(i), ...tasks]
              break
            }
            steps++
            due[i]!()
          }
        }
      }
      const plan = () => {
        if (!isPlanned && !isPaused && tasks.length > 0) {
          isPlanned = true
          queueMicrotask(run)
        }
      }
      return {
        scheduler: {
          shouldYield: Scheduler.defaultShouldYield,
          scheduleTask: (task) => {
            ready++
            tasks.push(task)
            plan()
          }
        },
        pause: () => {
          isPaused = true
        },
        resume: () => {
          isPaused = false
          ready += tasks.length
          plan()
        },
        isPaused: () => isPaused
      }
    },
    clock: (wallOffset) => ({
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: () => time / micro + wallOffset(),
      unsafeCurrentTimeNanos: () => BigInt(time * micro),
      currentTimeMillis: Effect.sync(() => time / micro + wallOffset()),
      currentTimeNanos: Effect.sync(() => BigInt(time * micro)),
      sleep: (duration) =>
        Effect.async((resume) => {
          // Nobody sleeps for no time at all: who waits for a deadline that way would wait for ever.
          const takeBack = after(Math.max(1 / micro, Duration.toMillis(duration)), () => resume(Effect.void))
          return Effect.sync(takeBack)
        })
    })
  }
}

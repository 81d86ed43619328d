/**
 * Time that advances only when everything has come to rest, and schedulers that can be paused, for running many fibers in one
 * thread so that a run is the same each time.
 *
 * A `TestClock` waits for real milliseconds at each step to see whether everything rests.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import * as Heap from "./heap.ts"

/**
 * A simulated process: it runs the fibers that are given its scheduler, and can be paused.
 *
 * @category models
 */
export interface Process {
  readonly scheduler: Scheduler.Scheduler
  /** Stops all fibers until the process is resumed. Tasks that become ready meanwhile wait in order. */
  readonly pause: () => void
  readonly resume: () => void
  readonly isPaused: () => boolean
}

/**
 * Virtual time in milliseconds.
 *
 * @category models
 */
export interface VirtualTime {
  readonly now: () => number
  /** Schedules an action. The result cancels it. */
  readonly after: (millis: number, action: () => void) => () => void
  /** Performs everything that is due until `end`, and lets everything come to rest before time advances. */
  readonly runUntil: (end: number, onRest: () => void) => Promise<void>
  readonly makeProcess: () => Process
  /** A clock whose wall time differs from virtual time by `wallOffset`. */
  readonly clock: (wallOffset: () => number) => Clock.Clock
}

interface Planned extends Heap.Planned {
  action: (() => void) | undefined
}

/** Time is kept in whole microseconds, so that a rounding error never ends a sleep too early. */
const micro = 1000

const eventLoopTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** How much has become ready, and how much has run, in all processes. */
interface Activity {
  ready: number
  run: number
}

/** Promises settle within a turn of the event loop, and some code waits for the next turn on purpose. */
const rest = async (activity: Activity): Promise<void> => {
  let before: number
  do {
    before = activity.run
    await eventLoopTurn()
  } while (activity.run !== before)
}

/**
 * Makes a time that begins at 0.
 *
 * @category constructors
 */
export const make = (): VirtualTime => {
  const heap: Array<Planned> = []
  const activity: Activity = { ready: 0, run: 0 }
  let time = 0
  let order = 0
  const after = (millis: number, action: () => void) => {
    const planned: Planned = { at: time + Math.max(0, Math.ceil(millis * micro)), order: order++, action }
    Heap.push(heap, planned)
    return () => {
      planned.action = undefined
    }
  }
  return {
    now: () => time / micro,
    after,
    runUntil: async (end, onRest) => {
      await rest(activity)
      while (heap.length > 0 && heap[0]!.at <= end * micro) {
        const { action, at } = Heap.pop(heap)
        if (action !== undefined) {
          time = at
          const before = activity.ready
          action()
          if (activity.ready !== before) {
            await rest(activity)
            onRest()
          }
        }
      }
      time = end * micro
    },
    makeProcess: () => makeProcess(activity),
    clock: (wallOffset) => makeClock(() => time, after, wallOffset)
  }
}

const makeProcess = (activity: Activity): Process => {
  let tasks: Array<Scheduler.Task> = []
  let isPaused = false
  let isScheduled = false
  const run = () => {
    isScheduled = false
    while (!isPaused && tasks.length > 0) {
      const due = tasks
      tasks = []
      for (let i = 0; i < due.length; i++) {
        if (isPaused) {
          tasks = [...due.slice(i), ...tasks]
          break
        }
        activity.run++
        due[i]!()
      }
    }
  }
  const schedule = () => {
    if (!isScheduled && !isPaused && tasks.length > 0) {
      isScheduled = true
      queueMicrotask(run)
    }
  }
  return {
    scheduler: {
      shouldYield: Scheduler.defaultShouldYield,
      scheduleTask: (task) => {
        activity.ready++
        tasks.push(task)
        schedule()
      }
    },
    pause: () => {
      isPaused = true
    },
    resume: () => {
      isPaused = false
      activity.ready += tasks.length
      schedule()
    },
    isPaused: () => isPaused
  }
}

const makeClock = (
  nowMicros: () => number,
  after: VirtualTime["after"],
  wallOffset: () => number
): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => nowMicros() / micro + wallOffset(),
  unsafeCurrentTimeNanos: () => BigInt(nowMicros() * micro),
  currentTimeMillis: Effect.sync(() => nowMicros() / micro + wallOffset()),
  currentTimeNanos: Effect.sync(() => BigInt(nowMicros() * micro)),
  sleep: (duration) =>
    Effect.async((resume) => {
      // No sleep takes no time at all: a loop that waits for a deadline by such sleeps would never end.
      const cancel = after(Math.max(1 / micro, Duration.toMillis(duration)), () => resume(Effect.void))
      return Effect.sync(cancel)
    })
})

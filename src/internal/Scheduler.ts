import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import { nextTick } from "node:process"

/** Time slice in milliseconds, after which work yields to the event loop: to timers, sockets and heartbeats. */
export const sliceMillis = 2

// One event loop, one slice.
let sliceStart = performance.now()

/** Begins a slice. To be called at the beginning of a turn of the event loop. */
export const beginSlice = (): void => {
  sliceStart = performance.now()
}

export const isSliceOver = (): boolean => performance.now() - sliceStart > sliceMillis

/** Calls back in the next turn of the event loop, with a new slice. */
export const onNextTurn = (f: () => void): void => {
  setImmediate(() => {
    beginSlice()
    f()
  })
}

/** Calls back after all fibers that run in this turn of the event loop. */
export const atEndOfTurn = (f: () => void): void => nextTick(f)

/** Continues in the next turn of the event loop, with any scheduler. */
export const nextTurn: Effect.Effect<void> = Effect.async((resume) => {
  const immediate = setImmediate(() => {
    beginSlice()
    resume(Effect.void)
  })
  return Effect.sync(() => clearImmediate(immediate))
})

/**
 * Continues after one complete poll of the event loop, which delivers everything that has arrived. One turn is not enough: a turn
 * requested during a poll follows without another poll.
 */
export const nextPoll: Effect.Effect<void> = Effect.zipRight(nextTurn, nextTurn)

const resolved = Promise.resolve()

/**
 * Runs fibers within the same turn of the event loop until the slice is over, then yields to the event loop.
 *
 * Effect's default scheduler may run 2048 turns of promises first, which was measured to delay a 10 ms timer by over 400 ms. A
 * `setImmediate` for every step would cost latency instead.
 */
export const layer: Layer.Layer<never> = Layer.setScheduler(
  Scheduler.makeBatched((run) => {
    if (isSliceOver()) {
      onNextTurn(run)
    } else {
      resolved.then(run)
    }
  })
)

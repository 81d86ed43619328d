import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import { nextTick } from "node:process"

/**
 * How long, in milliseconds, work may go on before the event loop gets a turn: for timers, for sockets, for heartbeats.
 */
export const sliceMillis = 2

// There is one event loop, so there is one slice.
let sliceStart = performance.now()

/** To be called where the event loop has just turned. */
export const beginSlice = (): void => {
  sliceStart = performance.now()
}

export const isSliceOver = (): boolean => performance.now() - sliceStart > sliceMillis

/** Calls back in the next turn of the event loop, at the beginning of a slice. */
export const onNextTurn = (f: () => void): NodeJS.Immediate =>
  setImmediate(() => {
    beginSlice()
    f()
  })

/** Calls back behind all that the scheduler has to do in this turn of the event loop. */
export const atEndOfTurn = (f: () => void): void => nextTick(f)

/** Goes on in the next turn of the event loop, whatever the scheduler. */
export const nextTurn: Effect.Effect<void> = Effect.async((resume) => {
  const immediate = onNextTurn(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/**
 * Lets all come in that has arrived. One turn of the event loop is not enough: one that is asked for while the loop is polling
 * comes without another poll.
 */
export const nextPoll: Effect.Effect<void> = Effect.zipRight(nextTurn, nextTurn)

/** Calls back where `nextPoll` goes on. */
export const onNextPoll = (f: () => void): void => {
  onNextTurn(() => onNextTurn(f))
}

const resolved = Promise.resolve()

/**
 * Makes Effect go on within the same turn of the event loop as long as the slice lasts, and then lets the loop turn. Its
 * default scheduler may go through 2048 turns of promises first, which was seen to delay a 10 ms timer by over 400 ms; a
 * `setImmediate` for every step costs latency instead.
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

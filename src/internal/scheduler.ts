import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"

/**
 * How long, in milliseconds, work may go on before the event loop gets a turn: for timers, for sockets, for heartbeats.
 *
 * @internal
 */
export const sliceMillis = 2

/**
 * A scheduler that goes on within the same turn of the event loop as long as a slice lasts and then lets the loop turn.
 * Effect's default one may go through 2048 turns of promises first, which was seen to delay a 10 ms timer by over 400
 * ms; a `setImmediate` for every step costs latency instead.
 *
 * @internal
 */
export const make = (): Scheduler.Scheduler => {
  let sliceStart = performance.now()
  return Scheduler.makeBatched((run) => {
    if (performance.now() - sliceStart < sliceMillis) {
      queueMicrotask(run)
    } else {
      setImmediate(() => {
        sliceStart = performance.now()
        run()
      })
    }
  })
}

/** @internal */
export const layer: Layer.Layer<never> = Layer.suspend(() => Layer.setScheduler(make()))

/**
 * Goes on in the next turn of the event loop, whatever the scheduler.
 *
 * @internal
 */
export const nextTurn: Effect.Effect<void> = Effect.async((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

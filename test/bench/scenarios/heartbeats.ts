/**
 * The delay of heartbeats.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Subscriber } from "zeromq"
import type { Row } from "../figures.ts"
import { largest, lonelyRow } from "../figures.ts"

/** Waits until `times` has an entry after `time`. */
const untilLater = async (times: ReadonlyArray<number>, time: number): Promise<void> => {
  while (!(times.length > 0 && times.at(-1)! > time)) {
    if (performance.now() > time + 10_000) {
      throw new Error("no heartbeat for 10 seconds")
    }
    await sleep(10)
  }
}

/** The largest gap between two times, from the last before `start` to the first after `end`. */
const largestGap = (times: ReadonlyArray<number>, start: number, end: number): number =>
  times.reduce((largest, time, i) => {
    const previous = times[i - 1] ?? time
    return time > start && previous <= end ? Math.max(largest, time - previous) : largest
  }, 0)

/** Records the heartbeats of a server, and the ticks of a timer in this process. The machine causes the delays of the timer. */
export const watchHeartbeats = (state: string, heartbeatMillis: number) => {
  const heartbeats: Array<number> = []
  const ticks: Array<number> = []
  const subscriber = new Subscriber({ linger: 0 })
  subscriber.subscribe()
  subscriber.connect(state)
  const listening = (async () => {
    for await (const _ of subscriber) {
      heartbeats.push(performance.now())
    }
  })()
  const timer = setInterval(() => ticks.push(performance.now()), heartbeatMillis)
  return {
    /** The largest delays while `work` runs. */
    during: async <A>(work: () => Promise<A>) => {
      await untilLater(heartbeats, performance.now())
      const start = performance.now()
      const result = await work()
      const end = performance.now()
      await untilLater(heartbeats, end)
      await untilLater(ticks, end)
      return {
        result,
        delay: largestGap(heartbeats, start, end) - heartbeatMillis,
        noise: largestGap(ticks, start, end) - heartbeatMillis
      }
    },
    stop: async () => {
      clearInterval(timer)
      subscriber.close()
      await listening
    }
  }
}

export const delayRows = (
  results: ReadonlyArray<{ readonly delay: number; readonly noise: number }>
): ReadonlyArray<Row> => [
  lonelyRow("largest delay of a heartbeat, ms", results.map(({ delay }) => delay), largest),
  lonelyRow("  of a timer in an idle process meanwhile, ms", results.map(({ noise }) => noise), largest)
]

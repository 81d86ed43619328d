/** Shares the event loop: work that waits is done in small portions, so that heartbeats are sent in between. */
import { performance } from "node:perf_hooks"

/** Time per turn of the event loop after which the next job waits for another turn. */
const budgetMillis = 2

/** Jobs that may wait; further ones are rejected. Urgent ones have places of their own. */
const maxWaiting = 256

export interface Turns {
  /** Whether there is a place for the job. */
  readonly add: (job: () => void, isUrgent: boolean) => boolean
}

export const make = (): Turns => {
  const urgent: Array<() => void> = []
  const ordinary: Array<() => void> = []
  let isScheduled = false
  const schedule = () => {
    if (!isScheduled && urgent.length + ordinary.length > 0) {
      isScheduled = true
      setImmediate(run)
    }
  }
  const run = () => {
    const until = performance.now() + budgetMillis
    do {
      const job = urgent.shift() ?? ordinary.shift()
      job?.()
    } while (urgent.length + ordinary.length > 0 && performance.now() < until)
    isScheduled = false
    schedule()
  }
  return {
    add: (job, isUrgent) => {
      const jobs = isUrgent ? urgent : ordinary
      if (jobs.length >= maxWaiting) {
        return false
      }
      jobs.push(job)
      schedule()
      return true
    }
  }
}

/**
 * Runs jobs in their order, at most `jobsPerTurn` in a turn of the event loop and the first ones at once. For jobs that cause
 * work in a later turn, which a budget of time does not include.
 */
export const makeCounted = (jobsPerTurn: number): (job: () => void) => void => {
  const waiting: Array<() => void> = []
  let left = jobsPerTurn
  let isScheduled = false
  let isRunning = false
  const run = () => {
    if (!isScheduled) {
      isScheduled = true
      setImmediate(renew)
    }
    if (isRunning) {
      return
    }
    isRunning = true
    try {
      for (; left > 0 && waiting.length > 0; left--) {
        waiting.shift()!()
      }
    } finally {
      isRunning = false
    }
  }
  const renew = () => {
    left = jobsPerTurn
    isScheduled = false
    if (waiting.length > 0) {
      run()
    }
  }
  return (job) => {
    waiting.push(job)
    run()
  }
}

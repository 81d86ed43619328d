/** Slices of work, with turns of the event loop between them in which heartbeats are sent. */
import { performance } from "node:perf_hooks"

/** Time per turn of the event loop, after which the next job waits for the next turn. */
const budgetMillis = 2

/** Jobs that may wait; further ones are rejected. Urgent jobs have a queue of their own. */
const maxWaiting = 256

export interface Turns {
  /** `false` if the queue is full. */
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
 * Runs jobs in their order, at most `jobsPerTurn` in a turn of the event loop, the first ones at once. For jobs that cause
 * work in a later turn, which a time budget does not include.
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

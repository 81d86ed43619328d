import type { State, Word } from "../Fsm.ts"
import * as Distribution from "./distribution.ts"

export type { Distribution } from "./distribution.ts"

const latencyBounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000]
const failoverBounds = [10, 25, 50, 100, 250, 500, 1000, 2000, 3000, 5000, 10_000, 30_000, 60_000]

/**
 * What a member has seen. Nothing that it decides depends on it.
 *
 * @internal
 */
export const make = (heartbeatMillis: number) => {
  const counters = {
    accepted: 0,
    rejected: 0,
    failed: 0,
    limited: 0,
    heard: 0,
    malformed: 0,
    votes: 0,
    missed: 0,
    conflicts: 0,
    failovers: 0
  }
  const latency = Distribution.make(latencyBounds)
  const failover = Distribution.make(failoverBounds)
  let said: Word | undefined
  let heardAt: number | undefined

  return {
    counters,
    latency,
    failover,
    /** The peer has said a word to a member in this state. */
    hear: (word: Word, state: State, at: number): void => {
      counters.heard++
      if (word === state && (word === "ACTIVE" || word === "PASSIVE")) {
        counters.conflicts++
      }
      said = word
      heardAt = at
    },
    /** The member publishes its state. */
    beat: (at: number): void => {
      if (heardAt !== undefined && at - heardAt > heartbeatMillis * 1.5) {
        counters.missed++
      }
    },
    peer: () => ({ said, heardAt })
  }
}

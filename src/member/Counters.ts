import { timing } from "../protocol/Timing.ts"
import * as Histogram from "./Histogram.ts"

const latencyBounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000]
const failoverBounds = [10, 25, 50, 100, 250, 500, 1000, 2000, 3000, 5000, 10_000, 30_000, 60_000]

/** Counters of a member since its start. No decision depends on them. */
export const make = (heartbeatMillis: number) => ({
  accepted: 0,
  rejected: 0,
  failed: 0,
  limited: 0,
  heartbeats: 0,
  malformed: 0,
  votes: 0,
  missed: 0,
  conflicts: 0,
  failovers: 0,
  refuted: 0,
  suspended: 0,
  witnessConflicts: 0,
  witnessLatency: Histogram.make(latencyBounds),
  latency: Histogram.make(latencyBounds),
  failover: Histogram.make(failoverBounds),
  /** Called with each own heartbeat: checks whether the peer's is overdue. */
  heartbeat(at: number, receivedAt: number | undefined): void {
    if (receivedAt !== undefined && at - receivedAt > heartbeatMillis * timing.missed) {
      this.missed++
    }
  }
})

export type Counters = ReturnType<typeof make>

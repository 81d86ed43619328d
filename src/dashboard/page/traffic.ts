/**
 * Request rates and latencies of the last minutes, by the differences of counters.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import type { NodeStatus } from "../../status/Status.ts"
import type { Pair } from "./pair.ts"
import { roles } from "./pair.ts"

export interface Latency {
  readonly p50: number | null
  readonly p99: number | null
}

/** The latest difference of one server, and the counters that the next one is measured from. */
interface Measured extends Latency {
  readonly baseline: Baseline | undefined
  readonly perSecond: number | null
}

interface Baseline {
  readonly pid: number
  readonly uptimeMillis: number
  readonly accepted: number
  readonly counts: ReadonlyArray<number>
}

/** Requests per second of each server and the latency of the active one. `at` is in seconds of this server's wall clock. */
export interface Sample extends Latency {
  readonly at: number
  readonly primary: number | null
  readonly backup: number | null
}

export interface Traffic {
  readonly measured: { readonly [R in Role]: Measured }
  /** The latest last. */
  readonly samples: ReadonlyArray<Sample>
}

export const windowSeconds = 180

/** Statuses that follow each other more closely, after a transition, give no useful rate. */
const leastMillis = 500

const unmeasured: Measured = { baseline: undefined, perSecond: null, p50: null, p99: null }

export const empty: Traffic = { measured: { primary: unmeasured, backup: unmeasured }, samples: [] }

/** The value below which a part of the counted values lies, by a straight line within its bucket. */
export const quantile = (
  bounds: ReadonlyArray<number>,
  counts: ReadonlyArray<number>,
  part: number
): number | null => {
  let left = part * counts.reduce((sum, n) => sum + n, 0)
  for (const [i, n] of counts.entries()) {
    if (n > 0 && left <= n) {
      const lower = bounds[i - 1] ?? 0
      const upper = bounds[i] ?? lower
      return lower + (upper - lower) * left / n
    }
    left -= n
  }
  return null
}

const measure = (before: Measured, status: NodeStatus | undefined): Measured => {
  if (status === undefined) {
    return unmeasured
  }
  const { counters: { accepted }, latency: { buckets }, pid, uptimeMillis } = status
  const baseline: Baseline = { pid, uptimeMillis, accepted, counts: buckets.counts }
  const last = before.baseline
  if (last === undefined || last.pid !== pid || uptimeMillis < last.uptimeMillis) {
    return { ...unmeasured, baseline }
  }
  const millis = uptimeMillis - last.uptimeMillis
  if (millis < leastMillis) {
    return before
  }
  const counts = baseline.counts.map((n, i) => n - (last.counts[i] ?? 0))
  return {
    baseline,
    perSecond: (accepted - last.accepted) * 1000 / millis,
    p50: quantile(buckets.boundsMillis, counts, 0.5),
    p99: quantile(buckets.boundsMillis, counts, 0.99)
  }
}

export const measurePair = ({ measured, samples }: Traffic, { self, servers }: Pair): Traffic => {
  const at = Date.parse(self.now) / 1000
  const primary = measure(measured.primary, servers.primary.status)
  const backup = measure(measured.backup, servers.backup.status)
  const now = { primary, backup }
  const active = roles.find((role) => servers[role].answers && servers[role].status !== undefined)
  const { p50, p99 } = active === undefined ? unmeasured : now[active]
  const sample: Sample = { at, primary: primary.perSecond, backup: backup.perSecond, p50, p99 }
  return {
    measured: now,
    samples: [...samples.filter((other) => other.at < at && other.at > at - windowSeconds - 2), sample]
  }
}

/** Sliding-window limit: at most `maxFailovers` failovers in `failoverWindowMillis`. */
export interface Limit {
  readonly maxFailovers: number
  readonly failoverWindowMillis: number
}

/** Adds a failover. Keeps no more than the limit needs. */
export const record = (
  { maxFailovers }: Limit,
  failovers: ReadonlyArray<number>,
  at: number
): ReadonlyArray<number> => Number.isFinite(maxFailovers) ? [...failovers, at].slice(-maxFailovers) : failovers

/** The time until which another failover is blocked; `undefined` if it is allowed. */
export const limitedUntil = (
  { failoverWindowMillis, maxFailovers }: Limit,
  failovers: ReadonlyArray<number>,
  at: number
): number | undefined => {
  const until = (failovers[0] ?? Number.NEGATIVE_INFINITY) + failoverWindowMillis
  return failovers.length >= maxFailovers && at < until ? until : undefined
}

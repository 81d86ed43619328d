/** Limits failovers in a sliding window: at most `limit` of them in `windowMillis`. */
export interface Limit {
  readonly maxFailovers: number
  readonly failoverWindowMillis: number
}

/** The failovers that still count, after another one. More than the limit are never needed. */
export const record = (
  { maxFailovers }: Limit,
  failovers: ReadonlyArray<number>,
  at: number
): ReadonlyArray<number> => Number.isFinite(maxFailovers) ? [...failovers, at].slice(-maxFailovers) : failovers

/** Until when another failover is not allowed; `undefined` if it is. */
export const limitedUntil = (
  { failoverWindowMillis, maxFailovers }: Limit,
  failovers: ReadonlyArray<number>,
  at: number
): number | undefined => {
  const until = (failovers[0] ?? Number.NEGATIVE_INFINITY) + failoverWindowMillis
  return failovers.length >= maxFailovers && at < until ? until : undefined
}

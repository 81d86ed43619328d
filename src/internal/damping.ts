/**
 * Tells whether something has happened too often of late.
 *
 * @internal
 */
export const make = (limit: number, windowMillis: number) => {
  let times: ReadonlyArray<number> = []
  return {
    add: (at: number): void => {
      times = [...times, at].slice(-limit)
    },
    /** Until when it must not happen again. `undefined` if it may. */
    until: (at: number): number | undefined => {
      const end = (times[0] ?? Number.NEGATIVE_INFINITY) + windowMillis
      return times.length >= limit && at < end ? end : undefined
    }
  }
}

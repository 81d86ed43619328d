/**
 * Tells the first of a burst from the rest. A burst goes on as long as one follows another within `quietMillis`.
 *
 * @internal
 */
export const make = (quietMillis: number): (now: number) => boolean => {
  let last = Number.NEGATIVE_INFINITY
  return (now) => {
    const isFirst = now - last > quietMillis
    last = now
    return isFirst
  }
}

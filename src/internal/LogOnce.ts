/**
 * Log each burst once. A burst lasts as long as its messages are less than `quietMillis` apart. Returns whether a message is the
 * first of a burst.
 */
export const make = (quietMillis: number): (now: number) => boolean => {
  let last = Number.NEGATIVE_INFINITY
  return (now) => {
    const isFirst = now - last > quietMillis
    last = now
    return isFirst
  }
}

/** Maximum number of keys; beyond it the least recent one is forgotten. */
const capacity = 100

/** {@link make} for each key separately. */
export const makeByKey = (quietMillis: number, now: () => number): (key: string) => boolean => {
  const bursts = new Map<string, ReturnType<typeof make>>()
  return (key) => {
    const isFirst = bursts.get(key) ?? make(quietMillis)
    // A Map keeps the order: the least recent key comes first.
    bursts.delete(key)
    bursts.set(key, isFirst)
    if (bursts.size > capacity) {
      bursts.delete(bursts.keys().next().value!)
    }
    return isFirst(now())
  }
}

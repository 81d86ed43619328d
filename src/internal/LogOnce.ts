/** Tells the first of a burst from the rest. A burst goes on as long as one follows another within `quietMillis`. */
export const make = (quietMillis: number): (now: number) => boolean => {
  let last = Number.NEGATIVE_INFINITY
  return (now) => {
    const isFirst = now - last > quietMillis
    last = now
    return isFirst
  }
}

/** How many kinds are told apart at the most. */
const capacity = 100

/** Tells the first of each burst of a kind. */
export const makeByKey = (quietMillis: number, now: () => number): (kind: string) => boolean => {
  const bursts = new Map<string, ReturnType<typeof make>>()
  return (kind) => {
    const isFirst = bursts.get(kind) ?? make(quietMillis)
    // The one that is the longest without a sign comes first.
    bursts.delete(kind)
    bursts.set(kind, isFirst)
    if (bursts.size > capacity) {
      bursts.delete(bursts.keys().next().value!)
    }
    return isFirst(now())
  }
}

/** How many values fell into each bucket. */
export interface Histogram {
  /** The highest value that each bucket takes. One more bucket, for everything higher, follows. */
  readonly bounds: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
  /** The sum of the values in each bucket. */
  readonly sums: ReadonlyArray<number>
}

export const make = (bounds: ReadonlyArray<number>) => {
  const counts = new Array<number>(bounds.length + 1).fill(0)
  const sums = new Array<number>(bounds.length + 1).fill(0)
  return {
    /** Counts a value, `times` times. */
    add: (value: number, times = 1): void => {
      let bucket = 0
      while (bucket < bounds.length && value > bounds[bucket]!) {
        bucket++
      }
      counts[bucket]! += times
      sums[bucket]! += value * times
    },
    get: (): Histogram => ({ bounds, counts: [...counts], sums: [...sums] })
  }
}

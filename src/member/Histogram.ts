/**
 * Histogram.
 *
 * @category models
 */
export interface Histogram {
  /** Inclusive upper bound of each bucket. One more bucket, for all higher values, follows. */
  readonly bounds: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
  /** Sum of the values in each bucket. */
  readonly sums: ReadonlyArray<number>
}

export const make = (bounds: ReadonlyArray<number>) => {
  const counts = new Array<number>(bounds.length + 1).fill(0)
  const sums = new Array<number>(bounds.length + 1).fill(0)
  return {
    /** Adds a value `times` times. */
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

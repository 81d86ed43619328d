/**
 * How often each value has occurred: latencies in whole microseconds.
 */

/** Values in ascending order, each with the number of its occurrences. */
export type Histogram = ReadonlyArray<readonly [micros: number, count: number]>

/** Values of a second and more are counted as one second. */
const maxMicros = 1_000_000

/** A histogram in the making. */
export interface Recorder {
  readonly record: (micros: number) => void
  readonly histogram: () => Histogram
}

export const makeRecorder = (): Recorder => {
  const counts = new Uint32Array(maxMicros + 1)
  return {
    record: (micros) => {
      counts[Math.min(maxMicros, Math.round(micros))]!++
    },
    histogram: () => {
      const histogram: Array<readonly [number, number]> = []
      counts.forEach((count, micros) => count > 0 && histogram.push([micros, count]))
      return histogram
    }
  }
}

export const total = (histogram: Histogram): number => histogram.reduce((sum, [, count]) => sum + count, 0)

/** The value that a share of all values does not exceed. NaN without values. */
export const percentile = (histogram: Histogram, share: number): number => {
  const rank = share * total(histogram)
  let seen = 0
  return histogram.find(([, count]) => (seen += count) >= rank)?.[0] ?? NaN
}

export const merge = (histograms: ReadonlyArray<Histogram>): Histogram => {
  const counts = new Map<number, number>()
  for (const [micros, count] of histograms.flat()) {
    counts.set(micros, (counts.get(micros) ?? 0) + count)
  }
  return [...counts].sort(([a], [b]) => a - b)
}

const barWidth = 28

/** Latencies whose logarithms differ by up to half an octave share a line of the plot. */
const bucketOf = (micros: number): number => Math.floor(Math.log2(Math.max(1, micros)) * 2)

const showBound = (bucket: number): string => {
  const micros = 2 ** (bucket / 2)
  return micros < 1000 ? `${Math.round(micros)} us` : `${(micros / 1000).toPrecision(2)} ms`
}

const showPercent = (percent: number): string => `${percent < 10 ? percent.toPrecision(2) : percent.toFixed(0)} %`

const marks = [["p50", 0.5], ["p99", 0.99], ["p99.9", 0.999]] as const

/** One side of the plot: the text of a bucket. */
const side = (histogram: Histogram) => {
  const shares = new Map<number, number>()
  const all = total(histogram)
  for (const [micros, count] of histogram) {
    shares.set(bucketOf(micros), (shares.get(bucketOf(micros)) ?? 0) + count / all)
  }
  const largest = Math.max(...shares.values())
  return (bucket: number): string => {
    const share = shares.get(bucket) ?? 0
    const bar = share === 0 ? "" : "#".repeat(Math.round(share / largest * barWidth)) || "."
    const here = marks.filter(([, rank]) => bucketOf(percentile(histogram, rank)) === bucket).map(([name]) => name)
    const percent = share === 0 ? "" : showPercent(share * 100)
    return `${bar.padEnd(barWidth)} ${percent.padStart(8)} ${here.join(" ").padEnd(9)}`
  }
}

/** Lines of text that show two histograms side by side, with logarithmic buckets. */
export const plot = (
  project: Histogram,
  plain: Histogram
): ReadonlyArray<string> => {
  const buckets = [...project, ...plain].map(([micros]) => bucketOf(micros))
  if (buckets.length === 0) {
    return []
  }
  const first = buckets.reduce((a, b) => Math.min(a, b))
  const last = buckets.reduce((a, b) => Math.max(a, b))
  const [left, right] = [side(project), side(plain)]
  const line = (label: string, a: string, b: string) => `${label.padStart(12)}  ${a}  ${b}`.trimEnd()
  return [
    line("latency from", "this project".padEnd(barWidth + 19), "plain loop"),
    ...Array.from(
      { length: last - first + 1 },
      (_, i) => line(showBound(first + i), left(first + i), right(first + i))
    )
  ]
}

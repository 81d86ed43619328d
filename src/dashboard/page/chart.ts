/**
 * A chart of samples as geometry. The x axis is in seconds, the y axis in hundredths of the height.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import type { Sample } from "./traffic.ts"
import { windowSeconds } from "./traffic.ts"

type Key = Exclude<keyof Sample, "at">

export interface Series {
  readonly title: string
  readonly keys: ReadonlyArray<Key>
  /** The least value at the top of the y axis. */
  readonly least: number
  readonly write: (value: number | null) => string
}

/** A server became active. `at` is in seconds of this server's wall clock. */
export interface Mark {
  readonly at: number
  readonly role: Role
}

export interface Chart {
  readonly top: string
  readonly half: string
  readonly rules: ReadonlyArray<number>
  readonly marks: ReadonlyArray<{ readonly x: number; readonly role: Role }>
  readonly lines: ReadonlyArray<{ readonly key: Key; readonly path: string; readonly value: string }>
  /** The chart as text. */
  readonly label: string
}

/** A longer time between two samples is a gap in the line. */
const gapSeconds = 3.5

export const bottom = 97
const top = 6

const niceMax = (max: number): number => {
  const scale = 10 ** Math.floor(Math.log10(Math.max(max, 1e-9)))
  return [1, 2, 2.5, 5, 10].map((n) => n * scale).find((n) => n >= max) ?? max
}

const xOf = (at: number, now: number): number => Number((windowSeconds - Math.max(0, now - at)).toFixed(2))

const pathOf = (samples: ReadonlyArray<Sample>, key: Key, now: number, max: number): string =>
  samples.map((sample, i) => {
    const value = sample[key]
    if (value === null) {
      return ""
    }
    const before = samples[i - 1]
    const isJoined = before !== undefined && before[key] !== null && sample.at - before.at < gapSeconds
    return `${isJoined ? "L" : "M"}${xOf(sample.at, now)} ${(bottom - value / max * (bottom - top)).toFixed(2)}`
  }).join("")

export const chartOf = (
  { keys, least, title, write }: Series,
  samples: ReadonlyArray<Sample>,
  marks: ReadonlyArray<Mark>
): Chart => {
  const latest = samples.at(-1)
  const now = latest?.at ?? 0
  const valuesOf = (key: Key) => samples.map((sample) => sample[key]).filter((value) => value !== null)
  const max = niceMax(Math.max(least, ...keys.flatMap(valuesOf)))
  const wordsOf = (key: Key): string => {
    const values = valuesOf(key)
    return values.length === 0
      ? `${key}: none.`
      : `${key}: now ${write(latest?.[key] ?? null)}, lowest ${write(Math.min(...values))}, highest ${
        write(Math.max(...values))
      }.`
  }
  return {
    top: write(max),
    half: write(max / 2),
    rules: [bottom, (bottom + top) / 2, top],
    marks: marks.filter(({ at }) => at > now - windowSeconds).map(({ at, role }) => ({ x: xOf(at, now), role })),
    lines: keys.map((key) => ({
      key,
      path: pathOf(samples, key, now, max),
      value: write(latest?.[key] ?? null)
    })),
    label: `${title} of the last 3 minutes. ${keys.map(wordsOf).join(" ")}`
  }
}

/**
 * A chart of samples as geometry. The x axis is in seconds, the y axis in hundredths of the height.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import { span } from "./format.ts"
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

/** A text over the plot. `row` is 0 next to the plot. */
export interface Label {
  readonly x: number
  readonly row: number
  readonly text: string
  /** The server that became active; `undefined`: a value above the axis. */
  readonly role: Role | undefined
}

export interface Chart {
  readonly top: string
  readonly half: string
  readonly rules: ReadonlyArray<number>
  readonly marks: ReadonlyArray<{ readonly x: number; readonly role: Role }>
  readonly labels: ReadonlyArray<Label>
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

/** The share of the values that the axis always shows, and by how much the greatest may exceed them before it is cut off. */
const shown = { part: 0.95, factor: 4, least: 20 } as const

/**
 * The greatest value of the axis. A few values that are far above all others, as of the requests that waited for a failover, would
 * leave the rest a flat line: they are cut off, and the greatest of them becomes a label.
 */
const maxOf = (values: ReadonlyArray<number>, least: number): number => {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b)
  const usual = sorted[Math.ceil(shown.part * sorted.length) - 1] ?? 0
  const greatest = sorted.at(-1) ?? 0
  const isOutlier = sorted.length >= shown.least && greatest > shown.factor * Math.max(usual, least)
  return niceMax(Math.max(least, isOutlier ? usual : greatest))
}

/** The width of a label in seconds of the x axis, where the chart is narrow. */
const labelSeconds = 66
const rows = 2

/** Where a label begins and ends: it is to the left of its mark in the right half. */
const extentOf = ({ x }: Pick<Label, "x">): readonly [start: number, end: number] =>
  x > windowSeconds / 2 ? [x - labelSeconds, x] : [x, x + labelSeconds]

const overlap = (a: Pick<Label, "x">, b: Pick<Label, "x">): boolean => {
  const [aStart, aEnd] = extentOf(a)
  const [bStart, bEnd] = extentOf(b)
  return aStart < bEnd && bStart < aEnd
}

/** Gives each label the lowest row in which it does not overlap another. One without a place is left out. */
const placed = (labels: ReadonlyArray<Omit<Label, "row">>): ReadonlyArray<Label> => {
  const taken: Array<Label> = []
  for (const label of labels) {
    const row = Array.from({ length: rows }, (_, i) => i).find((i) =>
      taken.every((other) => other.row !== i || !overlap(other, label))
    )
    if (row !== undefined) {
      taken.push({ ...label, row })
    }
  }
  return taken
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
    return `${isJoined ? "L" : "M"}${xOf(sample.at, now)} ${
      (bottom - Math.min(1, value / max) * (bottom - top)).toFixed(2)
    }`
  }).join("")

export const chartOf = (
  { keys, least, title, write }: Series,
  samples: ReadonlyArray<Sample>,
  marks: ReadonlyArray<Mark>
): Chart => {
  const latest = samples.at(-1)
  const now = latest?.at ?? 0
  const valuesOf = (key: Key) => samples.map((sample) => sample[key]).filter((value) => value !== null)
  const max = maxOf(keys.flatMap(valuesOf), least)
  const recent = marks.filter(({ at }) => at > now - windowSeconds)
  const peak = samples.flatMap(({ at, ...values }) => keys.map((key) => ({ at, value: values[key] ?? 0 })))
    .reduce((a, b) => b.value > a.value ? b : a, { at: 0, value: 0 })
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
    marks: recent.map(({ at, role }) => ({ x: xOf(at, now), role })),
    labels: placed([
      ...peak.value > max ? [{ x: xOf(peak.at, now), text: `▲ ${write(peak.value)}`, role: undefined }] : [],
      ...recent.map(({ at, role }) => ({ x: xOf(at, now), text: `${role} active`, role }))
    ]),
    lines: keys.map((key) => ({
      key,
      path: pathOf(samples, key, now, max),
      value: write(latest?.[key] ?? null)
    })),
    label: [
      `${title} of the last 3 minutes.`,
      ...keys.map(wordsOf),
      ...recent.map(({ at, role }) => `The ${role} became active ${span((now - at) * 1000)} ago.`)
    ].join(" ")
  }
}

/**
 * Figures and their format. NaN is an absent figure.
 */
import type { Histogram } from "./histogram.ts"
import type { Name } from "./servers.ts"

/** The results of both sides, by round. */
export type Rounds<A> = { readonly [N in Name]: ReadonlyArray<A> }

/** One line of the table. */
export interface Row {
  readonly what: string
  readonly better: "larger" | "smaller"
  readonly project: number
  readonly plain: number
  readonly ratio: number
  /** The smallest and the largest ratio of a round. */
  readonly spread: readonly [number, number]
  readonly rounds: Rounds<number>
  /** The latencies of all rounds. */
  readonly distribution?: { readonly [N in Name]: Histogram }
}

/** The rows of each scenario that has run. */
export type Results = { readonly [scenario: string]: ReadonlyArray<Row> }

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2
}

export const sum = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0)

export const largest = (values: ReadonlyArray<number>): number => Math.max(...values)

/**
 * A row whose smaller figures are better. Its ratio is the median of the ratios of each round: a disturbance of the machine
 * affects both servers of a round, and is divided out.
 */
export const row = <A>(what: string, rounds: Rounds<A>, figure: (a: A) => number): Row => {
  const project = rounds.project.map(figure)
  const plain = rounds.plain.map(figure)
  const ratios = project.map((value, i) => value / (plain[i] ?? NaN))
  return {
    what,
    better: "smaller",
    project: median(project),
    plain: median(plain),
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
    rounds: { project, plain }
  }
}

/** A row whose larger figures are better. */
export const rateRow = <A>(what: string, rounds: Rounds<A>, rate: (a: A) => number): Row => ({
  ...row(what, rounds, rate),
  better: "larger"
})

/** A row without a plain side. */
export const lonelyRow = (what: string, project: ReadonlyArray<number>, pick = median): Row => ({
  what,
  better: "smaller",
  project: pick(project),
  plain: NaN,
  ratio: NaN,
  spread: [NaN, NaN],
  rounds: { project, plain: [] }
})

export const show = (value: number): string =>
  !Number.isFinite(value)
    ? "n/a"
    : value.toLocaleString("en", value < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 })

/** The ratio with its spread, if it has one. */
export const showRatio = ({ ratio, rounds, spread }: Row): string =>
  !Number.isFinite(ratio)
    ? "n/a"
    : rounds.project.length === 1
    ? ratio.toFixed(2)
    : `${ratio.toFixed(2)} (${spread[0].toFixed(2)}-${spread[1].toFixed(2)})`

const line = (what: string, project: string, plain: string, ratio: string): string =>
  `${what.padEnd(58)}${project.padStart(12)}  ${plain.padStart(12)}   ${ratio}`

export const tableHead = line("what", "this project", "plain loop", "ratio")

export const tableLine = (row: Row): string => line(row.what, show(row.project), show(row.plain), showRatio(row))

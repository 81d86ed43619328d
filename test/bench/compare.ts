/**
 * Compares a run with an earlier one.
 */
import { Either, ParseResult, Schema } from "effect"
import * as fs from "node:fs"
import type { Results, Row } from "./figures.ts"
import { show } from "./figures.ts"

// JSON has null for a figure that is absent.
const Figure = Schema.transform(Schema.NullOr(Schema.Number), Schema.Number, {
  strict: true,
  decode: (value) => value ?? NaN,
  encode: (value) => Number.isFinite(value) ? value : null
})

const EarlierRow = Schema.Struct({
  what: Schema.String,
  better: Schema.Literal("larger", "smaller"),
  project: Figure,
  plain: Figure,
  ratio: Figure,
  spread: Schema.Tuple(Figure, Figure),
  rounds: Schema.Struct({ project: Schema.Array(Figure), plain: Schema.Array(Figure) })
})

const Run = Schema.Struct({
  machine: Schema.Struct({ load: Schema.String, loadAverage: Schema.Number }),
  results: Schema.Record({ key: Schema.String, value: Schema.Array(EarlierRow) })
})

/** An earlier run. */
export type Run = typeof Run.Type

const decodeRun = (text: string): Run => {
  const run = Schema.decodeUnknownEither(Run)(JSON.parse(text))
  if (Either.isLeft(run)) {
    const { message, path } = ParseResult.ArrayFormatter.formatErrorSync(run.left)[0]!
    throw new Error(`${path.join(".")} ${message}`)
  }
  return run.right
}

/** Reads the output of `--json` to compare it with a run of these scenarios. Throws an error with a text for its user. */
export const readRun = (file: string, scenarios: ReadonlyArray<string>): Run => {
  try {
    const run = decodeRun(fs.readFileSync(file, "utf8"))
    if (!scenarios.some((name) => run.results[name])) {
      throw new Error(`contains only ${Object.keys(run.results).join(", ")}`)
    }
    return run
  } catch (error) {
    throw new Error(`--compare ${file}: not the output of --json of these scenarios (${(error as Error).message})`)
  }
}

/** A figure of two runs: the ratio to the plain side or, if there is none, the figure itself. */
export interface Change {
  readonly scenario: string
  readonly what: string
  readonly earlier: number
  readonly now: number
  /** Now divided by earlier. */
  readonly factor: number
  /** Whether the best round of this run is worse than the worst one of the earlier run, by more than the tolerance. */
  readonly isWorse: boolean
}

/** Smaller differences between two runs are no reason to act. */
const tolerance = 0.05

const figureOf = (row: Row, isRatio: boolean) => ({
  value: isRatio ? row.ratio : row.project,
  rounds: isRatio ? row.spread : row.rounds.project
})

const change = (scenario: string, earlierRow: Row, row: Row): Change => {
  const isRatio = Number.isFinite(earlierRow.ratio) && Number.isFinite(row.ratio)
  const [earlier, now] = [figureOf(earlierRow, isRatio), figureOf(row, isRatio)]
  // A single round has no spread.
  const isKnown = Math.min(earlierRow.rounds.project.length, row.rounds.project.length) > 1
  return {
    scenario,
    what: row.what,
    earlier: earlier.value,
    now: now.value,
    factor: now.value / earlier.value,
    isWorse: isKnown && (row.better === "larger"
      ? Math.max(...now.rounds) < Math.min(...earlier.rounds) * (1 - tolerance)
      : Math.min(...now.rounds) > Math.max(...earlier.rounds) * (1 + tolerance))
  }
}

/** Compares the figures that both runs have. */
export const compare = (earlier: Results, now: Results): ReadonlyArray<Change> =>
  Object.entries(now).flatMap(([scenario, rows]) =>
    rows.flatMap((row) => {
      const earlierRow = earlier[scenario]?.find(({ what }) => what === row.what)
      return earlierRow === undefined ? [] : [change(scenario, earlierRow, row)]
    })
  )

const line = (what: string, earlier: string, now: string, change: string, mark: string) =>
  `${what.padEnd(58)}${earlier.padStart(12)}  ${now.padStart(12)}  ${change.padStart(9)}  ${mark}`.trimEnd()

const showFactor = (factor: number): string => {
  const percent = Math.round((factor - 1) * 100)
  return Number.isFinite(percent) ? `${percent < 0 ? "" : "+"}${percent} %` : "n/a"
}

/** The table of a comparison. */
export const changeLines = ({ machine }: Run, changes: ReadonlyArray<Change>): ReadonlyArray<string> => [
  "",
  `earlier run: load: ${machine.load}; load average ${machine.loadAverage} before`,
  "",
  line("ratio to the plain side, or figure without one", "earlier", "now", "change", ""),
  ...changes.flatMap(({ earlier, factor, isWorse, now, scenario, what }, i) => [
    ...(scenario === changes[i - 1]?.scenario ? [] : ["", scenario]),
    line(what, show(earlier), show(now), showFactor(factor), isWorse ? "WORSE" : "")
  ])
]

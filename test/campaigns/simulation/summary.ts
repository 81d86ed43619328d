/** The sum of many runs. */
import type { Regime, Report } from "../../../src/verify/simulation/Report.ts"

export const regimes: ReadonlyArray<Regime> = ["bounded", "wild"]

export interface Totals {
  runs: number
  answers: number
  takeOvers: number
  faults: number
  /** Runs in which two answered where that is unavoidable. */
  dualRuns: number
  dualAnswers: number
  /** The longest time after the faults in which two answered, in milliseconds. */
  longestAfterWhole: number
}

export interface Summary {
  readonly totals: { readonly [R in Regime]: Totals }
  readonly violating: ReadonlyArray<Report>
  readonly runs: number
  readonly add: (report: Report) => void
}

const zero = (): Totals => ({
  runs: 0,
  answers: 0,
  takeOvers: 0,
  faults: 0,
  dualRuns: 0,
  dualAnswers: 0,
  longestAfterWhole: 0
})

export const makeSummary = (): Summary => {
  const totals = { bounded: zero(), wild: zero() }
  const violating: Array<Report> = []
  return {
    totals,
    violating,
    get runs() {
      return totals.bounded.runs + totals.wild.runs
    },
    add: (report) => {
      const total = totals[report.regime]
      total.runs++
      total.answers += report.answers
      total.takeOvers += report.takeOvers
      total.faults += report.faults
      total.dualRuns += report.dual.count > 0 ? 1 : 0
      total.dualAnswers += report.dual.count
      total.longestAfterWhole = Math.max(total.longestAfterWhole, report.dual.afterWholeMillis)
      if (report.violations.length > 0) {
        violating.push(report)
      }
    }
  }
}

const rows: ReadonlyArray<readonly [string, (totals: Totals, summary: Summary, regime: Regime) => number]> = [
  ["runs", ({ runs }) => runs],
  ["faults", ({ faults }) => faults],
  ["take-overs", ({ takeOvers }) => takeOvers],
  ["answers", ({ answers }) => answers],
  [
    "runs with a violated property",
    (_, { violating }, regime) => violating.filter((report) => report.regime === regime).length
  ],
  ["runs in which two answered where that is unavoidable", ({ dualRuns }) => dualRuns],
  ["answers there", ({ dualAnswers }) => dualAnswers],
  ["ms until the last of them after the faults", ({ longestAfterWhole }) => Math.ceil(longestAfterWhole)]
]

/** The number of runs with a violation that are listed. */
const listedRuns = 10

export const table = (
  summary: Summary,
  { policy, seconds, seed, workers }: {
    readonly policy: string
    readonly seed: number
    readonly seconds: number
    readonly workers: number
  }
): string => {
  const chosen = regimes.filter((regime) => summary.totals[regime].runs > 0)
  return [
    `${policy}, seeds from ${seed}: ${summary.runs} runs in ${seconds.toFixed(1)} s with ${workers} workers, ${
      (summary.runs / seconds).toFixed(1)
    } a second`,
    `${"".padEnd(54)}${chosen.map((regime) => regime.padStart(12)).join("")}`,
    ...rows.map(([what, figure]) =>
      `${what.padEnd(54)}${
        chosen.map((regime) => figure(summary.totals[regime], summary, regime).toLocaleString("en").padStart(12)).join(
          ""
        )
      }`
    ),
    ...summary.violating.slice(0, listedRuns).map(({ regime, seed, violations: [first] }) =>
      `${regime}, seed ${seed}: ${first!.property} at ${first!.at} ms, ${
        first!.detail
      } (--seed ${seed} --regime ${regime} --trace)`
    )
  ].join("\n")
}

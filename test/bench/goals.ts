/**
 * The goals of this project's speed.
 */
import type { Results } from "./figures.ts"
import { show, showRatio } from "./figures.ts"
import type { Options } from "./scenarios/turns.ts"

type Column = "ratio" | "project"

export interface Goal {
  readonly what: string
  readonly limit: { readonly atLeast: number } | { readonly atMost: number }
  /** The figure: the ratio, or the column of this project, of a row of a scenario. Absent if no scenario measures it. */
  readonly figure?: { readonly scenario: string; readonly row: string; readonly column: Column }
  /** The command that measures it. */
  readonly command: string
}

const goal = (
  what: string,
  limit: Goal["limit"],
  [scenario, row, column]: readonly [scenario: string, row: string, column: Column],
  args = scenario
): Goal => ({ what, limit, figure: { scenario, row, column }, command: `npm run bench -- ${args}` })

/** The goals for the loss of the active server by a signal, in milliseconds until the next answer. */
const lost = (signal: NodeJS.Signals, { median, p99 }: { readonly median: number; readonly p99: number }) =>
  [["wait for an answer, median, ms", median] as const, ["the same, p99, ms", p99] as const].map(([row, limit]) =>
    goal(
      `${signal} of the active: ${row}`,
      { atMost: limit },
      ["failover", `${signal}: ${row}`, "project"],
      "failover --rounds 200"
    )
  )

/** The goals. Those of `throughput` and `latency` are what has been reached and must not be lost. */
export const goals: ReadonlyArray<Goal> = [
  goal("requests a second / plain loop", { atLeast: 1.5 }, ["throughput", "requests a second", "ratio"]),
  goal("latency p50 / plain loop", { atMost: 1.1 }, ["latency", "latency p50, us", "ratio"]),
  goal("latency p99 / plain loop", { atMost: 1.2 }, ["latency", "latency p99, us", "ratio"]),
  goal("handler is an Effect: requests a second / plain loop", { atLeast: 1.2 }, [
    "effects",
    "requests a second",
    "ratio"
  ]),
  goal("proxy, 4 workers: requests a second / plain loop", { atLeast: 1.5 }, ["proxy", "requests a second", "ratio"]),
  goal("client, 100 at a time: requests a second / DEALER", { atLeast: 0.8 }, [
    "client",
    "requests a second, 100 at a time",
    "ratio"
  ]),
  goal("client, one at a time: p50 / DEALER", { atMost: 1.2 }, ["client", "one request at a time, p50, us", "ratio"]),
  goal("RPC, 64 at a time: calls a second / TCP", { atLeast: 1.15 }, ["rpc", "calls a second, 64 at a time", "ratio"]),
  goal("RPC, one at a time: p50 / TCP", { atMost: 1.3 }, ["rpc", "one call at a time, p50, us", "ratio"]),
  goal("start of bstar -p until its port is open, ms", { atMost: 150 }, [
    "startup",
    "from start to open port, ms",
    "project"
  ]),
  goal("collections of more than 2 ms, a million requests", { atMost: 0 }, [
    "pauses",
    "  of more than 2 ms",
    "project"
  ]),
  goal("first 2 s after a takeover: p99 / warm", { atMost: 1.5 }, ["coldTakeover", "latency p99, us", "ratio"]),
  goal("one greedy client: the others' p99 / quiet", { atMost: 2.5 }, ["abuse", "  factor", "project"]),
  goal("one greedy client: the same / plain loop", { atMost: 1 }, ["abuse", "  factor", "ratio"]),
  goal(
    "memory after 10 million requests, MiB",
    { atMost: 100 },
    ["memory", "RSS after 10,000,000 requests, MiB", "project"],
    "memory --requests 10000000"
  ),
  ...lost("SIGKILL", { median: 10, p99: 30 }),
  ...lost("SIGTERM", { median: 8, p99: 25 })
]

/** The scenarios of `--quick`, and its options: they fit into one minute. */
export const quickScenarios = ["throughput", "latency", "effects", "proxy", "client", "rpc", "startup", "pauses"]

export const quickOptions: Options = { rounds: 4, seconds: 0.25, warmUpSeconds: 0.5, requests: 1_000_000 }

/** A goal and whether a run has met it. */
export interface Verdict extends Goal {
  readonly verdict: "met" | "missed" | "not measured here"
  readonly value: number
  /** The value with its spread, for people. */
  readonly measured: string
}

const isWithin = (limit: Goal["limit"], value: number): boolean =>
  "atLeast" in limit ? value >= limit.atLeast : value <= limit.atMost

/** Compares a run with the goals. */
export const judge = (results: Results): ReadonlyArray<Verdict> =>
  goals.map((goal) => {
    const { figure } = goal
    const row = figure && results[figure.scenario]?.find(({ what }) => what === figure.row)
    const value = figure && row ? row[figure.column] : NaN
    return row === undefined || !Number.isFinite(value)
      ? { ...goal, verdict: "not measured here", value, measured: "" }
      : {
        ...goal,
        verdict: isWithin(goal.limit, value) ? "met" : "missed",
        value,
        measured: figure?.column === "ratio" ? showRatio(row) : show(value)
      }
  })

const line = (what: string, measured: string, limit: string, verdict: string) =>
  `${what.padEnd(56)}${measured.padEnd(19)}${limit.padEnd(16)}${verdict}`

/** The table of the goals. */
export const verdictLines = (verdicts: ReadonlyArray<Verdict>): ReadonlyArray<string> => [
  "",
  line("goal", "measured", "limit", "verdict"),
  ...verdicts.map(({ command, limit, measured, verdict, what }) =>
    line(
      what,
      measured,
      "atLeast" in limit ? `at least ${limit.atLeast}` : `at most ${limit.atMost}`,
      verdict === "not measured here" ? `${verdict} (${command})` : verdict
    )
  )
]

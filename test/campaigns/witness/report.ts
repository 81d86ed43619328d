/**
 * Reports of rounds and measurements.
 */
import * as os from "node:os"
import { median } from "../../bench/figures.ts"
import { percentile } from "../chaos/history.ts"
import type { Options, Round } from "./campaign.ts"
import { describe, mostGapMillis } from "./campaign.ts"
import type * as Commands from "./commands.ts"
import { kinds } from "./disturbances.ts"
import type { Measured, MeasureOptions } from "./measurements.ts"

const strikesOf = ({ strikes }: Pick<Round, "strikes">): string => strikes.map(describe).join(" + ")

type Reported = Pick<Round, "number" | "strikes" | "timeline"> & {
  readonly findings: ReadonlyArray<Omit<Round["findings"][number], "what" | "round"> & { readonly what: string }>
}

export const progress = ({ rounds }: { readonly rounds: number }, done: ReadonlyArray<Reported>): string => {
  const round = done.at(-1)!
  const findings = done.reduce((sum, { findings }) => sum + findings.length, 0)
  return `round ${round.number} (${strikesOf(round)}), ${done.length} of ${rounds}, ${findings} findings\n`
}

/** The findings of a round, and its events. */
export const formatFindings = ({ seed }: { readonly seed: number }, round: Reported): string =>
  round.findings.length === 0
    ? ""
    : [
      `\nseed ${seed}, round ${round.number} (${strikesOf(round)}):`,
      ...round.findings.map(({ details, isFault, what }) => `  ${what}${isFault ? "" : " (no fault)"}: ${details}`),
      ...round.timeline.map((line) => `    ${line}`),
      ""
    ].join("\n")

export interface Ranks {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export const ranks = (values: ReadonlyArray<number>): Ranks => ({
  count: values.length,
  p50: median(values),
  p99: percentile(values, 0.99),
  max: percentile(values, 1)
})

export const machine = () => ({ cpus: os.cpus().length, node: process.version, loadAverage: os.loadavg()[0]! })

const count = (rounds: ReadonlyArray<Reported>, what: string): number =>
  rounds.filter(({ findings }) => findings.some((finding) => finding.what === what)).length

const strikesOfKinds = (rounds: ReadonlyArray<Reported>): { readonly [kind: string]: number } =>
  Object.fromEntries(kinds.flatMap((kind) => {
    const number = rounds.flatMap(({ strikes }) => strikes).filter((strike) => strike.kind === kind).length
    return number === 0 ? [] : [[kind, number]]
  }))

const header = (options: Commands.Options, rounds: ReadonlyArray<Reported>): ReadonlyArray<string> => [
  `witness ${options.engine}, heartbeat ${options.heartbeatMillis} ms, seed ${options.seed}, ${rounds.length} rounds ` +
  `from ${options.from}`,
  `disturbances: ${Object.entries(strikesOfKinds(rounds)).map(([kind, number]) => `${kind} ${number}`).join(", ")}`,
  ""
]

const summary = (options: Options, rounds: ReadonlyArray<Round>) => ({
  twoAnswering: {
    rounds: count(rounds, "two answering"),
    longestMillis: Math.max(0, ...rounds.flatMap(({ duals }) => duals.map(({ from, to }) => to - from)))
  },
  noneAnswering: {
    rounds: count(rounds, "none answering"),
    faults: rounds.filter(({ findings }) => findings.some(({ isFault, what }) => isFault && what === "none answering"))
      .length,
    mostMillis: mostGapMillis(options.heartbeatMillis),
    longestMillis: Math.max(0, ...rounds.map(({ gap }) => gap.millis))
  },
  lostRequests: rounds.flatMap(({ findings }) => findings).filter(({ what }) => what === "lost request").length,
  unexpectedExits: count(rounds, "unexpected exit"),
  notWholeAgain: count(rounds, "not whole again"),
  answers: rounds.reduce((sum, { answers }) => sum + answers, 0),
  requests: rounds.reduce((sum, { requests }) => sum + requests, 0),
  strikes: strikesOfKinds(rounds),
  failovers: kinds.flatMap((kind) => {
    const millis = rounds.flatMap(({ failover }) => failover?.kind === kind ? [failover.millis] : [])
    return millis.length === 0 ? [] : [{ kind, ...ranks(millis) }]
  })
})

export const json = (options: Options, rounds: ReadonlyArray<Round>): string =>
  JSON.stringify({ options, machine: machine(), ...summary(options, rounds), rounds })

export const millis = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)}`.padStart(7)

export const text = (options: Options, rounds: ReadonlyArray<Round>): string => {
  const { failovers, noneAnswering, twoAnswering, ...rest } = summary(options, rounds)
  return [
    ...header(options, rounds),
    `two answering: ${twoAnswering.rounds} rounds, the longest ${twoAnswering.longestMillis.toFixed(0)} ms`,
    `none answering over ${noneAnswering.mostMillis} ms while two of the three could talk: ${noneAnswering.rounds} rounds, ` +
    `of which ${noneAnswering.faults} on a machine that was not overloaded; the longest ${
      noneAnswering.longestMillis.toFixed(0)
    } ms`,
    `answers to observers: ${rest.answers}; requests of users: ${rest.requests}, lost ${rest.lostRequests}`,
    `unexpected exits: ${rest.unexpectedExits}; not whole again: ${rest.notWholeAgain}`,
    "",
    `${"milliseconds to the next answer".padEnd(40)} count     p50     p99     max`,
    ...failovers.map(({ count, kind, max, p50, p99 }) =>
      `${`${kind} active`.padEnd(40)} ${String(count).padStart(5)} ${[p50, p99, max].map(millis).join(" ")}`
    )
  ].join("\n")
}

export const jsonOfCommands = (options: Commands.Options, rounds: ReadonlyArray<Commands.Round>): string =>
  JSON.stringify({ options, machine: machine(), rounds })

export const textOfCommands = (options: Commands.Options, rounds: ReadonlyArray<Commands.Round>): string => {
  const row = (label: string, values: ReadonlyArray<number>) => {
    const { count, max, p50, p99 } = ranks(values)
    return `${label.padEnd(40)} ${String(count).padStart(5)} ${[p50, p99, max].map(millis).join(" ")}`
  }
  const between = rounds.flatMap(({ gaps }) => gaps)
  return [
    ...header(options, rounds),
    `two commands at once: ${count(rounds, "two commands")} rounds; no command again: ${
      count(rounds, "no command")
    }; ` +
    `unexpected exits: ${count(rounds, "unexpected exit")}; not whole again: ${count(rounds, "not whole again")}`,
    "",
    `${"milliseconds".padEnd(40)} count     p50     p99     max`,
    ...between.length === 0 ? [] : [row("no command ran", between)],
    row("until whole, and a command runs", rounds.map(({ recoveryMillis }) => recoveryMillis))
  ].join("\n")
}

/** The table of a measurement, in milliseconds unless a line names another unit. */
export const textOfMeasured = (options: MeasureOptions, lines: ReadonlyArray<Measured>): string =>
  [
    `witness ${options.engine}, heartbeat ${options.heartbeatMillis} ms, ${options.rounds} rounds`,
    "",
    `${"milliseconds".padEnd(60)} count     p50     p99     max`,
    ...lines.flatMap(({ ranks: { count, max, p50, p99 }, remark, what }) => [
      `${what.padEnd(60)} ${String(count).padStart(5)} ${[p50, p99, max].map(millis).join(" ")}`,
      ...remark === "" ? [] : [`    ${remark}`]
    ])
  ].join("\n")

/**
 * Reports of rounds.
 */
import * as os from "node:os"
import { median } from "../../bench/figures.ts"
import type { Options, Round } from "./campaign.ts"
import type * as Commands from "./commands.ts"
import type * as First from "./firstHeartbeats.ts"
import { histogram, percentile } from "./history.ts"

const wide = 78

/** A progress line. It replaces the one before on a terminal. */
export const progress = ({ rounds }: Options, done: ReadonlyArray<Round>): string => {
  const { kind, number, target } = done.at(-1)!
  const findings = sum(done, (round) => round.findings.length)
  const line = `round ${number} (${kind} ${target}), ${done.length} of ${rounds}, ${findings} findings`
  return process.stderr.isTTY ? `\r${line.padEnd(wide)}${done.length === rounds ? "\n" : ""}` : `${line}\n`
}

/** The findings of a round, and its events. */
export const formatFindings = ({ seed }: Options, { findings, kind, number, target, timeline }: Round): string =>
  findings.length === 0
    ? ""
    : [
      `\nseed ${seed}, round ${number} (${kind} ${target}):`,
      ...findings.map(({ details, isFault, what }) => `  ${what}${isFault ? "" : " (no fault)"}: ${details}`),
      ...timeline.map((line) => `    ${line}`),
      ""
    ].join("\n")

const sum = <A>(all: ReadonlyArray<A>, value: (a: A) => number): number => all.reduce((s, a) => s + value(a), 0)

interface Figures {
  readonly label: string
  readonly values: ReadonlyArray<number>
}

/** Figures of rounds by disturbance, of those rounds that have one. */
const grouped = (
  rounds: ReadonlyArray<Round>,
  what: string,
  figure: (round: Round) => number | undefined
): ReadonlyArray<Figures> => {
  const groups = new Map<string, Array<number>>()
  for (const round of rounds) {
    const value = figure(round)
    if (value !== undefined) {
      const label = `${round.kind} ${round.target}: ${what}`
      groups.set(label, [...groups.get(label) ?? [], value])
    }
  }
  return [...groups].map(([label, values]) => ({ label, values }))
}

/** From the signal to the next answer. A stop that ended before the peer took over is not a failover. */
const failovers = (rounds: ReadonlyArray<Round>): ReadonlyArray<Figures> =>
  [
    ...grouped(rounds, "signal to answer", ({ failover }) => failover?.by === "other" ? failover.millis : undefined),
    ...grouped(
      rounds,
      "signal to answer of the victim",
      ({ failover }) => failover?.by === "victim" ? failover.millis : undefined
    )
  ].sort((a, b) => a.label < b.label ? -1 : 1)

const steps = (rounds: ReadonlyArray<Round>): ReadonlyArray<Figures> =>
  [
    ...grouped(rounds, "to noticed", ({ noticedMillis }) => noticedMillis),
    ...grouped(rounds, "to taken over", ({ tookOverMillis }) => tookOverMillis)
  ].filter(({ label }) => / active/.test(label))

const ranks = ({ values }: Figures) => ({
  count: values.length,
  p50: median(values),
  p90: percentile(values, 0.9),
  p99: percentile(values, 0.99),
  max: percentile(values, 1)
})

const counts = (rounds: ReadonlyArray<Round>) => {
  const duals = rounds.flatMap((round) => round.duals)
  const gaps = rounds.flatMap(({ longestGapMillis }) => longestGapMillis ?? [])
  return {
    dualAnswers: {
      intervals: duals.length,
      rounds: rounds.filter((round) => round.duals.length > 0).length,
      longestMillis: duals.reduce((most, { from, to }) => Math.max(most, to - from), 0)
    },
    outages: {
      count: sum(rounds, ({ findings }) => findings.filter(({ what }) => what === "outage").length),
      judgedRounds: gaps.length,
      longestMillis: Math.max(0, ...gaps)
    },
    requests: sum(rounds, (round) => round.requests),
    lost: sum(rounds, (round) => round.failed),
    resent: sum(rounds, (round) => round.resent),
    executedAgain: sum(rounds, (round) => round.executedAgain),
    slowestMillis: rounds.reduce((most, round) => Math.max(most, round.slowestMillis), 0),
    unexpectedExits: sum(rounds, ({ findings }) => findings.filter(({ what }) => what === "unexpected exit").length),
    notWhole: sum(rounds, ({ findings }) => findings.filter(({ what }) => what === "not whole again").length)
  }
}

const machine = () => ({ cpus: os.cpus().length, node: process.version, loadAverage: os.loadavg()[0]! })

export const json = (options: Options, rounds: ReadonlyArray<Round>): string =>
  JSON.stringify({
    options,
    machine: machine(),
    ...counts(rounds),
    failovers: [...failovers(rounds), ...steps(rounds)].map((figures) => ({ ...figures, ...ranks(figures) })),
    recovery: ranks({ label: "recovery", values: rounds.map((round) => round.recoveryMillis) }),
    findings: rounds.flatMap(({ findings }) => findings),
    rounds
  })

const header = `${"milliseconds".padEnd(40)} count ${
  ["p50", "p90", "p99", "max"].map((name) => name.padStart(7)).join(" ")
}`

const millis = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)}`.padStart(7)

const row = (label: string, figures: Figures): string => {
  const { count, max, p50, p90, p99 } = ranks(figures)
  return `${label.padEnd(40)} ${String(count).padStart(5)} ${[p50, p90, p99, max].map(millis).join(" ")}`
}

/** The link between the servers. */
const conditions = ({ delays, keys, link }: Pick<Options, "delays" | "keys" | "link">): string =>
  `${delays === undefined ? "" : `, one-way delay ${delays.join(" to ")} heartbeats (${link})`}${
    keys === "off" ? "" : keys === "on" ? ", with keys" : ", the second half with keys"
  }`

export const text = (options: Options, rounds: ReadonlyArray<Round>): string => {
  const { dualAnswers, executedAgain, lost, notWhole, outages, requests, resent, slowestMillis, unexpectedExits } =
    counts(
      rounds
    )
  const groups = failovers(rounds)
  const findings = rounds.flatMap((round) => round.findings)
  return [
    `${options.policy}, heartbeat ${options.heartbeatMillis} ms, seed ${options.seed}, ${rounds.length} rounds from ` +
    `${options.from}, ${options.users} users, observers ${options.observers ? "on" : "off"}${conditions(options)}`,
    "",
    `dual answers: ${dualAnswers.intervals} times in ${dualAnswers.rounds} rounds, ` +
    `the longest ${Math.round(dualAnswers.longestMillis)} ms`,
    `outages over three heartbeats: ${outages.count} in ${outages.judgedRounds} rounds in which one server had to answer, ` +
    `the longest time without an answer ${Math.round(outages.longestMillis)} ms`,
    `requests: ${requests}, lost ${lost}, sent more than once ${resent}, executed more than once ` +
    `${executedAgain}, the slowest ${Math.round(slowestMillis)} ms`,
    `unexpected exits: ${unexpectedExits}`,
    `pairs that were not whole again: ${notWhole}`,
    "",
    header,
    ...groups.map((figures) => row(figures.label, figures)),
    ...steps(rounds).map((figures) => row(`  ${figures.label}`, figures)),
    ...grouped(rounds, "longest without answer", ({ longestGapMillis }) => longestGapMillis).map((figures) =>
      row(figures.label, figures)
    ),
    row("whole again", { label: "", values: rounds.map((round) => round.recoveryMillis) }),
    ...groups.flatMap((figures) => [
      "",
      `${figures.label}, milliseconds`,
      ...histogram(figures.values).map((line) => `  ${line}`)
    ]),
    ...findings.length === 0 ? [] : ["", "findings"],
    ...findings.map(({ details, isFault, round, what }) =>
      `  seed ${options.seed}, round ${round}: ${what}${isFault ? "" : " (no fault)"}: ${details}`
    )
  ].join("\n")
}

/** A round in which the primary was killed in its first heartbeats. */
export const formatFirst = (
  { seed }: First.Options,
  { answeredMillis, isInTime, killedAfterMillis, number }: First.Round
) =>
  `seed ${seed}, round ${number}: killed ${killedAfterMillis.toFixed(0)} ms after it became active, ` +
  `${answeredMillis === undefined ? "no answer" : `an answer ${answeredMillis.toFixed(0)} ms later`}` +
  `${isInTime ? "" : ", NOT within three heartbeats"}\n`

export const textOfFirst = (options: First.Options, rounds: ReadonlyArray<First.Round>): string => {
  const figures = { label: "kill to answer", values: rounds.flatMap(({ answeredMillis }) => answeredMillis ?? []) }
  const inTime = rounds.filter(({ isInTime }) => isInTime).length
  return [
    `kill -9 in the first two heartbeats, heartbeat ${options.heartbeatMillis} ms, seed ${options.seed}, ` +
    `${rounds.length} rounds from ${options.from}`,
    "",
    header,
    row(figures.label, figures),
    "",
    `answered within three heartbeats: ${inTime} of ${rounds.length}`,
    ...rounds.filter(({ isInTime }) => !isInTime).map((round) => `  ${formatFirst(options, round).trim()}`)
  ].join("\n")
}

/** A round with a command, and the log lines of the servers if it has a fault. */
export const formatCommands = (
  { seed }: Commands.Options,
  { faults, gaps, kind, lines, number, target }: Commands.Round
): string =>
  [
    `round ${number} (${kind} ${target}): no command ran for ${
      gaps.map((gap) => Math.round(gap)).join(" and ") || "0"
    } ms`,
    ...faults.map((fault) => `  seed ${seed}: ${fault}`),
    ...lines.map(({ at, incarnation, role, text }) => `    ${at.toFixed(1)}  ${role}#${incarnation} log: ${text}`),
    ""
  ].join("\n")

export const textOfCommands = (options: Commands.Options, rounds: ReadonlyArray<Commands.Round>): string => {
  const groups = new Map<string, Array<number>>()
  for (const { gaps, kind, target } of rounds) {
    const label = `${kind} ${target}: no command ran`
    groups.set(label, [...groups.get(label) ?? [], ...gaps])
  }
  const faults = rounds.flatMap(({ faults, number }) => faults.map((fault) => `  round ${number}: ${fault}`))
  return [
    `commands, heartbeat ${options.heartbeatMillis} ms, seed ${options.seed}, ${rounds.length} rounds from ${options.from}` +
    conditions(options),
    "",
    header,
    ...[...groups].sort().flatMap(([label, values]) => values.length === 0 ? [] : [row(label, { label, values })]),
    "",
    faults.length === 0 ? "no faults: there were never two commands at once" : "faults",
    ...faults
  ].join("\n")
}

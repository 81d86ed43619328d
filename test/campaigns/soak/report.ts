/**
 * The report of a soak.
 */
import type { Role } from "../../support/processes.ts"
import { roles } from "../../support/processes.ts"
import type { Options, Result, Sample, Usage } from "./soak.ts"
import { plot, trendOf } from "./trend.ts"

const cell = (value: number): string =>
  (Number.isFinite(value) ? value < 10 ? value.toFixed(1) : String(Math.round(value)) : "-").padStart(8)

const head = [
  "  second",
  "answers",
  "p50 ms",
  "p99 ms",
  "slowest",
  ...["primary", "backup"].flatMap((
    role
  ) => [`${role[0]} MiB`, `${role[0]} live`, `${role[0]} files`, `${role[0]} fibers`])
].map((name) => name.padStart(8)).join(" ")

const of = (role: Role, figure: keyof Usage) => ({ servers }: Sample): number => servers[role][figure]

export const row = (sample: Sample): string =>
  [
    sample.seconds,
    sample.answers,
    sample.p50,
    sample.p99,
    sample.slowest,
    ...roles.flatMap((role) =>
      (["memory", "live", "files", "fibers"] as const).map((figure) => sample.servers[role][figure])
    )
  ].map(cell).join(" ")

/** The number of rows of the table. */
const rows = 20

/** The share of samples at the beginning that are not judged: a process grows until it is warm. */
const warmUp = 0.2

/** The trend of the primary, which is one process throughout the run. */
const trendOfPrimary = (samples: ReadonlyArray<Sample>, figure: keyof Usage) =>
  trendOf(
    samples.slice(Math.floor(samples.length * warmUp))
      .map((sample) => [sample.seconds / 3600, sample.servers.primary[figure]] as const)
      .filter(([, value]) => Number.isFinite(value))
  )

const formatTrend = (name: string, samples: ReadonlyArray<Sample>, figure: keyof Usage): string => {
  const { margin, slope } = trendOfPrimary(samples, figure)
  const verdict = Math.abs(slope) <= margin ? "not distinguishable from 0" : slope > 0 ? "it grows" : "it shrinks"
  return `${name}: ${slope.toFixed(1)} +- ${margin.toFixed(1)} an hour: ${verdict}`
}

export const isFaulty = ({ exits, isWhole, lost, wrong }: Result): boolean =>
  wrong.length + lost.length + exits.length > 0 || !isWhole

export const text = (options: Options, result: Result): string => {
  const { answers, attacks, disturbances, exits, isWhole, lost, samples, wrong } = result
  const step = Math.max(1, Math.floor(samples.length / rows))
  const plots: ReadonlyArray<readonly [string, (sample: Sample) => number]> = [
    ["p99", ({ p99 }) => p99],
    ["answers", ({ answers }) => answers],
    ...roles.flatMap((role) =>
      [
        [`${role} MiB`, of(role, "memory")],
        [`${role} live`, of(role, "live")],
        [`${role} files`, of(role, "files")],
        [`${role} fibers`, of(role, "fibers")]
      ] as const
    )
  ]
  return [
    `soak of ${options.minutes} minutes, seed ${options.seed}, ${options.users} users`,
    `${answers} right answers, ${wrong.length} wrong ones, ${lost.length} requests lost, ` +
    `${exits.length} unexpected exits; the pair is ${isWhole ? "" : "not "}whole at the end`,
    `${attacks} attacks; ${Object.entries(disturbances).map(([kind, count]) => `${kind}: ${count}`).join(", ")}`,
    "",
    head,
    ...samples.filter((_, i) => i % step === 0 || i === samples.length - 1).map(row),
    "",
    ...plots.map(([name, figure]) => {
      const figures = samples.map(figure)
      const known = figures.filter(Number.isFinite)
      return `${name.padEnd(15)} ${plot(figures)} ${cell(Math.min(...known)).trim()} to ${
        cell(Math.max(...known)).trim()
      }`
    }),
    "",
    "primary, without the first fifth: slope of a straight line, with its margin at 95 %:",
    `  ${formatTrend("MiB", samples, "memory")}`,
    `  ${formatTrend("live MiB", samples, "live")}`,
    `  ${formatTrend("files", samples, "files")}`,
    `  ${formatTrend("fibers", samples, "fibers")}`,
    ...[...wrong, ...lost].slice(0, 20).map((fault) => `  ${fault}`),
    ...exits.map(({ how, role, stderr }) => `  ${role} has ended: ${how} ${stderr}`)
  ].join("\n")
}

/**
 * `bstar status`: how both servers of a pair are, once or again and again.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Terminal from "@effect/platform/Terminal"
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import { examine, type Finding, namesOf, type Observation, type Seen } from "../../status/Doctor.ts"
import { type Health, judge, type Level } from "../../status/Health.ts"
import { EndedWith, layerHttp, paintOf, serversOf } from "../operator.ts"
import { Output } from "../output.ts"
import { type colors, columns, count, type Paint, printable, printableJson, span } from "../text.ts"

const exitCodes: { readonly [L in Level]: number } = { healthy: 0, degraded: 1, "no active": 2, "two actives": 3 }

const colorOf: { readonly [L in Level]: keyof typeof colors } = {
  healthy: "green",
  degraded: "yellow",
  "no active": "red",
  "two actives": "red"
}

export const run = (
  parsed: Values<"status"> & { readonly interval: Option.Option<string> }
): Effect.Effect<
  void,
  ConfigError.ConfigError | EndedWith | InvalidConfig,
  FileSystem.FileSystem | Output | Terminal.Terminal
> =>
  Effect.gen(function*() {
    const { observe } = yield* serversOf(parsed)
    const paint = yield* paintOf
    const look = Effect.map(observe, (observations) => {
      const findings = examine(observations)
      return { observations, findings, health: judge(observations, findings) }
    })
    if (!parsed.watch) {
      if (Option.isSome(parsed.interval)) {
        return yield* new InvalidConfig({ issues: [{ field: "interval", message: "only with --watch" }] })
      }
      const report = yield* look
      yield* Console.log(parsed.json ? json(report, 2) : text(report, paint))
      const code = exitCodes[report.health.level]
      return code === 0 ? undefined : yield* new EndedWith({ code })
    }
    const interval = yield* intervalOf(parsed.interval)
    const isTTY = yield* Effect.flatMap(Terminal.Terminal, ({ isTTY }) => isTTY)
    const write = (report: Report) =>
      parsed.json ? json(report) : isTTY ? redraw(text(report, paint)) : `${text(report, paint)}\n`
    const { failed, written } = yield* Output
    yield* Effect.flatMap(look, (report) => Console.log(write(report))).pipe(
      Effect.zipRight(written),
      Effect.repeat(Schedule.spaced(interval)),
      Effect.raceFirst(failed)
    )
  }).pipe(Effect.provide(layerHttp))

const intervalOf = (given: Option.Option<string>): Effect.Effect<Duration.Duration, InvalidConfig> => {
  const interval = Option.match(given, {
    onNone: () => Option.some(Duration.seconds(2)),
    onSome: Duration.decodeUnknown
  })
  return Option.match(Option.filter(interval, Duration.greaterThanOrEqualTo("100 millis")), {
    onNone: () =>
      new InvalidConfig({
        issues: [{ field: "interval", message: `expected a duration of 100 millis or more such as "5 seconds"` }]
      }),
    onSome: Effect.succeed
  })
}

interface Report {
  readonly observations: ReadonlyArray<Observation>
  readonly findings: ReadonlyArray<Finding>
  readonly health: Health
}

/** From the top left corner, over what is there. */
const redraw = (text: string): string => `\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[K\n\x1b[J`

const json = ({ findings, health, observations }: Report, indent?: number): string =>
  printableJson(JSON.stringify(
    {
      health: health.level,
      say: health.say,
      servers: observations.map((observation) => ({
        address: observation.address,
        status: observation._tag === "Seen" ? observation.status : null,
        error: observation._tag === "Seen" ? null : observation.error
      })),
      findings
    },
    undefined,
    indent
  ))

/** Every line of the table, and what it says of a server that has answered. */
const lines: ReadonlyArray<readonly [string, (seen: Seen) => string]> = [
  ["at", ({ address }) => address],
  ["state", ({ status }) => `${status.state} for ${span(sinceOf(status))}`],
  ["hears", ({ status: { peer } }) =>
    peer.said === null || peer.ageMillis === null
      ? "nobody yet"
      : `${peer.said} ${span(peer.ageMillis)} ago${peer.isExpired ? ", expired" : ""}`],
  ["policy", ({ status: { config, policy } }) => `${policy}, heartbeat ${span(config.heartbeatMillis)}`],
  ["hold", ({ status: { hold } }) => hold === null ? "-" : hold.kind],
  ["accepted", ({ status: { counters } }) => String(counters.accepted)],
  ["rejected", ({ status: { counters } }) => String(counters.rejected)],
  ["failed", ({ status: { counters } }) => String(counters.failed)],
  ["limited", ({ status: { counters } }) => String(counters.limited)],
  ["connected", ({ status: { connections } }) =>
    connections === undefined
      ? "-"
      : `${connections.open}, ${connections.rejected} refused${
        connections.resets > 0 ? `, all cut ${connections.resets} times` : ""
      }`],
  ["votes", ({ status: { counters } }) => String(counters.votes)],
  ["failovers", ({ status: { counters } }) => String(counters.failovers)],
  ["refused", ({ status: { refused } }) => refused === undefined ? "-" : String(sum(refused))],
  ["latency", ({ status: { latency } }) =>
    latency.p50Millis === null || latency.p99Millis === null
      ? "-"
      : `p50 ${millis(latency.p50Millis)}, p99 ${millis(latency.p99Millis)}`],
  ["process", ({ status: { host, pid, uptimeMillis } }) => `${pid} on ${host}, up ${span(uptimeMillis)}`],
  ["version", ({ status: { versions } }) => `${versions.bstar}, Node ${versions.node}`]
]

const sum = (refused: NonNullable<Seen["status"]["refused"]>): number =>
  Object.values(refused).reduce(
    (sum, { absent, full, malformed, unknown, wrong }) => sum + absent + full + malformed + unknown + wrong,
    0
  )

const sinceOf = ({ now, since }: Seen["status"]): number =>
  Option.match(Option.all([DateTime.make(since), DateTime.make(now)]), {
    onNone: () => 0,
    onSome: ([since, now]) => Math.max(0, DateTime.distance(since, now))
  })

const millis = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`

const text = ({ findings, health, observations }: Report, paint: Paint): string => {
  const names = namesOf(observations)
  const isAnySeen = observations.some(({ _tag }) => _tag === "Seen")
  const table = columns([
    ["", ...observations.map((observation, i) => observation._tag === "Seen" ? names[i]! : "?")],
    ...lines.filter(([label]) => isAnySeen || label === "at" || label === "state").map(([label, of]) => [
      label,
      ...observations.map((observation) =>
        observation._tag === "Seen"
          ? of(observation)
          : label === "at"
          ? observation.address
          : label === "state"
          ? "not reached"
          : ""
      )
    ])
  ]).map((line) =>
    line.startsWith("state")
      ? line.replaceAll(/not reached|[A-Z]{4,}/g, (word) => paint(word === "ACTIVE" ? "green" : "bold", word))
      : line
  )
  return [
    ...table,
    "",
    ...observations.flatMap((observation, i) => whyOf(observation, names[i]!)).map(printable),
    `${paint(colorOf[health.level], health.level)}: ${printable(health.say)}${rest(findings)}`
  ].join("\n")
}

/** How a server came to be what it is, or why nobody knows. */
const whyOf = (observation: Observation, name: string): ReadonlyArray<string> => {
  if (observation._tag === "Unseen") {
    return [`${name}: ${observation.error}`]
  }
  const { droppedLogLines = 0, evidence, hold, reason, say } = observation.status
  return [
    `${name}: ${say}${evidence === null ? "" : ` (${evidence})`}${reason === null ? "" : `, because: ${reason}`}`,
    ...(hold === null
      ? []
      : [
        hold.kind === "paused"
          ? `${name}: paused since ${hold.since}, because: ${hold.reason}`
          : `${name}: takes over by itself again after ${hold.until}`
      ]),
    ...(droppedLogLines > 0 ? [`${name}: ${count(droppedLogLines, "log line")} dropped so far`] : [])
  ]
}

const rest = (findings: ReadonlyArray<Finding>): string => {
  const warnings = findings.filter(({ severity }) => severity === "warning").length
  return warnings === 0 ? "" : `; ${count(warnings, "warning")}, see bstar doctor`
}

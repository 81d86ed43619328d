/**
 * `bstar status`: the status and the health of both servers of a pair, once or repeatedly.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Terminal from "@effect/platform/Terminal"
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import { durationField, validate } from "../../settings/Validation.ts"
import { examine, type Finding } from "../../status/Doctor.ts"
import { type Health, judge, type Level } from "../../status/Health.ts"
import { namesOf, type Observation, type Reached, stateMillis } from "../../status/Observation.ts"
import { EndedWith, layerHttp, paintOf, serversOf } from "../operator.ts"
import { Output } from "../output.ts"
import { because, type colors, columns, count, type Paint, printable, printableJson, span } from "../text.ts"

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
    const request = Effect.map(observe, (observations) => {
      const findings = examine(observations)
      return { observations, findings, health: judge(observations, findings) }
    })
    if (!parsed.watch) {
      if (Option.isSome(parsed.interval)) {
        return yield* new InvalidConfig({ issues: [{ field: "interval", message: "only with --watch" }] })
      }
      const report = yield* request
      yield* Console.log(parsed.json ? json(report, 2) : text(report, paint))
      const code = exitCodes[report.health.level]
      return code === 0 ? undefined : yield* new EndedWith({ code })
    }
    const interval = yield* intervalOf(parsed.interval)
    const isTTY = yield* Effect.flatMap(Terminal.Terminal, ({ isTTY }) => isTTY)
    const write = (report: Report) => {
      if (parsed.json) {
        return json(report)
      }
      return isTTY ? redraw(text(report, paint)) : `${text(report, paint)}\n`
    }
    const { failed, written } = yield* Output
    yield* Effect.flatMap(request, (report) => Console.log(write(report))).pipe(
      Effect.zipRight(written),
      Effect.repeat(Schedule.spaced(interval)),
      Effect.raceFirst(failed)
    )
  }).pipe(Effect.provide(layerHttp))

const Interval = Schema.Struct({ interval: durationField("100 millis", "1 day") })

const intervalOf = (given: Option.Option<string>): Effect.Effect<Duration.Duration, InvalidConfig> =>
  Effect.map(
    validate(Interval, { interval: Option.getOrElse(given, () => "2 seconds") }),
    ({ interval }) => interval
  )

interface Report {
  readonly observations: ReadonlyArray<Observation>
  readonly findings: ReadonlyArray<Finding>
  readonly health: Health
}

/** Overwrites the screen from its top left corner, without flicker. */
const redraw = (text: string): string => `\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[K\n\x1b[J`

const json = ({ findings, health, observations }: Report, indent?: number): string =>
  printableJson(JSON.stringify(
    {
      health: health.level,
      message: health.message,
      servers: observations.map((observation) => ({
        address: observation.address,
        status: observation._tag === "Reached" ? observation.status : null,
        error: observation._tag === "Reached" ? null : observation.error
      })),
      findings
    },
    undefined,
    indent
  ))

/** The lines of the table: a label, and the cell of a server with a status. */
const lines: ReadonlyArray<readonly [string, (server: Reached) => string]> = [
  ["at", ({ address }) => address],
  ["state", ({ status }) => `${status.state} for ${span(Math.max(0, stateMillis(status) || 0))}`],
  ["receives", ({ status: { peer } }) =>
    peer.state === null || peer.ageMillis === null
      ? peer.malformed == null ? "nothing yet" : "malformed messages"
      : `${peer.state} ${span(peer.ageMillis)} ago${peer.isExpired ? ", expired" : ""}`],
  ["term", ({ status: { term } }) => term == null ? "-" : `${term.text}, token ${term.token}`],
  ["witness", ({ status: { witness } }) => {
    if (witness == null) {
      return "-"
    }
    return witness.isUp && witness.answeredMillisAgo !== null
      ? `answered ${span(witness.answeredMillisAgo)} ago`
      : "does not answer"
  }],
  ["rights", ({ status: { witness } }) => witness == null ? "-" : rightsOf(witness)],
  ["policy", ({ status: { config, policy } }) => `${policy}, heartbeat ${span(config.heartbeatMillis)}`],
  ["blocked", ({ status: { takeoverBlock } }) => takeoverBlock === null ? "-" : takeoverBlock.kind],
  ["accepted", ({ status: { counters } }) => String(counters.accepted)],
  ["rejected", ({ status: { counters } }) => String(counters.rejected)],
  ["failed", ({ status: { counters } }) => String(counters.failed)],
  ["limited", ({ status: { counters } }) => String(counters.limited)],
  [
    "connected",
    ({ status: { connections } }) =>
      `${connections.open}, ${connections.rejected} rejected${
        connections.resets > 0 ? `, all reset ${connections.resets} times` : ""
      }`
  ],
  ["votes", ({ status: { counters } }) => String(counters.votes)],
  ["failovers", ({ status: { counters } }) => String(counters.failovers)],
  [
    "handshakes",
    ({ status: { rejectedConnections } }) =>
      rejectedConnections === undefined ? "-" : `${sum(rejectedConnections)} rejected`
  ],
  ["latency", ({ status: { latency } }) =>
    latency.p50Millis === null || latency.p99Millis === null
      ? "-"
      : `p50 ${millis(latency.p50Millis)}, p99 ${millis(latency.p99Millis)}`],
  ["process", ({ status: { host, pid, uptimeMillis } }) => `${pid} on ${host}, up ${span(uptimeMillis)}`],
  ["version", ({ status: { versions } }) => `${versions.bstar}, Node ${versions.node}`]
]

/** Who has given the server the right to serve, and how long it lasts. */
const rightsOf = ({ guardMillis, rights }: NonNullable<Reached["status"]["witness"]>): string => {
  if (rights.length === 0) {
    return guardMillis === null || guardMillis === 0 ? "none" : `none, guard ${span(guardMillis)}`
  }
  return rights.map(({ leftMillis, of }) => leftMillis === null ? of : `${of} ${span(leftMillis)}`).join(", ")
}

const sum = (rejected: NonNullable<Reached["status"]["rejectedConnections"]>): number =>
  Object.values(rejected).reduce(
    (sum, { absent, full, malformed, unknown, wrong }) => sum + absent + full + malformed + unknown + wrong,
    0
  )

const millis = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`

const text = ({ findings, health, observations }: Report, paint: Paint): string => {
  const names = namesOf(observations)
  const isAnyReached = observations.some(({ _tag }) => _tag === "Reached")
  const cellOf = (observation: Observation, label: string, of: (server: Reached) => string): string => {
    if (observation._tag === "Reached") {
      return of(observation)
    }
    return ({ at: observation.address, state: "not reached" } as { readonly [label: string]: string })[label] ?? ""
  }
  const table = columns([
    ["", ...observations.map((observation, i) => observation._tag === "Reached" ? names[i]! : "?")],
    ...lines.filter(([label]) => isAnyReached || label === "at" || label === "state").map(([label, of]) => [
      label,
      ...observations.map((observation) => cellOf(observation, label, of))
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
    `${paint(colorOf[health.level], health.level)}: ${printable(health.message)}${rest(findings)}`
  ].join("\n")
}

const witnessLine = ({ endpoint, problem, record }: NonNullable<Reached["status"]["witness"]>): string => {
  const recorded = record === null
    ? "no record seen yet"
    : `term ${record.term.text} of the ${record.holder}${record.isReleased ? ", released" : ""}`
  return `witness ${endpoint}: ${recorded}${problem === null ? "" : `; no answer now (${problem})`}`
}

/** Why a server is in its state, or why it was not reached. */
const whyOf = (observation: Observation, name: string): ReadonlyArray<string> => {
  if (observation._tag === "Unreached") {
    return [`${name}: ${observation.error}`]
  }
  const { droppedLogLines, explanation, message, reason, takeoverBlock, witness } = observation.status
  return [
    `${name}: ${message}${explanation === null ? "" : ` (${explanation})`}${because(message, reason)}`,
    ...(takeoverBlock === null
      ? []
      : [
        takeoverBlock.kind === "paused"
          ? `${name}: paused since ${takeoverBlock.since}, because: ${takeoverBlock.reason}`
          : `${name}: takes over by itself again after ${takeoverBlock.until}`
      ]),
    ...(witness == null ? [] : [`${name}: ${witnessLine(witness)}`]),
    ...(droppedLogLines > 0 ? [`${name}: ${count(droppedLogLines, "log line")} dropped so far`] : [])
  ]
}

const rest = (findings: ReadonlyArray<Finding>): string => {
  const warnings = findings.filter(({ severity }) => severity === "warning").length
  return warnings === 0 ? "" : `; ${count(warnings, "warning")}, see bstar doctor`
}

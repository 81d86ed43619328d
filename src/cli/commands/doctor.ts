/**
 * `bstar doctor`: what is wrong with a pair, and the remedies.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Terminal from "@effect/platform/Terminal"
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import { examine, type Finding, severities, type Severity } from "../../status/Doctor.ts"
import { namesOf, type Observation } from "../../status/Observation.ts"
import { EndedWith, layerHttp, type Servers, serversOf } from "../operator.ts"
import { paintOf } from "../paint.ts"
import { type colors, count, type Paint, printable, printableJson } from "../text.ts"

const colorOf: { readonly [S in Severity]: keyof typeof colors } = { error: "red", warning: "yellow", info: "bold" }

export const run = (
  parsed: Values<"doctor">
): Effect.Effect<
  void,
  ConfigError.ConfigError | EndedWith | InvalidConfig,
  FileSystem.FileSystem | Terminal.Terminal
> =>
  Effect.gen(function*() {
    const servers = yield* serversOf(parsed)
    const paint = yield* paintOf
    const observations = yield* Effect.forEach(yield* servers.observe, (one) => withCommands(servers, one), {
      concurrency: "unbounded"
    })
    const findings = examine(observations)
    yield* Console.log(parsed.json ? json(observations, findings) : text(observations, findings, paint))
    if (findings.some(({ severity }) => severity !== "info")) {
      return yield* new EndedWith({ code: 1 })
    }
  }).pipe(Effect.provide(layerHttp))

/** Adds whether a server accepts commands. The copy of a status has no `peer`: that server cannot be reached from here. */
const withCommands = ({ clientOf }: Servers, observation: Observation) =>
  observation._tag === "Unreached" || observation.peer === undefined
    ? Effect.succeed(observation)
    : clientOf(observation.address).pipe(
      Effect.flatMap(({ commands }) => commands),
      Effect.match({
        onFailure: () => observation,
        onSuccess: (commands): Observation => ({ ...observation, commands })
      })
    )

const json = (observations: ReadonlyArray<Observation>, findings: ReadonlyArray<Finding>): string =>
  printableJson(JSON.stringify(
    {
      servers: observations.map((observation) => ({
        address: observation.address,
        role: observation._tag === "Reached" ? observation.status.role : null,
        error: observation._tag === "Reached" ? null : observation.error
      })),
      findings
    },
    undefined,
    2
  ))

const text = (observations: ReadonlyArray<Observation>, findings: ReadonlyArray<Finding>, paint: Paint): string => {
  const names = namesOf(observations)
  const width = Math.max(...severities.map(({ length }) => length))
  const counts = severities.flatMap((severity) => {
    const found = findings.filter((finding) => finding.severity === severity).length
    return found === 0 ? [] : [severity === "info" ? `${found} to know` : count(found, severity)]
  })
  return [
    ...observations.map(({ _tag, address }, i) =>
      `${_tag === "Reached" ? "reached" : "could not reach"} ${
        printable(names[i] === address ? address : `${names[i]} at ${address}`)
      }`
    ),
    ...findings.flatMap(({ remedy, severity, what }) => [
      `${paint(colorOf[severity], severity.padEnd(width))}  ${printable(what)}`,
      `${"".padEnd(width)}  -> ${printable(remedy)}`
    ]),
    counts.length === 0 ? "nothing found" : counts.join(", ")
  ].join("\n")
}

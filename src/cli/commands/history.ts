/**
 * `bstar history`: the transitions of both servers, by time.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { OperatorError } from "../../http/OperatorClient.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import { distinct, namesOf, type Observation } from "../../status/Observation.ts"
import type { HistoryEntry } from "../../status/Status.ts"
import { complain, EndedWith, layerHttp, serversOf } from "../operator.ts"
import { because, columns, printableJson } from "../text.ts"

export const run = (
  { json, limit, ...parsed }: Values<"history">
): Effect.Effect<void, ConfigError.ConfigError | EndedWith | InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { clientOf, observe } = yield* serversOf(parsed)
    const observations = yield* observe
    const names = namesOf(observations)
    const historyOf = (observation: Observation) =>
      Effect.flatMap(clientOf(observation.address), ({ history }) => history(limit)).pipe(
        Effect.map((entries) =>
          entries.map((entry): ServerEntry => ({ server: names[observations.indexOf(observation)]!, ...entry }))
        )
      )
    const unreached = observations.filter((observation) => observation._tag === "Unreached")
    const [failures, histories] = yield* Effect.partition(distinct(observations), historyOf, {
      concurrency: "unbounded"
    })
    const entries = histories.flat().sort(byTime).slice(-limit)
    yield* Console.log(json ? printableJson(JSON.stringify(entries, undefined, 2)) : text(entries))
    const errors = [
      ...unreached.map(({ address, error }) => `${address}: ${error}`),
      ...failures.map(({ message }: OperatorError) => message)
    ]
    yield* Effect.forEach(errors, complain, { discard: true })
    if (errors.length > 0) {
      return yield* new EndedWith({ code: 1 })
    }
  }).pipe(Effect.provide(layerHttp))

type ServerEntry = HistoryEntry & { readonly server: string }

/** Both are ISO strings in UTC, which sort by time. */
const byTime = (a: HistoryEntry, b: HistoryEntry): number => Number(a.at > b.at) - Number(a.at < b.at)

const text = (entries: ReadonlyArray<ServerEntry>): string =>
  columns([
    ["time", "server", "from", "to", "term", "cause", "what"],
    ...entries.map(({ at, cause, explanation, from, message, reason, server, term, to }) => [
      at,
      server,
      from ?? "-",
      to,
      term?.text ?? "-",
      cause,
      `${message}${explanation === null ? "" : ` (${explanation})`}${because(message, reason)}`
    ])
  ]).join("\n")

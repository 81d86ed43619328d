/**
 * `bstar history`: the transitions of both servers in the order of time.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { OperatorError } from "../../http/OperatorClient.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import { namesOf, type Observation, seenOf } from "../../status/Doctor.ts"
import type { HistoryEntry } from "../../status/Status.ts"
import { complain, EndedWith, layerHttp, serversOf } from "../operator.ts"
import { columns, printableJson } from "../text.ts"

export const run = (
  { json, limit, ...parsed }: Values<"history">
): Effect.Effect<void, ConfigError.ConfigError | EndedWith | InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { clientOf, observe } = yield* serversOf(parsed)
    const observations = yield* observe
    const names = namesOf(observations)
    const historyOf = (seen: Observation) =>
      Effect.flatMap(clientOf(seen.address), ({ history }) => history(limit)).pipe(
        Effect.map((entries) =>
          entries.map((entry): Told => ({ server: names[observations.indexOf(seen)]!, ...entry }))
        )
      )
    const unseen = observations.filter((observation) => observation._tag === "Unseen")
    const [failures, histories] = yield* Effect.partition(seenOf(observations), historyOf, { concurrency: "unbounded" })
    const entries = histories.flat().sort(byTime).slice(-limit)
    yield* Console.log(json ? printableJson(JSON.stringify(entries, undefined, 2)) : text(entries))
    const errors = [
      ...unseen.map(({ address, error }) => `${address}: ${error}`),
      ...failures.map(({ message }: OperatorError) => message)
    ]
    yield* Effect.forEach(errors, complain, { discard: true })
    if (errors.length > 0) {
      return yield* new EndedWith({ code: 1 })
    }
  }).pipe(Effect.provide(layerHttp))

type Told = HistoryEntry & { readonly server: string }

/** Both are told in UTC, so the order of letters is that of time. */
const byTime = (a: HistoryEntry, b: HistoryEntry): number => a.at < b.at ? -1 : a.at > b.at ? 1 : 0

const text = (entries: ReadonlyArray<Told>): string =>
  columns([
    ["time", "server", "from", "to", "cause", "what"],
    ...entries.map(({ at, cause, evidence, from, reason, say, server, to }) => [
      at,
      server,
      from ?? "-",
      to,
      cause,
      `${say}${evidence === null ? "" : ` (${evidence})`}${reason === null ? "" : `, because: ${reason}`}`
    ])
  ]).join("\n")

/**
 * `bstar keygen DIR`: key files for a pair, its clients and its workers.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as keygen from "../../security/Keygen.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import { printable } from "../text.ts"

const wanted = (
  directory: string,
  { client, next, worker }: Values<"keygen">
): Effect.Effect<ReadonlyArray<string>, InvalidConfig> => {
  const all = [
    client === undefined ? [] : [keygen.member(directory, "client", client)],
    worker === undefined ? [] : [keygen.member(directory, "worker", worker)],
    next === undefined ? [] : [keygen.next(directory, next)]
  ].flat()
  return all.length > 1
    ? new InvalidConfig({ issues: [{ field: "", message: "one of --client, --worker and --next at a time" }] })
    : all[0] ?? keygen.pair(directory)
}

export const run = (values: Values<"keygen">, directory: string): Effect.Effect<void, InvalidConfig> =>
  Effect.flatMap(
    wanted(directory, values),
    Effect.forEach((file) => Console.log(printable(file.endsWith(".key_secret") ? `${file}   (secret)` : file)), {
      discard: true
    })
  )

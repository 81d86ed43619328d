/**
 * `bstar keygen DIR`: key files for a pair, its clients and its workers.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Role } from "../../protocol/StateMachine.ts"
import * as keygen from "../../security/Keygen.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { keygen as options, Parsed } from "../options.ts"
import { printable } from "../text.ts"

const wanted = (
  directory: string,
  { client, next, worker }: Parsed<typeof options>
): Effect.Effect<ReadonlyArray<string>, InvalidConfig> => {
  const all = [
    Option.map(client, (name) => keygen.member(directory, "client", name)),
    Option.map(worker, (name) => keygen.member(directory, "worker", name)),
    Option.map(next as Option.Option<Role>, (role) => keygen.next(directory, role))
  ].flatMap(Option.toArray)
  return all.length > 1
    ? new InvalidConfig({ issues: [{ field: "", message: "one of --client, --worker and --next at a time" }] })
    : all[0] ?? keygen.pair(directory)
}

export const run = (
  { directory, ...parsed }: Parsed<typeof options> & { readonly directory: string }
): Effect.Effect<void, InvalidConfig> =>
  Effect.flatMap(
    wanted(directory, parsed),
    Effect.forEach((file) => Console.log(printable(file.endsWith(".key_secret") ? `${file}   (secret)` : file)), {
      discard: true
    })
  )

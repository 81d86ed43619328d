/** What the engines have in common: the id of the register, and content that somebody else has written. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { type Seen, type Swapped, type TermRecord, type Version, Witness, WitnessError } from "../ports/Witness.ts"
import * as StoredRecord from "./storedRecord.ts"

/** What an engine has stored. */
export interface Stored {
  readonly version: Version
  readonly json: string
}

/** An engine: the same requests in its terms. They end at once when they are interrupted. */
export interface Engine {
  readonly endpoint: string
  /** Where the record is, such as `the key bstar/orders`. */
  readonly place: string
  readonly look: Effect.Effect<Option.Option<Stored>, WitnessError>
  readonly swap: (
    expected: Option.Option<Version>,
    json: string
  ) => Effect.Effect<
    | { readonly _tag: "Swapped"; readonly version: Version }
    | { readonly _tag: "Conflict"; readonly stored: Option.Option<Stored>; readonly mayBeOwn: boolean },
    WitnessError
  >
}

const makeId: Effect.Effect<string> = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 2 ** 32), 2),
  (words) => words.map((word) => word.toString(16).padStart(8, "0")).join("")
)

/** The witness on an engine. */
export const make = (engine: Engine): Witness["Type"] => {
  let register: string | undefined
  const refused = (problem: string) => new WitnessError({ reason: "Refused", endpoint: engine.endpoint, problem })

  const read = (stored: Option.Option<Stored>): Effect.Effect<Option.Option<Seen>, WitnessError> =>
    Option.match(stored, {
      onNone: () => Effect.succeedNone,
      onSome: ({ json, version }) =>
        Option.match(StoredRecord.decode(version, json), {
          onNone: () => refused(`${engine.place} contains something else than a record of a pair`),
          onSome: (content) => {
            register = content.register
            return Effect.succeedSome(content.seen)
          }
        })
    })

  const swap = (expected: Option.Option<Version>, next: TermRecord) =>
    Effect.gen(function*() {
      const id = Option.isSome(expected) && register !== undefined ? register : yield* makeId
      const result = yield* engine.swap(expected, StoredRecord.encode(next, id))
      if (result._tag === "Swapped") {
        register = id
        return result
      }
      const seen = yield* read(result.stored)
      if (result.mayBeOwn && Option.exists(seen, ({ record }) => StoredRecord.isSame(record, next))) {
        return yield* new WitnessError({
          reason: "NoAnswer",
          endpoint: engine.endpoint,
          problem: "an answer was lost, and the record may be of the swap that it was about"
        })
      }
      return { _tag: "Conflict", seen } satisfies Swapped
    })

  return Witness.of({
    endpoint: engine.endpoint,
    fingerprint: Effect.sync(() => Option.fromNullable(register)),
    look: Effect.flatMap(engine.look, read),
    swap
  })
}

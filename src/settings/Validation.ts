import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { ConfigIssue } from "./InvalidConfig.ts"
import { InvalidConfig } from "./InvalidConfig.ts"

const quoted = (input: unknown): string =>
  typeof input === "string" ? JSON.stringify(input) : Inspectable.toStringUnknown(input, 0)

/**
 * A duration as a user gives it: a `Duration`, milliseconds, or text such as `"250 millis"`.
 *
 * @internal
 */
export const DurationInput = (bounds: {
  readonly minimum: Duration.DurationInput
  readonly maximum: Duration.DurationInput
}): Schema.Schema<Duration.Duration, unknown> =>
  Schema.transformOrFail(Schema.Unknown, Schema.DurationFromSelf, {
    strict: true,
    decode: (input, _, ast) =>
      Option.match(Option.filter(Duration.decodeUnknown(input), Duration.between(bounds)), {
        onNone: () =>
          ParseResult.fail(
            new ParseResult.Type(
              ast,
              input,
              `expected a duration from ${Duration.format(bounds.minimum)} to ${
                Duration.format(bounds.maximum)
              } such as "250 millis", got ${quoted(input)}`
            )
          ),
        onSome: ParseResult.succeed
      }),
    encode: ParseResult.succeed
  })

/**
 * One of a few words.
 *
 * @internal
 */
export const oneOf = <const Words extends readonly [string, ...Array<string>]>(...words: Words) =>
  Schema.Literal(...words).annotations({
    message: ({ actual }) => ({
      message: `expected ${words.map((word) => JSON.stringify(word)).join(" or ")}, got ${quoted(actual)}`,
      override: true
    })
  })

const wholeNumberMessage = (minimum: number, maximum: number) => ({
  message: ({ actual }: ParseResult.ParseIssue) => ({
    message: `expected a whole number from ${minimum} to ${maximum}, got ${quoted(actual)}`,
    override: true
  })
})

/**
 * A whole number within bounds.
 *
 * @internal
 */
export const wholeNumber = (minimum: number, maximum: number) =>
  Schema.Int.pipe(Schema.between(minimum, maximum)).annotations(wholeNumberMessage(minimum, maximum))

/**
 * A whole number within bounds, or nothing.
 *
 * @internal
 */
export const maybeWholeNumber = (minimum: number, maximum: number) =>
  Schema.UndefinedOr(wholeNumber(minimum, maximum)).annotations(wholeNumberMessage(minimum, maximum))

/**
 * What is wrong with a policy and what a backup does alone, held against each other.
 *
 * @internal
 */
export const loneIssues = ({ lone, policy }: {
  readonly lone: string | undefined
  readonly policy: string | undefined
}): ReadonlyArray<ConfigIssue> =>
  lone === "serve" && policy === "classic"
    ? [
      { field: "lone", message: `"serve" needs the policy "hardened"` },
      { field: "policy", message: `expected "hardened" where lone is "serve", got "classic"` }
    ]
    : []

/**
 * Decodes a configuration and names every field that is wrong.
 *
 * @internal
 */
export const validate = <A, I>(schema: Schema.Schema<A, I>, input: unknown): Effect.Effect<A, InvalidConfig> =>
  Schema.decodeUnknown(schema)(input, { errors: "all" }).pipe(
    Effect.mapError((error) =>
      new InvalidConfig({
        issues: ParseResult.ArrayFormatter.formatErrorSync(error).map(({ message, path }) => ({
          field: path.join("."),
          message
        }))
      })
    )
  )

/** Checks of configurations: schemas that name the field, the value, and examples. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { InvalidConfig } from "./InvalidConfig.ts"
import * as kinds from "./kinds.ts"
import type { Setting, Situation } from "./Settings.ts"
import { defaultOf } from "./Settings.ts"

/** A duration as a user gives it: a `Duration`, milliseconds, or text such as `"250 millis"`, `"500ms"` or `"1.5s"`. */
export const DurationInput = (bounds: {
  readonly minimum: Duration.DurationInput
  readonly maximum: Duration.DurationInput
}): Schema.Schema<Duration.Duration, unknown> => required(kinds.duration(bounds.minimum, bounds.maximum))

const required = <A>(kind: kinds.Kind<A>) => kinds.schemaOf(kind, false) as Schema.Schema<A, unknown>

type Fields<G> = {
  readonly [K in keyof G]: G[K] extends Setting<infer A, any, any> ? Schema.Schema<A, unknown> : never
}

/** The fields of a schema for the settings of a group, which decode what the library gives. */
export const fieldsOf = <G extends { readonly [key: string]: Setting<any, any, any> }>(group: G): Fields<G> =>
  Object.fromEntries(
    Object.entries(group).map(([key, { commands: _, kind, ...setting }]) => [
      key,
      kinds.schemaOf(kind, setting.default === undefined && setting.isRequired !== true)
    ])
  ) as Fields<G>

/** Fills in the defaults of the settings of a group. */
export const withDefaults = (
  group: { readonly [key: string]: Setting },
  given: { readonly [key: string]: unknown },
  { policy, role }: Situation
): { readonly [key: string]: unknown } =>
  Object.fromEntries(
    Object.entries(group).map(([key, setting]) => [key, given[key] ?? defaultOf(setting, { policy, role })])
  )

/** Decodes a configuration and names every field that is wrong. */
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

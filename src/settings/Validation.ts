/** Checks of configurations: schemas that name the field, the value, and examples. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { InvalidConfig } from "./InvalidConfig.ts"
import * as kinds from "./kinds.ts"
import type { Setting, Situation } from "./Settings.ts"
import { defaultOf } from "./Settings.ts"

type Fields<G> = {
  readonly [K in keyof G]: G[K] extends Setting<infer A, any, any> ? Schema.Schema<A, unknown> : never
}

/** The fields of a schema for the settings of a group, which decode what the library gives. */
export const fieldsOf = <G extends { readonly [key: string]: Setting<any, any, any> }>(group: G): Fields<G> =>
  Object.fromEntries(
    Object.entries(group).map(([key, setting]) => [key, fieldOf(setting)])
  ) as Fields<G>

/** A schema for a setting, which decodes what the library gives. */
export const fieldOf = <A>(setting: Setting<A, any, any>): Schema.Schema<A, unknown> =>
  kinds.schemaOf<any>(setting.kind, setting.default === undefined && setting.isRequired !== true)

/** A schema for a duration that is no setting but written like one. */
export const durationField = (
  minimum: Duration.DurationInput,
  maximum: Duration.DurationInput
): Schema.Schema<Duration.Duration, unknown> => kinds.schemaOf<any>(kinds.duration(minimum, maximum), false)

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

/** The configuration of a server as JSON: the field `config` of the status. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { BinaryStarConfig } from "./BinaryStarConfig.ts"
import type { UnboundedDuration } from "./kinds.ts"
import * as Settings from "./Settings.ts"

type IsDuration<S> = S extends Settings.Setting<infer A, any, any> ?
  [NonNullable<A>] extends [Duration.Duration] ? true : false
  : false

/** Durations are numbers of milliseconds, with the unit in the name. */
type JsonKey<K, S> = IsDuration<S> extends true ? `${K & string}Millis` : K

/** A setting without a value, or without a limit, is `null`. */
type JsonValue<S> = S extends Settings.Setting<infer A, any, infer Kind> ?
    | (IsDuration<S> extends true ? number : NonNullable<A>)
    | (undefined extends A ? null : never)
    | (Kind extends UnboundedDuration ? null : never)
  : never

type Json<G> = { readonly [K in keyof G as JsonKey<K, G[K]>]: JsonValue<G[K]> }

type Fields<G> = {
  readonly [K in keyof Json<G>]: Schema.optionalWith<Schema.Schema<Json<G>[K]>, { default: () => Json<G>[K] }>
}

const isDuration = ({ kind }: Settings.Setting): boolean => kind.type === Schema.DurationFromSelf

const nameOf = (setting: Settings.Setting): string => isDuration(setting) ? `${setting.key}Millis` : setting.key

const schemaOf = (setting: Settings.Setting): Schema.Schema<any> => {
  const schema = isDuration(setting) || setting.kind.type === Schema.Number ? Schema.NonNegative : setting.kind.type
  const isNullable = "isUnbounded" in setting.kind || setting.default === undefined
  return isNullable ? Schema.NullOr(schema) : schema
}

const jsonOf = (value: unknown): unknown => {
  const plain = Duration.isDuration(value) ? Duration.toMillis(value) : value
  return plain === undefined || plain === Number.POSITIVE_INFINITY ? null : plain
}

/** A setting that is absent is unknown to the server, of an earlier version: it behaves as the default says. */
const fieldOf = (setting: Settings.Setting) => {
  const { default: value } = setting
  const known = isDuration(setting) && value !== undefined ? Duration.decode(value as Duration.DurationInput) : value
  return typeof value === "object"
    ? schemaOf(setting)
    : Schema.optionalWith(schemaOf(setting), { default: () => jsonOf(known) })
}

const fieldsOf = <G extends { readonly [key: string]: Settings.Setting }>(group: G): Fields<G> =>
  Object.fromEntries(Object.values(group).map((setting) => [nameOf(setting), fieldOf(setting)])) as Fields<G>

/** The configuration of a server, but for its role and policy. */
export const Description = Schema.Struct({
  ...fieldsOf(Settings.member),
  limits: Schema.Struct(fieldsOf(Settings.limits))
})

const describeGroup = <G extends { readonly [key: string]: Settings.Setting }>(group: G, config: BinaryStarConfig) =>
  Object.fromEntries(
    Object.values(group).map((setting) => [nameOf(setting), jsonOf(config[setting.key as keyof BinaryStarConfig])])
  ) as Json<G>

/** Describes a configuration. */
export const describe = (config: BinaryStarConfig): Schema.Schema.Type<typeof Description> => ({
  ...describeGroup(Settings.member, config),
  limits: describeGroup(Settings.limits, config)
})

/** Kinds of values that a setting may have: how they are written, decoded and explained. */
import * as Duration from "effect/Duration"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Endpoint from "../wire/Endpoint.ts"
import * as WitnessEndpoint from "../wire/WitnessEndpoint.ts"
import { HostName, ListenAddress, statusUrl } from "./Address.ts"
import { didYouMean } from "./Suggestion.ts"

/** Values of one kind. `A` is the decoded value. */
export interface Kind<A> {
  /** The valid values, as they follow "expected". */
  readonly expected: string
  /** Stands for a value in help texts. */
  readonly placeholder: string
  /** The bounds, for people; empty if there are none. */
  readonly range: string
  /** Why a value is not valid, where its text may have to be kept secret, or more can be said than what is expected. */
  readonly problemOf?: (input: unknown) => string | undefined
  /** The decoded value of what the library or a configuration file gives, or `undefined` if that is not valid. */
  readonly decode: (input: unknown) => A | undefined
  /** The text of an option or a variable, as the value that would stand in a configuration file. */
  readonly fromText: (text: string) => unknown
  /** The types that a value may have in a configuration file. */
  readonly fileTypes: ReadonlyArray<"string" | "number" | "boolean" | "object">
  /** The decoded value. */
  readonly type: Schema.Schema<A>
}

/** A duration for which `Infinity` is valid, too. */
export interface UnboundedDuration extends Kind<Duration.Duration> {
  readonly isUnbounded: true
}

const asIs = (text: string): unknown => text

const text = { range: "", fromText: asIs, fileTypes: ["string"] } as const

/** A value as it is quoted in an error. */
export const quoted = (value: unknown): string =>
  typeof value === "string" ? JSON.stringify(value) : Inspectable.toStringUnknown(value, 0)

/** Says why a value is not valid. */
export const mismatch = ({ expected }: { readonly expected: string }, value: unknown): string =>
  `expected ${expected}, got ${quoted(value)}`

/** A schema that decodes what the library gives; with `isOptional` also `undefined`. */
export const schemaOf = <A>(kind: Kind<A>, isOptional: boolean): Schema.Schema<A | undefined, unknown> =>
  Schema.transformOrFail(
    Schema.Unknown,
    Schema.UndefinedOr(kind.type).pipe(
      Schema.filter((value) => value === undefined ? isOptional : kind.decode(value) !== undefined)
    ),
    {
      strict: true,
      decode: (input, _, ast) => {
        const value = kind.decode(input)
        return value !== undefined || (isOptional && input === undefined)
          ? ParseResult.succeed(value)
          : ParseResult.fail(new ParseResult.Type(ast, input, mismatch(kind, input)))
      },
      encode: ParseResult.succeed
    }
  )

const satisfies = <A, I>(schema: Schema.Schema<A, I>, input: I | undefined): I | undefined =>
  input !== undefined && Option.isSome(Schema.decodeUnknownOption(schema)(input)) ? input : undefined

const units = { ms: "millis", s: "seconds", m: "minutes", h: "hours", d: "days" } as const

/** `500ms`, `1.5s`, `1h 30m`. */
const shortDuration = /^\d+(?:\.\d+)?(?:ms|[smhd])(?:\s*\d+(?:\.\d+)?(?:ms|[smhd]))*$/

/** A duration as a user gives it: a `Duration`, milliseconds, text such as `250 millis`, or text such as `1.5s`. */
export const parseDuration = (input: unknown): Option.Option<Duration.Duration> =>
  typeof input === "string" && shortDuration.test(input.trim())
    ? Option.some(
      [...input.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)].reduce(
        (sum, [, number, unit]) =>
          Duration.sum(sum, Duration.decode(`${Number(number)} ${units[unit as keyof typeof units]}`)),
        Duration.zero
      )
    )
    : Duration.decodeUnknown(typeof input === "string" ? input.trim() : input)

/** A duration within bounds, which are included. */
export const duration = (
  minimum: Duration.DurationInput,
  maximum: Duration.DurationInput
): Kind<Duration.Duration> => {
  const [least, most] = [Duration.format(minimum), Duration.format(maximum)]
  return {
    ...text,
    expected: `a duration from ${least} to ${most} such as "250ms", "1.5s" or "2 minutes"`,
    placeholder: "DURATION",
    range: `${least} to ${most}`,
    decode: (input) =>
      Option.getOrUndefined(Option.filter(parseDuration(input), Duration.between({ minimum, maximum }))),
    type: Schema.DurationFromSelf
  }
}

/** A duration of at least `minimum`, or `Infinity`. */
export const unboundedDuration = (minimum: Duration.DurationInput): UnboundedDuration => {
  const least = Duration.format(minimum)
  const bounded = duration(minimum, Duration.infinity)
  return {
    ...bounded,
    decode: (input) => input === "Infinity" ? Duration.infinity : bounded.decode(input),
    expected: `a duration of at least ${least} such as "250ms", "1.5s" or "2 minutes", or "Infinity"`,
    range: `at least ${least}`,
    isUnbounded: true
  }
}

/** A whole number within bounds, which are included. */
export const whole = (minimum: number, maximum: number, unit = "N"): Kind<number> => ({
  expected: maximum === countless
    ? `a whole number of at least ${minimum}`
    : `a whole number from ${minimum} to ${maximum}`,
  placeholder: unit,
  range: maximum === countless ? "" : `${minimum} to ${maximum}`,
  decode: (input) =>
    typeof input === "number" && Number.isInteger(input) && input >= minimum && input <= maximum ? input : undefined,
  fromText: (text) => /^[0-9]{1,15}$/.test(text) ? Number(text) : text,
  fileTypes: ["number"],
  type: Schema.Number
})

/** Practically no upper bound: the largest number of fifteen digits. */
export const countless = 999_999_999_999_999

const oneOf = (literals: ReadonlyArray<string>): string => literals.map(quoted).join(" or ")

/** One of a few literals. */
export const choice = <const Literals extends readonly [string, ...Array<string>]>(
  ...literals: Literals
): Kind<Literals[number]> => ({
  ...text,
  expected: oneOf(literals),
  placeholder: literals.join("|"),
  problemOf: (input) => {
    const meant = typeof input === "string" ? didYouMean(input, literals, quoted) : ""
    return meant === "" ? undefined : `${mismatch({ expected: oneOf(literals) }, input)}${meant}`
  },
  decode: (input) => literals.find((literal) => literal === input),
  type: Schema.Literal(...literals)
})

const booleans: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  [true, true],
  ["true", true],
  ["on", true],
  [false, false],
  ["false", false],
  ["off", false]
])

/** `on` or `off`, `true` or `false`. */
export const onOff: Kind<boolean> = {
  expected: `"on" or "off"`,
  placeholder: "on|off",
  range: "",
  decode: (input) => booleans.get(input),
  fromText: asIs,
  fileTypes: ["string", "boolean"],
  type: Schema.Boolean
}

/** An option without a value. */
export const flag: Kind<boolean> = { ...onOff, placeholder: "" }

/** Text that is not empty. */
export const string = (placeholder: string, example: string): Kind<string> => ({
  ...text,
  expected: `text such as ${JSON.stringify(example)}`,
  placeholder,
  decode: (input) => typeof input === "string" && input !== "" ? input : undefined,
  type: Schema.String
})

/** Text that is never printed. */
export const secret: Kind<Redacted.Redacted<string>> = {
  ...text,
  expected: "text that is not empty",
  placeholder: "SECRET",
  decode: (input) => typeof input === "string" && input !== "" ? Redacted.make(input) : undefined,
  type: Schema.RedactedFromSelf(Schema.String)
}

const checkedString = (
  placeholder: string,
  expected: string,
  isValid: (text: string) => boolean
): Kind<string> => ({
  ...text,
  expected,
  placeholder,
  decode: (input) => typeof input === "string" && isValid(input) ? input : undefined,
  type: Schema.String
})

export const bindable: Kind<string> = checkedString(
  "ENDPOINT",
  `an endpoint to bind such as "tcp://*:5001"`,
  Endpoint.isBindable
)

export const connectable: Kind<string> = checkedString(
  "ENDPOINT",
  `an endpoint to connect to such as "tcp://localhost:5001"`,
  Endpoint.isConnectable
)

/** An address to listen on. In a file it may be the number of a port. */
export const listenAddress: Kind<string> = {
  ...checkedString("HOST:PORT", `an address to listen on such as "127.0.0.1:5011"`, () => false),
  decode: (input) => satisfies(ListenAddress, typeof input === "number" ? String(input) : input as string),
  fileTypes: ["string", "number"]
}

/** Where a status server is: `HOST:PORT` or a URL. */
export const statusAddress: Kind<string> = checkedString(
  "HOST:PORT",
  "HOST:PORT or a URL",
  (value) => statusUrl(value) !== undefined
)

const parseWitness = (input: unknown): WitnessEndpoint.WitnessEndpoint | WitnessEndpoint.Invalid =>
  typeof input === "string" ? WitnessEndpoint.parse(input) : { problem: mismatch(WitnessEndpoint, input) }

/** Where a witness is. An invalid value may contain a password. */
export const witness: Kind<WitnessEndpoint.WitnessEndpoint> = {
  ...text,
  expected: WitnessEndpoint.expected,
  placeholder: "URL",
  problemOf: (input) => {
    const parsed = parseWitness(input)
    return WitnessEndpoint.isInvalid(parsed) ? parsed.problem : undefined
  },
  decode: (input) => {
    const parsed = parseWitness(input)
    return WitnessEndpoint.isInvalid(parsed) ? undefined : parsed
  },
  type: Schema.Any
}

/** Several values: an option that is repeated, a variable with commas, a list in a file. */
const list = (
  placeholder: string,
  expected: string,
  isValid: (item: string) => boolean
): Kind<ReadonlyArray<string>> => ({
  expected,
  placeholder,
  range: "",
  decode: (input) =>
    Array.isArray(input) && input.length > 0 && input.every((item) => typeof item === "string" && isValid(item))
      ? input
      : undefined,
  fromText: (text) => text.split(",").map((item) => item.trim()),
  fileTypes: ["object"],
  type: Schema.Array(Schema.String)
})

export const hostNames = list("NAME", `a list of host names such as ["primary.example"]`, Schema.is(HostName))

export const connectables = list(
  "ENDPOINT",
  `a list of endpoints to connect to such as ["tcp://localhost:5001","tcp://localhost:5002"]`,
  Endpoint.isConnectable
)

export const strings = list("HOST:PORT", "a list of addresses", () => true)

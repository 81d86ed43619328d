/**
 * `bstar witness status` and `bstar witness init`: the third party of a pair, without a server.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { monotonicMillis } from "../../internal/Clock.ts"
import { type Seen, type TermRecord, Witness, WitnessError } from "../../ports/Witness.ts"
import * as Term from "../../protocol/Term.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import * as WitnessEndpoint from "../../wire/WitnessEndpoint.ts"
import type { Connection } from "../engine.ts"
import { complain, EndedWith, report } from "../operator.ts"
import { columns, printableJson } from "../text.ts"
import { accessOf, connectionOf, type WitnessValues } from "../witness.ts"

/** How long each request may take. */
const timeout = "5 seconds"

const targetOf = (values: WitnessValues) =>
  Effect.gen(function*() {
    if (values.witness === undefined) {
      return yield* new InvalidConfig({
        issues: [{ field: "witness", message: "give the witness: --witness URL, BSTAR_WITNESS, or --config FILE" }]
      })
    }
    const connection = yield* connectionOf(yield* accessOf(values, values.witness))
    return { ...connection, endpoint: WitnessEndpoint.format(values.witness) }
  })

const inTime = <A, R>(endpoint: string, request: Effect.Effect<A, WitnessError, R>) =>
  Effect.timeoutFail(request, {
    duration: timeout,
    onTimeout: () => new WitnessError({ reason: "NoAnswer", endpoint, problem: `no answer within ${timeout}` })
  })

/** What a witness has answered. */
interface Status {
  readonly endpoint: string
  readonly millis: number
  readonly seen: Option.Option<Seen>
  readonly fingerprint: Option.Option<string>
  readonly doubts: ReadonlyArray<string>
}

/** What an engine does not tell in time is no doubt. */
const doubtsOf = ({ doubts }: Connection): Effect.Effect<ReadonlyArray<string>> =>
  Effect.orElseSucceed(Effect.timeout(doubts, timeout), () => [])

const lookAt = ({ endpoint, ...connection }: Connection & { readonly endpoint: string }) =>
  Effect.gen(function*() {
    const { fingerprint, look } = yield* Witness
    // The first request connects.
    yield* inTime(endpoint, look)
    const start = yield* monotonicMillis
    const seen = yield* inTime(endpoint, look)
    const millis = (yield* monotonicMillis) - start
    return {
      endpoint,
      millis,
      seen,
      fingerprint: yield* fingerprint,
      doubts: yield* doubtsOf(connection)
    } satisfies Status
  }).pipe(Effect.provide(connection.layer))

const recordJson = ({ record, version }: Seen) => ({
  term: Term.format(record),
  number: record.number,
  step: record.step,
  token: Term.toToken(record),
  holder: record.holder,
  life: record.life,
  isReleased: record.isReleased,
  version
})

const json = ({ doubts, endpoint, fingerprint, millis, seen }: Status) => ({
  witness: endpoint,
  answers: true,
  latencyMillis: Math.round(millis * 10) / 10,
  fingerprint: Option.getOrNull(fingerprint),
  record: Option.getOrNull(Option.map(seen, recordJson)),
  warnings: doubts,
  error: null
})

const writeJson = (value: unknown) => Console.log(printableJson(JSON.stringify(value, undefined, 2)))

const describe = ({ holder, isReleased, life, ...term }: TermRecord): string =>
  `term ${Term.format(term)}, ${isReleased ? "released" : "held"} by the ${holder} (life ${life})`

const text = ({ endpoint, fingerprint, millis, seen }: Status): string =>
  columns([
    ["witness", endpoint],
    ["answers", `in ${millis < 10 ? millis.toFixed(1) : Math.round(millis)} ms`],
    ["record", Option.match(seen, { onNone: () => "none yet", onSome: ({ record }) => describe(record) })],
    ["version", Option.match(seen, { onNone: () => "-", onSome: ({ version }) => version })],
    ["fingerprint", Option.getOrElse(fingerprint, () => "-")]
  ]).join("\n")

const complainOf = (doubts: ReadonlyArray<string>) =>
  Effect.forEach(doubts, (doubt) => Console.error(`W: ${doubt}`), {
    discard: true
  })

export const status = (values: Values<"witnessStatus">): Effect.Effect<void, EndedWith | InvalidConfig> =>
  Effect.gen(function*() {
    const target = yield* targetOf(values)
    const result = yield* Effect.either(lookAt(target))
    if (result._tag === "Right") {
      return yield* values.json
        ? writeJson(json(result.right))
        : Effect.zipRight(Console.log(text(result.right)), complainOf(result.right.doubts))
    }
    const error = result.left
    if (error._tag === "InvalidConfig") {
      return yield* error
    }
    const nothing = { latencyMillis: null, fingerprint: null, record: null, warnings: [] }
    yield* values.json
      ? writeJson({ witness: target.endpoint, answers: false, ...nothing, error: error.message })
      : complain(error.message)
    return yield* new EndedWith({ code: 1 })
  })

/** No record has this version, so a swap that expects it changes nothing, but needs the right to write. */
const impossible = Option.some("-1")

const nobody: TermRecord = { number: 0, step: 0, holder: "primary", life: "bstar-witness-init", isReleased: true }

const bothOf = (one: string, other: string): string => one === other ? one : `${one}; ${other}`

export const init = (
  values: Values<"witnessInit">
): Effect.Effect<void, InvalidConfig | WitnessError> =>
  Effect.gen(function*() {
    const target = yield* targetOf(values)
    const { endpoint, layer, preparation, prepare, probe } = target
    if (values.print) {
      return yield* Console.log(preparation)
    }
    yield* Effect.gen(function*() {
      const { look, swap } = yield* Witness
      const outcome = yield* Effect.either(inTime(endpoint, look))
      yield* outcome._tag === "Right"
        ? report("the witness is ready")
        : Effect.mapError(
          Effect.flatMap(inTime(endpoint, prepare), report),
          (error) => new WitnessError({ ...error, problem: bothOf(outcome.left.problem, error.problem) })
        )
      yield* inTime(endpoint, swap(impossible, nobody))
      yield* inTime(endpoint, probe)
    }).pipe(Effect.provide(layer))
    yield* report("records can be read and written")
    yield* complainOf(yield* doubtsOf(target))
  })

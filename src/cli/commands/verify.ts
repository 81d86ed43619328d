/**
 * `bstar verify`: explores everything that can happen to a pair within the budgets, and prints the properties that are violated.
 */
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../../internal/Clock.ts"
import { nextTurn } from "../../internal/Scheduler.ts"
import * as Policies from "../../protocol/Policies.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"
import { explore, type Progress, type Violation } from "../../verify/model/Explore.ts"
import * as Model from "../../verify/model/Model.ts"
import { properties } from "../../verify/model/Properties.ts"
import * as Trace from "../../verify/model/Trace.ts"
import * as VerifyWitnessed from "./verifyWitnessed.ts"

export interface Options {
  readonly policy: Policies.PolicyName
  readonly lone: StateMachine.Lone
  readonly kills: number
  readonly stops: number
  readonly pauses: number
  readonly cuts: number
  readonly handovers: number
  readonly delay: number
  readonly states: number
  readonly format: "text" | "json"
}

/** The pair violates properties, which are printed already. */
export class ViolationsFound extends Data.TaggedError("ViolationsFound")<{
  readonly properties: ReadonlyArray<string>
}> {
  override get message(): string {
    return `violated: ${this.properties.join(", ")}`
  }
}

/** The budgets are larger than the model checker can explore. */
export class TooLarge extends Data.TaggedError("TooLarge")<{ readonly message: string }> {}

export const run = (options: Options): Effect.Effect<void, TooLarge | ViolationsFound> =>
  options.policy === "witnessed"
    ? Effect.flatMap(
      orTooLarge(() => VerifyWitnessed.make(options)),
      (model) => Effect.flatMap(VerifyWitnessed.run(options, model), failIf)
    )
    : runPair(options)

/** Fails if properties are violated. */
const failIf = (properties: ReadonlyArray<string>): Effect.Effect<void, ViolationsFound> =>
  properties.length > 0 ? new ViolationsFound({ properties }) : Effect.void

const runPair = (options: Options): Effect.Effect<void, TooLarge | ViolationsFound> =>
  Effect.gen(function*() {
    const { format: _, policy, states: __, ...budgets } = options
    const model = yield* orTooLarge(() =>
      Model.make({ ...budgets, policy: Policies.policies[policy], evidence: policy === "hardened" })
    )
    const start = yield* monotonicMillis
    const result = yield* exhaust(model, start)
    const seconds = ((yield* monotonicMillis) - start) / 1000
    yield* Console.log(
      options.format === "json" ? json(options, model, result, seconds) : text(options, model, result, seconds)
    )
    const faults = result.violations.filter(({ property }) => !property.isInformative)
    yield* failIf(faults.map(({ property }) => property.name))
  })

const orTooLarge = <A>(f: () => A): Effect.Effect<A, TooLarge> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (error) {
      return error instanceof RangeError ? Effect.fail(new TooLarge({ message: error.message })) : Effect.die(error)
    }
  })

/** Explores all of a model without holding the event loop, and prints its progress once a second. */
const exhaust = (model: Model.Model, start: number): Effect.Effect<Progress, TooLarge> =>
  Effect.gen(function*() {
    const exploration = explore(model)
    let printedAt = start
    while (true) {
      const { done, value } = yield* orTooLarge(() => exploration.next())
      if (done === true) {
        return value
      }
      const now = yield* monotonicMillis
      if (now - printedAt >= 1000) {
        printedAt = now
        yield* Console.error(printProgress(value, now - start))
      }
      yield* nextTurn
    }
  })

const printProgress = ({ frontier, states, ticks }: Progress, millis: number): string =>
  `${states} states, ${frontier} of them not visited yet, ${ticks} ticks deep, ${
    Math.round(states / millis)
  } thousand a second`

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`

const text = (
  { cuts, delay, handovers, kills, lone, pauses, policy, stops }: Options,
  model: Model.Model,
  { states, ticks, transitions, violations }: Progress,
  seconds: number
): string =>
  [
    `${policy}${lone === "serve" ? ", a lone backup serves" : ""}; at most ${count(kills, "kill")}, ${
      count(stops, "stop")
    }, ${count(pauses, "pause")}, ` +
    `${count(cuts, "cut")}, ${count(handovers, "handover")}; messages take at most ${count(delay, "tick")}`,
    `${states} states, ${transitions} transitions, ${count(ticks, "tick")} deep, ${seconds.toFixed(1)} s; ` +
    "a tick is half a heartbeat",
    "properties, each what must never be:",
    ...properties.map(({ exception, name, sentence }) =>
      `  ${name}: ${sentence(model.setup)}${exception === undefined ? "" : ` (except ${exception})`}`
    ),
    ...violations.map((violation) => printViolation(model, violation)),
    violations.every(({ property }) => property.isInformative) ? "no property is violated" : "properties are violated"
  ].join("\n")

const printViolation = (model: Model.Model, violation: Violation): string => {
  const { property, ticks } = violation
  return [
    "",
    `${property.name}${property.isInformative ? " (unavoidable)" : ""}, after ${count(ticks, "tick")}: ${
      property.sentence(model.setup)
    }`,
    ...Trace.linesOf(model, violation).map(({ subject, text, tick }) =>
      `  ${String(tick).padStart(3)}  ${subject.padEnd(7)}  ${text}`
    ),
    ""
  ].join("\n")
}

const json = (
  { format: _, states: ___, ...options }: Options,
  model: Model.Model,
  { frontier: __, violations, ...counts }: Progress,
  seconds: number
): string =>
  JSON.stringify(
    {
      ...options,
      ...counts,
      seconds,
      properties: properties.map(({ exception, isInformative, name, sentence }) => ({
        name,
        sentence: sentence(model.setup),
        exception,
        isInformative
      })),
      violations: violations.map((violation) => ({
        property: violation.property.name,
        sentence: violation.property.sentence(model.setup),
        isInformative: violation.property.isInformative,
        ticks: violation.ticks,
        moves: violation.trace,
        trace: Trace.linesOf(model, violation)
      }))
    },
    undefined,
    2
  )

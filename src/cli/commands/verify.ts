/**
 * `bstar verify`: goes through all that can happen to a pair within the budgets, and tells what should not have.
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
import * as Story from "../../verify/model/Trace.ts"

export interface Options {
  readonly policy: Policies.PolicyName
  readonly lone: StateMachine.Lone
  readonly kills: number
  readonly stops: number
  readonly pauses: number
  readonly cuts: number
  readonly handovers: number
  readonly delay: number
  readonly format: "text" | "json"
}

/** The pair breaks its promises. What they are has been told. */
export class ViolationsFound extends Data.TaggedError("ViolationsFound")<{
  readonly properties: ReadonlyArray<Model.Property["name"]>
}> {
  override get message(): string {
    return `violated: ${this.properties.join(", ")}`
  }
}

/** More was asked for than can be explored. */
export class TooLarge extends Data.TaggedError("TooLarge")<{ readonly message: string }> {}

export const run = (options: Options): Effect.Effect<void, TooLarge | ViolationsFound> =>
  Effect.gen(function*() {
    const { format: _, policy, ...budgets } = options
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
    if (faults.length > 0) {
      return yield* new ViolationsFound({ properties: faults.map(({ property }) => property.name) })
    }
  })

const orTooLarge = <A>(f: () => A): Effect.Effect<A, TooLarge> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (error) {
      return error instanceof RangeError ? Effect.fail(new TooLarge({ message: error.message })) : Effect.die(error)
    }
  })

/** Explores, lets others have their turn now and then, and says once a second how far it is. */
const exhaust = (model: Model.Model, start: number): Effect.Effect<Progress, TooLarge> =>
  Effect.gen(function*() {
    const exploration = explore(model)
    let told = start
    while (true) {
      const { done, value } = yield* orTooLarge(() => exploration.next())
      if (done === true) {
        return value
      }
      const now = yield* monotonicMillis
      if (now - told >= 1000) {
        told = now
        yield* Console.error(tellProgress(value, now - start))
      }
      yield* nextTurn
    }
  })

const tellProgress = ({ frontier, states, ticks }: Progress, millis: number): string =>
  `${states} states, ${frontier} of them to go on from, ${ticks} ticks deep, ${
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
    `${count(cuts, "cut")}, ${count(handovers, "handover")}; words take at most ${count(delay, "tick")}`,
    `${states} states, ${transitions} transitions, ${count(ticks, "tick")} deep, ${seconds.toFixed(1)} s; ` +
    "a tick is half a heartbeat",
    "looked for:",
    ...Model.properties.map(({ exception, name, sentence }) =>
      `  ${name}: ${sentence(model)}${exception === undefined ? "" : ` (but for ${exception})`}`
    ),
    ...violations.map((violation) => tellViolation(model, violation)),
    violations.every(({ property }) => property.isInformative) ? "no promise is broken" : "promises are broken"
  ].join("\n")

const tellViolation = (model: Model.Model, violation: Violation): string => {
  const { property, ticks } = violation
  return [
    "",
    `${property.name}${property.isInformative ? " (cannot be helped)" : ""}, after ${count(ticks, "tick")}: ${
      property.sentence(model)
    }`,
    ...Story.tell(model, violation).map(({ tick, what, who }) =>
      `  ${String(tick).padStart(3)}  ${who.padEnd(7)}  ${what}`
    ),
    ""
  ].join("\n")
}

const json = (
  { format: _, ...options }: Options,
  model: Model.Model,
  { frontier: __, violations, ...counts }: Progress,
  seconds: number
): string =>
  JSON.stringify(
    {
      ...options,
      ...counts,
      seconds,
      properties: Model.properties.map(({ exception, isInformative, name, sentence }) => ({
        name,
        sentence: sentence(model),
        exception,
        isInformative
      })),
      violations: violations.map((violation) => ({
        property: violation.property.name,
        sentence: violation.property.sentence(model),
        isInformative: violation.property.isInformative,
        ticks: violation.ticks,
        trace: violation.trace,
        story: Story.tell(model, violation)
      }))
    },
    undefined,
    2
  )

/** `bstar verify --policy witnessed`: explores two members, the witness and the three links between them. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../../internal/Clock.ts"
import { nextTurn } from "../../internal/Scheduler.ts"
import { explore, type Progress, type Violation } from "../../verify/model/WitnessExplore.ts"
import * as Model from "../../verify/model/WitnessModel.ts"
import * as Trace from "../../verify/model/WitnessTrace.ts"

interface Options {
  readonly kills: number
  readonly stops: number
  readonly pauses: number
  readonly handovers: number
  readonly states: number
  readonly format: "text" | "json"
}

export const make = ({ handovers, kills, pauses, stops }: Options): Model.Setup =>
  Model.make({ kills, stops, pauses, handovers })

/** Prints the result, and returns the names of the violated properties. */
export const run = (options: Options, setup: Model.Setup): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const start = yield* monotonicMillis
    const result = yield* exhaust(options, setup, start)
    const seconds = ((yield* monotonicMillis) - start) / 1000
    yield* Console.log(
      options.format === "json" ? json(options, setup, result, seconds) : text(options, setup, result, seconds)
    )
    return result.violations.map(({ property }) => property.name)
  })

/** Explores without holding the event loop, and prints the progress once a second. */
const exhaust = (options: Options, setup: Model.Setup, start: number): Effect.Effect<Progress> =>
  Effect.gen(function*() {
    const exploration = explore(setup, { maxStates: options.states })
    let printedAt = start
    while (true) {
      const { done, value } = exploration.next()
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

const printProgress = ({ frontier, states, steps }: Progress, millis: number): string =>
  `${states} states, ${frontier} of them not visited yet, ${steps} steps deep, ${
    Math.round(states / millis)
  } thousand a second`

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`

const text = (options: Options, setup: Model.Setup, result: Progress, seconds: number): string => {
  const { handovers, kills, pauses, stops } = options
  const { frontier, services, states, steps, transitions, violations } = result
  return [
    `witnessed; at most ${count(kills, "kill")}, ${count(stops, "stop")}, ${count(pauses, "pause")}, ${
      count(handovers, "handover")
    }; messages, questions to the witness and its answers are lost or late by any time, and overtake each other`,
    `${states} states${frontier === 0 ? ", which are all" : `, ${frontier} of them not visited`}, ${transitions} ` +
    `transitions, ${count(steps, "step")} deep, ${seconds.toFixed(1)} s; a tick is half a heartbeat`,
    "properties, each what must never be:",
    ...Model.properties.map(({ exception, name, sentence }) =>
      `  ${name}: ${sentence}${exception === undefined ? "" : ` (except ${exception})`}`
    ),
    "service, from a sample of these states on:",
    ...services.map(({ refusals, situation, starts, worstTicks }) =>
      `  ${situation}: within ${count(worstTicks, "tick")}, from ${count(starts, "state")}${
        refusals === 0 ? "" : `; ${refusals} refused`
      }`
    ),
    ...violations.map((violation) => printViolation(setup, violation)),
    violations.length === 0 ? "no property is violated" : "properties are violated"
  ].join("\n")
}

const printViolation = (setup: Model.Setup, violation: Violation): string =>
  [
    "",
    `${violation.property.name}, after ${count(violation.steps, "step")}: ${violation.property.sentence}`,
    ...Trace.linesOf(setup, violation).map(({ subject, text, tick }) =>
      `  ${String(tick).padStart(3)}  ${subject.padEnd(7)}  ${text}`
    ),
    ""
  ].join("\n")

const json = (
  { handovers, kills, pauses, states: maxStates, stops }: Options,
  setup: Model.Setup,
  { violations, ...counts }: Progress,
  seconds: number
): string =>
  JSON.stringify(
    {
      policy: "witnessed",
      kills,
      stops,
      pauses,
      handovers,
      maxStates,
      ...counts,
      seconds,
      properties: Model.properties,
      violations: violations.map((violation) => ({
        property: violation.property.name,
        sentence: violation.property.sentence,
        situation: violation.situation,
        steps: violation.steps,
        moves: violation.trace,
        trace: Trace.linesOf(setup, violation)
      }))
    },
    undefined,
    2
  )

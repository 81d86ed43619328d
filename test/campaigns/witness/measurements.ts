/**
 * Single figures of a pair with a witness. Each measurement returns lines of a table, and what they were made of.
 */
import { Effect, Fiber, Option, SubscriptionRef } from "effect"
import type { Scope } from "effect"
import { BinaryStarClient, ZmqClientLink } from "../../../src/index.ts"
import type { Role } from "../../support/processes.ts"
import { roles } from "../../support/processes.ts"
import type { Answer } from "../chaos/history.ts"
import { dualAnswers } from "../chaos/history.ts"
import type { Pair } from "../chaos/nodes.ts"
import { activeOf } from "../chaos/nodes.ts"
import type { Observers } from "../chaos/observers.ts"
import { makeObservers } from "../chaos/observers.ts"
import type { Ranks } from "./report.ts"
import { ranks } from "./report.ts"
import type { Options, Rig } from "./rig.ts"
import { allOf, between, isolation, isWholeAgain, makeRig, restart, startEngine, startPair } from "./rig.ts"

export interface MeasureOptions extends Options {
  readonly rounds: number
}

/** A line of the table. Times are in milliseconds. */
export interface Measured {
  readonly what: string
  readonly values: ReadonlyArray<number>
  readonly ranks: Ranks
  readonly remark: string
}

export type Measurement = (
  options: MeasureOptions,
  progress: (text: string) => Effect.Effect<void>
) => Effect.Effect<ReadonlyArray<Measured>>

const measured = (what: string, values: ReadonlyArray<number>, remark = ""): Measured => ({
  what,
  values,
  ranks: ranks(values),
  remark
})

/** Between two requests of an observer. */
const observerMillis = 2

/** So long that an observer is connected. */
const connectMillis = 300

const active = (pair: Pair): Effect.Effect<Role> => Effect.map(SubscriptionRef.get(pair.states), activeOf)

/** A pair that is not whole again is restarted, and the round is told. */
const mend = (pair: Pair, options: Options, progress: (text: string) => Effect.Effect<void>, attempts = 3) =>
  Effect.gen(function*() {
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (yield* isWholeAgain(pair, options)) {
        return
      }
      yield* progress("the pair is not whole again: both are restarted")
      yield* restart(pair)
    }
    const lines = pair.takeLines().slice(-10).map(({ role, text }) => `${role}: ${text}`)
    const exits = pair.takeExits().slice(-2).map(({ how, role, stderr }) => `${role} ended with ${how}: ${stderr}`)
    return yield* Effect.dieMessage(["the pair is never whole", ...lines, ...exits].join("\n"))
  })

/** Requests to both servers while an effect runs. */
const observing = <A>(
  pair: Pair,
  body: (observers: Observers) => Effect.Effect<A, never, Scope.Scope>,
  periodMillis = observerMillis
): Effect.Effect<A> =>
  Effect.scoped(Effect.gen(function*() {
    const observers = yield* makeObservers(pair, undefined, periodMillis)
    yield* Effect.sleep(connectMillis)
    return yield* body(observers)
  }))

/** The answers until one fits, or until the time limit. */
const answersUntil = (
  observers: Observers,
  limitMillis: number,
  fits: (answer: Answer) => boolean
): Effect.Effect<ReadonlyArray<Answer>> =>
  Effect.gen(function*() {
    const answers: Array<Answer> = []
    const until = performance.now() + limitMillis
    while (!answers.some(fits) && performance.now() < until) {
      yield* Effect.sleep(5)
      answers.push(...observers.take())
    }
    return answers
  })

/** Forgets the records of a round, and tells of servers that ended by themselves. */
const forget = (pair: Pair, rig: Rig, progress: (text: string) => Effect.Effect<void>): Effect.Effect<void> => {
  pair.takeLines()
  rig.takeChanges()
  return Effect.forEach(
    pair.takeExits(),
    ({ how, role, stderr }) => progress(`UNEXPECTED: the ${role} ended with ${how}: ${stderr}`),
    { discard: true }
  )
}

/** kill -9 of the active server until the other answers: with a witness that is up, with one that is dead, and without one. */
export const failover: Measurement = (options, progress) =>
  Effect.gen(function*() {
    const rig = yield* makeRig(options)
    const start = (offset: number, hasWitness: boolean) =>
      Effect.gen(function*() {
        const engine = hasWitness ? yield* startEngine(rig, options) : undefined
        return { engine, pair: yield* startPair(rig, options, engine, { offset }) }
      })
    const cases = {
      "without a witness": yield* start(0, false),
      ...options.engine === "none" ? {} : {
        "witness up": yield* start(100, true),
        "witness dead": yield* start(200, true)
      }
    }
    const millis = new Map(Object.keys(cases).map((what) => [what, [] as Array<number>]))
    for (const { engine, pair } of Object.values(cases)) {
      yield* mend(pair, options, progress)
      if (cases["witness dead"]?.engine === engine) {
        yield* engine?.kill ?? Effect.void
      }
    }
    for (let round = 1; round <= options.rounds; round++) {
      for (const [what, { pair }] of Object.entries(cases)) {
        yield* mend(pair, options, progress)
        const victim = yield* active(pair)
        const at = yield* observing(pair, (observers) =>
          Effect.gen(function*() {
            const killedAt = performance.now()
            const restarting = yield* Effect.forkDaemon(pair.nodes[victim].end("SIGKILL", 3 * options.heartbeatMillis))
            const answers = yield* answersUntil(observers, 20_000, ({ role }) => role !== victim)
            yield* Fiber.join(restarting)
            return answers.find(({ role }) => role !== victim)!.received - killedAt
          }))
        millis.get(what)!.push(at)
        yield* forget(pair, rig, progress)
      }
      yield* progress(`round ${round} of ${options.rounds}`)
    }
    return [...millis].map(([what, values]) => measured(`kill -9 to the next answer, ${what}`, values))
  }).pipe(Effect.scoped)

/** A request every so often, whether the one before has been answered or not. */
const steadyMillis = 10

const lateMillis = 100

/** The latencies of a steady client for some time; a request that failed has none. */
const steady = (pair: Pair, forMillis: number) =>
  Effect.gen(function*() {
    const client = yield* BinaryStarClient.make({
      servers: roles.map((role) => pair.at[role].frontend),
      timeout: "10 seconds"
    }).pipe(Effect.provide(ZmqClientLink.layer), Effect.orDie)
    yield* Effect.orDie(client.request("first"))
    const start = performance.now()
    const count = Math.round(forMillis / steadyMillis)
    return yield* Effect.forEach(Array.from({ length: count }, (_, i) => start + i * steadyMillis), (at) =>
      Effect.suspend(() =>
        Effect.sleep(Math.max(0, at - performance.now()))
      ).pipe(
        Effect.zipRight(Effect.option(client.request("steady"))),
        Effect.map(Option.map(() => performance.now() - at))
      ), { concurrency: "unbounded" })
  }).pipe(Effect.scoped)

/** The link between the servers is cut with both live: answers that are lost or late, beside as many without a cut. */
export const cutLink: Measurement = (options, progress) =>
  Effect.gen(function*() {
    const rig = yield* makeRig(options)
    const pair = yield* startPair(rig, options, yield* startEngine(rig, options))
    const forMillis = 15 * options.heartbeatMillis
    const latencies = { cut: [] as Array<Option.Option<number>>, calm: [] as Array<Option.Option<number>> }
    let takeovers = 0
    let duals = 0
    for (let round = 1; round <= options.rounds; round++) {
      yield* mend(pair, options, progress)
      yield* observing(pair, () =>
        Effect.map(steady(pair, forMillis), (calm) => latencies.calm.push(...calm)), steadyMillis)
      const before = yield* active(pair)
      const cut = rig.wires.during(between("primary", ["backup"]), "cut")(Effect.sleep(10 * options.heartbeatMillis))
      const cutting = yield* Effect.forkDaemon(Effect.delay(cut, options.heartbeatMillis))
      yield* observing(pair, (observers) =>
        Effect.gen(function*() {
          latencies.cut.push(...yield* steady(pair, forMillis))
          duals += dualAnswers(observers.take(), options.heartbeatMillis).length > 0 ? 1 : 0
        }), steadyMillis)
      yield* Fiber.join(cutting)
      yield* mend(pair, options, progress)
      takeovers += before === (yield* active(pair)) ? 0 : 1
      yield* forget(pair, rig, progress)
      yield* progress(`round ${round} of ${options.rounds}`)
    }
    return Object.entries(latencies).map(([what, all]) => {
      const answered = all.flatMap(Option.toArray)
      const late = answered.filter((millis) =>
        millis > lateMillis
      ).length
      return measured(
        what === "cut" ? "link cut, both live: latency of a steady client" : "  the same without a cut",
        answered,
        `${all.length} requests, ${all.length - answered.length} lost, ${late} late by over ${lateMillis} ms` +
          (what === "cut" ? `; in ${options.rounds} rounds ${takeovers} takeovers, ${duals} times two answering` : "")
      )
    })
  }).pipe(Effect.scoped)

/** The active server is cut off from its peer and the witness, and clients reach it: when it stops, and when the other starts. */
export const isolated: Measurement = (options, progress) =>
  Effect.gen(function*() {
    const rig = yield* makeRig(options)
    const pair = yield* startPair(rig, options, yield* startEngine(rig, options))
    const stops: Array<number> = []
    const starts: Array<number> = []
    let tooLong = 0
    let both = 0
    let never = 0
    for (let round = 1; round <= options.rounds; round++) {
      yield* mend(pair, options, progress)
      const victim = yield* active(pair)
      const { answers, cutAt } = yield* observing(pair, (observers) =>
        rig.wires.during(isolation(victim), "cut")(Effect.gen(function*() {
          const cutAt = performance.now()
          const first = yield* answersUntil(observers, 12 * options.heartbeatMillis, ({ role }) =>
            role !== victim)
          const more = yield* answersUntil(observers, 2 * options.heartbeatMillis, () => false)
          return { answers: [...first, ...more], cutAt }
        })))
      // An answer was made between `sent` and `received`.
      const own = answers.filter(({ role }) =>
        role === victim
      )
      const firstOfOther = Math.min(...answers.filter(({ role }) => role !== victim).map(({ received }) => received))
      const lastSent = Math.max(...own.map(({ sent }) => sent))
      stops.push(Math.max(...own.map(({ received }) => received)) - cutAt)
      if (Number.isFinite(firstOfOther)) {
        starts.push(firstOfOther - cutAt)
      } else {
        never++
      }
      tooLong += lastSent - cutAt > 1.5 * options.heartbeatMillis ? 1 : 0
      both += lastSent > firstOfOther ? 1 : 0
      if (lastSent > firstOfOther || lastSent - cutAt > 1.5 * options.heartbeatMillis) {
        const lines = pair.takeLines().map(({ at, role, text }) => `  ${(at - cutAt).toFixed(1)} ${role}: ${text}`)
        yield* progress(
          [
            `last answer of the ${victim} ${(lastSent - cutAt).toFixed(1)}, first of the other ${
              (firstOfOther - cutAt).toFixed(1)
            }`,
            ...lines
          ].join("\n")
        )
      }
      yield* forget(pair, rig, progress)
      if (round % 10 === 0) {
        yield* progress(`round ${round} of ${options.rounds}`)
      }
    }
    return [
      measured(
        "active cut off from both: its last answer",
        stops,
        `later than 1.5 heartbeats: ${tooLong} of ${options.rounds}; after the first answer of the other: ${both}`
      ),
      measured("  first answer of the other", starts, `${never} without one`)
    ]
  }).pipe(Effect.scoped)

/** Power fails on both hosts, and only that of the backup comes back: from its start to its first answer. */
export const lone: Measurement = (options, progress) =>
  Effect.gen(function*() {
    const rig = yield* makeRig(options)
    const pair = yield* startPair(rig, options, yield* startEngine(rig, options))
    const fromStart: Array<number> = []
    const fromReady: Array<number> = []
    let never = 0
    const limitMillis = 10 * options.heartbeatMillis
    for (let round = 1; round <= options.rounds; round++) {
      yield* mend(pair, options, progress)
      const { primary, backup } = pair.nodes
      const primaryGone = rig.wires.during(allOf("primary"), "cut")(primary.end("SIGKILL", limitMillis + 2000))
      const gone = yield* Effect.forkDaemon(primaryGone)
      yield* rig.wires.during(allOf("backup"), "cut")(backup.end("SIGKILL", options.heartbeatMillis))
      const startedAt = performance.now()
      const incarnation = backup.incarnation()
      const answers = yield* observing(
        pair,
        (observers) => answersUntil(observers, limitMillis, ({ role }) => role === "backup")
      )
      const line = pair.takeLines().find((line) => line.role === "backup" && line.incarnation === incarnation)
      const first = answers.find(({ role }) => role === "backup")
      if (first === undefined) {
        never++
      } else {
        fromStart.push(first.received - startedAt)
        fromReady.push(first.received - line!.at)
      }
      yield* Fiber.join(gone)
      yield* progress(`round ${round} of ${options.rounds}`)
      yield* forget(pair, rig, progress)
    }
    const inHeartbeats = (values: ReadonlyArray<number>) =>
      values.length === 0
        ? ""
        : `the longest ${(Math.max(...values) / options.heartbeatMillis).toFixed(2)} heartbeats; `
    return [
      measured(
        "lone backup: from its process to its first answer",
        fromStart,
        `${inHeartbeats(fromStart)}${never} without one`
      ),
      measured("  from its first log line", fromReady, inHeartbeats(fromReady))
    ]
  }).pipe(Effect.scoped)

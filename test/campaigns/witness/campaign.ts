/**
 * Rounds: some disturbances, then recovery until the pair is whole again, then a judgement of the records.
 */
import { Effect, SubscriptionRef } from "effect"
import type { Scope } from "effect"
import type { Role } from "../../support/processes.ts"
import { other, roles } from "../../support/processes.ts"
import type { Answer, DualAnswers, Served } from "../chaos/history.ts"
import { dualAnswers, firstAfter } from "../chaos/history.ts"
import type { Line, Pair, UnexpectedExit } from "../chaos/nodes.ts"
import { activeOf } from "../chaos/nodes.ts"
import type { Observers } from "../chaos/observers.ts"
import { makeObservers } from "../chaos/observers.ts"
import { playRounds } from "../chaos/rounds.ts"
import type { Moment } from "../chaos/timeline.ts"
import { timeline } from "../chaos/timeline.ts"
import type { UserRequest, Users } from "../chaos/users.ts"
import { makeUsers } from "../chaos/users.ts"
import type { Change, Gap, Span } from "./availability.ts"
import { longestGap } from "./availability.ts"
import type { Choices, Kind, Strike } from "./disturbances.ts"
import { disturbance, isOfLink, wiresOf } from "./disturbances.ts"
import type { WitnessEngine } from "./engines.ts"
import type { Load, Sample } from "./load.ts"
import { makeLoad, shareOf } from "./load.ts"
import type { Options as RigOptions, Rig } from "./rig.ts"
import { calmMillis, isWholeAgain, makeRig, makeStalls, restart, startEngine, startPair } from "./rig.ts"

export interface Options extends RigOptions {
  readonly seed: number
  readonly rounds: number
  /** The number of the first round. */
  readonly from: number
  readonly kinds: Choices["kinds"]
  /** The most disturbances of a round. */
  readonly most: number
  readonly users: number
}

/** A property that a round broke. */
export interface Finding {
  readonly round: number
  readonly what: "two answering" | "none answering" | "lost request" | "unexpected exit" | "not whole again"
  readonly details: string
  /** False for what no pair without a witness can prevent. */
  readonly isFault: boolean
}

/** The results of a round. Times are in milliseconds. */
export interface Round {
  readonly number: number
  readonly strikes: ReadonlyArray<Strike>
  /** From the only disturbance of the round, if the active server cannot go on, until the next answer. */
  readonly failover: { readonly kind: Kind; readonly millis: number } | undefined
  readonly recoveryMillis: number
  readonly duals: ReadonlyArray<DualAnswers>
  readonly gap: Gap
  /** The share of the gap that processes had to wait for a processor. */
  readonly waited: number
  readonly answers: number
  readonly requests: number
  readonly resent: number
  readonly findings: ReadonlyArray<Finding>
  /** All events of the round. Empty without a finding. */
  readonly timeline: ReadonlyArray<string>
}

/** A disturbance that was carried out. */
export interface Struck {
  readonly strike: Strike
  readonly role: Role
  readonly incarnation: number
  readonly at: number
  readonly until: number
}

/** What disturbances act on. */
export interface Disturbed {
  readonly rig: Rig
  readonly engine: WitnessEngine
  readonly pair: Pair
}

interface Harness extends Disturbed {
  readonly options: Options
  readonly observers: Observers
  readonly users: Users
  readonly stalls: { readonly take: () => ReadonlyArray<Span> }
  readonly load: Load
}

/** Between two requests of an observer, and of a user. */
const observerMillis = 4
const userMillis = 20

/** Plays all rounds, and reports each when it has ended. */
export const play = (options: Options, report: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.gen(function*() {
    const harness = yield* makeHarness(options)
    if (!(yield* isWholeAgain(harness.pair, options))) {
      const lines = harness.pair.takeLines().map(({ role, text }) => `${role}: ${text}`)
      const exits = harness.pair.takeExits().map(({ how, role, stderr }) => `${role} ended with ${how}: ${stderr}`)
      return yield* Effect.dieMessage(`the pair does not start\n${[...lines, ...exits.slice(0, 4)].join("\n")}`)
    }
    return yield* playRounds(options, (number) => playRound(harness, number), report)
  }).pipe(Effect.scoped)

const makeHarness = (options: Options): Effect.Effect<Harness, never, Scope.Scope> =>
  Effect.gen(function*() {
    const rig = yield* makeRig(options)
    const engine = yield* startEngine(rig, options)
    const pair = yield* startPair(rig, options, engine)
    return {
      options,
      rig,
      engine,
      pair,
      observers: yield* makeObservers(pair, undefined, observerMillis),
      users: yield* makeUsers(pair, options.users, undefined, userMillis),
      stalls: yield* makeStalls,
      load: yield* makeLoad(() => [
        process.pid,
        rig.network.pid,
        engine.pid(),
        pair.nodes.primary.pid(),
        pair.nodes.backup.pid()
      ])
    }
  })

const playRound = (harness: Harness, number: number): Effect.Effect<Round> =>
  Effect.gen(function*() {
    const { load, observers, options, pair, rig, stalls, users } = harness
    observers.take()
    users.take()
    pair.takeLines()
    pair.takeExits()
    rig.takeChanges()
    stalls.take()
    load.take()
    const from = performance.now()
    const incarnations = { primary: pair.nodes.primary.incarnation(), backup: pair.nodes.backup.incarnation() }
    const active = activeOf(yield* SubscriptionRef.get(pair.states))
    const strikes = yield* Effect.forEach(
      disturbance(options.seed, number, options),
      (strike) =>
        Effect.tap(
          carryOut(harness, strike, strike.target === "active" ? active : other(active)),
          ({ role }) => hidesHost(strike.kind) ? observers.reconnect(role) : Effect.void
        ),
      { concurrency: "unbounded" }
    )
    const over = performance.now()
    const isWhole = yield* isWholeAgain(pair, options)
    const to = performance.now()
    const lines = pair.takeLines()
    const recorded: Recorded = {
      number,
      strikes,
      active,
      isWhole,
      recoveryMillis: to - over - calmMillis(options.heartbeatMillis),
      span: { from, to },
      lines,
      changes: [...rig.takeChanges(), ...startsOf(lines, incarnations)],
      stalls: stalls.take(),
      load: load.take(),
      exits: pair.takeExits(),
      answers: observers.take(),
      requests: users.take().requests
    }
    if (!isWhole) {
      yield* restart(pair)
      yield* isWholeAgain(pair, options)
    }
    return judge(options, recorded)
  })

/** When each new process of a server was ready. */
const startsOf = (
  lines: ReadonlyArray<Line>,
  before: { readonly [R in Role]: number }
): ReadonlyArray<Change> =>
  roles.flatMap((role) => {
    const later = lines.filter((line) => line.role === role && line.incarnation > before[role])
    return [...new Set(later.map(({ incarnation }) => incarnation))].map((incarnation) => ({
      at: later.find((line) => line.incarnation === incarnation)!.at,
      fact: role,
      isUp: true
    }))
  })

/** Whether clients have lost their connections afterwards. */
const hidesHost = (kind: Kind): boolean => kind === "power" || kind === "island"

export const carryOut = (disturbed: Disturbed, strike: Strike, role: Role): Effect.Effect<Struck> =>
  Effect.gen(function*() {
    yield* Effect.sleep(strike.afterMillis)
    const incarnation = disturbed.pair.nodes[role].incarnation()
    const at = performance.now()
    yield* perform(disturbed, strike, role)
    return { strike, role, incarnation, at, until: performance.now() }
  })

const perform = ({ engine, pair, rig }: Disturbed, strike: Strike, role: Role): Effect.Effect<void> => {
  const { delayMillis, kind, lastsMillis } = strike
  const node = pair.nodes[role]
  const set = (fact: string, isUp: boolean) => Effect.sync(() => rig.record({ at: performance.now(), fact, isUp }))
  const whileStopped = (fact: string, stop: Effect.Effect<void>, go: Effect.Effect<void>) =>
    Effect.zipRight(set(fact, false), stop).pipe(
      Effect.zipRight(Effect.sleep(lastsMillis)),
      Effect.ensuring(Effect.zipRight(go, set(fact, true)))
    )
  const cut = rig.wires.during(wiresOf(strike, role, other(role)), kind === "delay" ? delayMillis : "cut")
  switch (kind) {
    case "kill":
    case "term":
      return Effect.zipRight(set(role, false), node.end(kind === "kill" ? "SIGKILL" : "SIGTERM", lastsMillis))
    case "power":
      return cut(Effect.zipRight(set(role, false), node.end("SIGKILL", lastsMillis)))
    case "stop":
      return whileStopped(role, node.signal("SIGSTOP"), node.signal("SIGCONT"))
    case "island":
    case "peer":
    case "witnessed":
    case "isolate":
    case "delay":
      return cut(Effect.sleep(lastsMillis))
    case "witness-stop":
      return whileStopped("witness", engine.pause, engine.resume)
    case "witness-kill":
      return Effect.zipRight(set("witness", false), engine.kill).pipe(
        Effect.zipRight(Effect.sleep(lastsMillis)),
        Effect.zipRight(Effect.orDie(engine.start)),
        Effect.zipRight(set("witness", true))
      )
  }
}

interface Recorded {
  readonly number: number
  readonly strikes: ReadonlyArray<Struck>
  readonly active: Role
  readonly isWhole: boolean
  readonly recoveryMillis: number
  readonly span: Span
  readonly lines: ReadonlyArray<Line>
  readonly changes: ReadonlyArray<Change>
  readonly stalls: ReadonlyArray<Span>
  readonly load: ReadonlyArray<Sample>
  readonly exits: ReadonlyArray<UnexpectedExit>
  readonly answers: ReadonlyArray<Answer>
  readonly requests: ReadonlyArray<UserRequest>
}

/** Of a time in which processes had to wait longer for a processor, no duration is judged. */
const mostWaited = 0.1

/** The longest time that none may answer while two of the three can talk. */
export const mostGapMillis = (heartbeatMillis: number) => 2 * heartbeatMillis + 1000

const judge = (options: Options, recorded: Recorded): Round => {
  const { active, answers, changes, exits, isWhole, number, recoveryMillis, requests, span, stalls, strikes } = recorded
  const hasWitness = options.engine !== "none"
  const duals = dualAnswers(answers, options.heartbeatMillis)
  const received = [
    ...answers.map(({ received }) => received),
    ...requests.flatMap(({ servedBy }) => servedBy?.at ?? [])
  ]
  const gap = longestGap(changes, received, stalls, span)
  const waited = shareOf(recorded.load, { from: gap.from - 2 * options.heartbeatMillis, to: gap.to })
  const since = (at: number) => `${(at - span.from).toFixed(1)} ms`
  const finding = (what: Finding["what"], details: string, isFault: boolean): Finding => ({
    round: number,
    what,
    details,
    isFault
  })
  const isCut = strikes.some(({ strike: { kind } }) => isOfLink(kind))
  const findings = [
    ...duals.map(({ count, from, to }) =>
      finding("two answering", `${count} answers between ${since(from)} and ${since(to)}`, hasWitness || !isCut)
    ),
    ...gap.millis > mostGapMillis(options.heartbeatMillis)
      ? [
        finding(
          "none answering",
          `${gap.millis.toFixed(0)} ms, ${since(gap.from)} to ${since(gap.to)}; processes waited for a processor for ` +
            `${(100 * waited).toFixed(0)} % of the time`,
          hasWitness && waited < mostWaited
        )
      ]
      : [],
    ...requests.flatMap(({ end, fault }) =>
      fault === undefined ? [] : [finding("lost request", `${fault} at ${since(end)}`, hasWitness)]
    ),
    ...exits.map(({ at, how, incarnation, role, stderr }) =>
      finding("unexpected exit", `${role}#${incarnation} ended with ${how} at ${since(at)}: ${stderr.trim()}`, true)
    ),
    ...isWhole ? [] : [finding("not whole again", `after ${recoveryMillis.toFixed(0)} ms`, true)]
  ]
  return {
    number,
    strikes: strikes.map(({ strike }) => strike),
    failover: failoverOf(active, strikes, answers),
    recoveryMillis,
    duals,
    gap,
    waited,
    answers: answers.length,
    requests: requests.length,
    resent: requests.filter(({ attempts }) => attempts > 1).length,
    findings,
    timeline: findings.length === 0
      ? []
      : timeline({ ...recorded, moments: [...strikes.flatMap(momentsOf), ...changes.map(momentOf)] }, span.from)
  }
}

/** What ends the service of the active server. */
const ending: ReadonlyArray<Kind> = ["kill", "term", "stop", "power", "isolate", "island"]

const failoverOf = (
  active: Role,
  strikes: ReadonlyArray<Struck>,
  answers: ReadonlyArray<Answer>
): Round["failover"] => {
  const [struck, ...others] = strikes
  if (struck === undefined || others.length > 0 || struck.role !== active || !ending.includes(struck.strike.kind)) {
    return undefined
  }
  const { at, incarnation, role, strike: { kind }, until } = struck
  const served = answers.map((answer): Served => ({ ...answer, at: answer.received }))
  const first = firstAfter({ role, incarnation, at, continuesAt: until }, served)
  return first && { kind, millis: first.at - at }
}

export const describe = ({ delayMillis, delayed, direction, kind, target }: Strike): string => {
  switch (kind) {
    case "delay":
      return `delay ${delayed} ${target} ${direction} ${delayMillis.toFixed(0)} ms`
    case "peer":
    case "witnessed":
    case "isolate":
      return `${kind} ${target} ${direction}`
    case "witness-stop":
    case "witness-kill":
      return kind
    default:
      return `${kind} ${target}`
  }
}

export const momentsOf = ({ at, incarnation, role, strike, until }: Struck): ReadonlyArray<Moment> => [
  { at, who: `${role}#${incarnation}`, what: `STRUCK: ${describe(strike)}` },
  { at: until, who: `${role}#${incarnation}`, what: `over: ${describe(strike)}` }
]

export const momentOf = ({ at, fact, isUp }: Change): Moment => ({
  at,
  who: "rig",
  what: `${fact} ${isUp ? "up" : "down"}`
})

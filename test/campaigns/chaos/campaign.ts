/**
 * Rounds: a disturbance, then recovery until the pair is whole again, then a judgement of the records.
 */
import { Effect, Option, SubscriptionRef } from "effect"
import type { Scope } from "effect"
import { makeKeyFiles } from "../../support/keys.ts"
import type { Links } from "../../support/links.ts"
import type { Role } from "../../support/processes.ts"
import { other } from "../../support/processes.ts"
import type { Choices, Disturbance, Kind, Strike, Target } from "./disturbances.ts"
import { disturbance, isOfNetwork } from "./disturbances.ts"
import type { Answer, Blow, DualAnswers } from "./history.ts"
import { dualAnswers, firstAfter } from "./history.ts"
import type { Switched } from "./network.ts"
import { makeNetwork } from "./network.ts"
import type { Line, Pair, UnexpectedExit } from "./nodes.ts"
import { activeOf, makePair, newlyActive, whole } from "./nodes.ts"
import type { Observers } from "./observers.ts"
import { client, makeObservers } from "./observers.ts"
import type { Keys, LinkKind } from "./parts.ts"
import { linksOf, parts } from "./parts.ts"
import { playRounds } from "./rounds.ts"
import type { Moment } from "./timeline.ts"
import { timeline } from "./timeline.ts"
import type { UserRequest, Users } from "./users.ts"
import { makeUsers } from "./users.ts"

export interface Options {
  readonly seed: number
  readonly rounds: number
  /** The number of the first round. */
  readonly from: number
  readonly policy: "hardened" | "classic"
  readonly heartbeatMillis: number
  readonly kinds: Choices["kinds"]
  readonly target: Target | undefined
  /** The smallest and the largest one-way delay of the link between the servers, in heartbeats. Defaults to a direct link. */
  readonly delays: Choices["delays"]
  readonly link: LinkKind
  /** Whether the servers and all clients have keys. */
  readonly keys: Keys
  readonly users: number
  readonly observers: boolean
  /** The file of the command. */
  readonly program: string
}

/** A property that a round broke. */
export interface Finding {
  readonly round: number
  readonly what: "dual answers" | "outage" | "lost request" | "unexpected exit" | "not whole again"
  readonly details: string
  /** False for dual answers while the network is cut: no pair without a third party can prevent them. */
  readonly isFault: boolean
}

/** The results of a round. Times are in milliseconds. */
export interface Round {
  readonly number: number
  readonly kind: Kind
  readonly target: Target
  /** From the signal to the active server until the next reply to a user, and the server that sent it. */
  readonly failover: { readonly millis: number; readonly by: "victim" | "other" } | undefined
  /** From the same signal until the log lines of the other server. */
  readonly noticedMillis: number | undefined
  readonly tookOverMillis: number | undefined
  /** From the end of the disturbance until the pair was whole, without the time for which it had to stay so. */
  readonly recoveryMillis: number
  readonly duals: ReadonlyArray<DualAnswers>
  /** The longest time without an answer, in a round in which a server had to answer. */
  readonly longestGapMillis: number | undefined
  readonly requests: number
  readonly failed: number
  /** Requests that were sent more than once, and second replies. */
  readonly resent: number
  readonly executedAgain: number
  readonly slowestMillis: number
  readonly findings: ReadonlyArray<Finding>
  /** All events of the round. Empty without a fault. */
  readonly timeline: ReadonlyArray<string>
}

/** A strike that was carried out. */
interface Struck extends Blow {
  readonly what: string
  readonly lastsMillis: number
}

interface Harness {
  readonly options: Options
  readonly network: Switched | undefined
  readonly links: Links | undefined
  readonly pair: Pair
  readonly observers: Observers
  readonly users: Users
  readonly calmMillis: number
}

/** The time limit of a recovery. */
const limitMillis = (heartbeatMillis: number) => 15_000 + 20 * heartbeatMillis

const wait = ({ calmMillis, options, pair }: Harness) => whole(pair, calmMillis, limitMillis(options.heartbeatMillis))

/** Plays all rounds, and reports each when it has ended. */
export const play = (options: Options, report: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.map(Effect.forEach(parts(options), (part) => playPart(part, report)), (rounds) => rounds.flat())

const playPart = (options: Options, report: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.gen(function*() {
    const harness = yield* makeHarness(options)
    yield* wait(harness)
    return yield* playRounds(options, (number) => playRound(harness, number), report)
  }).pipe(Effect.scoped)

const makeHarness = (options: Options): Effect.Effect<Harness, never, Scope.Scope> =>
  Effect.gen(function*() {
    const network = options.kinds.some(isOfNetwork) ? yield* makeNetwork : undefined
    const links = yield* linksOf(options)
    const keys = options.keys === "on" ? yield* makeKeyFiles([client]) : undefined
    const pair = yield* makePair({
      ...options,
      heartbeat: `${options.heartbeatMillis} millis`,
      network,
      links,
      keys
    })
    return {
      options,
      network,
      links,
      pair,
      observers: options.observers
        ? yield* makeObservers(pair, keys)
        : { take: () => [], reconnect: () => Effect.void },
      users: yield* makeUsers(pair, options.users, keys),
      calmMillis: Math.max(1.5 * options.heartbeatMillis, 150)
    }
  })

const playRound = (harness: Harness, number: number): Effect.Effect<Round> =>
  Effect.gen(function*() {
    const { links, observers, options, pair, users } = harness
    // Records from before the round do not count.
    observers.take()
    users.take()
    const done = disturbance(options.seed, number, options)
    yield* links?.setDelay(done.delayMillis) ?? Effect.void
    const active = activeOf(yield* SubscriptionRef.get(pair.states))
    const before = yield* Effect.forEach(
      done.strikes,
      (strike) => carryOut(harness, done, strike, strike.target === "active" ? active : other(active)),
      { concurrency: "unbounded" }
    )
    const early = done.then && (yield* carryOutEarly(harness, done, done.then))
    const strikes = early === undefined ? before : [...before, early]
    const over = performance.now()
    const isWhole = yield* wait(harness)
    const recoveryMillis = performance.now() - over - harness.calmMillis
    const recorded: Recorded = {
      number,
      done,
      strikes,
      early,
      active,
      isWhole,
      recoveryMillis,
      lines: pair.takeLines(),
      exits: pair.takeExits(),
      answers: observers.take(),
      ...users.take()
    }
    if (!isWhole) {
      yield* restart(harness)
    }
    return judge(options, recorded)
  })

/** Restarts both servers for the next round. */
const restart = (harness: Harness) =>
  Effect.zipRight(
    Effect.forEach([harness.pair.nodes.primary, harness.pair.nodes.backup], (node) => node.end("SIGKILL", 0), {
      concurrency: "unbounded"
    }),
    wait(harness)
  )

const carryOut = (
  { network, pair }: Harness,
  { kind, target }: Disturbance,
  { afterMillis, lastsMillis }: Strike,
  role: Role
): Effect.Effect<Struck> =>
  Effect.gen(function*() {
    const node = pair.nodes[role]
    const off = target === "both" ? "link" : role
    yield* Effect.sleep(afterMillis)
    const blow = { role, incarnation: node.incarnation(), at: performance.now(), lastsMillis }
    const lasting = (what: string, begin: Effect.Effect<void>, end: Effect.Effect<void>) =>
      begin.pipe(
        Effect.zipRight(Effect.sleep(lastsMillis)),
        Effect.ensuring(end),
        Effect.map((): Struck => ({ ...blow, what, continuesAt: performance.now() }))
      )
    switch (kind) {
      case "kill":
      case "early":
        return yield* Effect.as(node.end("SIGKILL", lastsMillis), { ...blow, what: "SIGKILL" })
      case "term":
        return yield* Effect.as(node.end("SIGTERM", lastsMillis), { ...blow, what: "SIGTERM" })
      case "stop":
        return yield* lasting("SIGSTOP", node.signal("SIGSTOP"), node.signal("SIGCONT"))
      case "cut":
      case "delay":
        return yield* lasting(
          off === "link" ? "is cut off from its peer" : "is cut off",
          network?.cut(off) ?? Effect.void,
          network?.heal(off) ?? Effect.void
        )
    }
  })

/** Does nothing when no server becomes active in time. */
const carryOutEarly = (
  harness: Harness,
  done: Disturbance,
  { afterMillis, lastsMillis }: NonNullable<Disturbance["then"]>
): Effect.Effect<Struck | undefined> =>
  Effect.flatMap(
    newlyActive(harness.pair, done.target === "passive", limitMillis(harness.options.heartbeatMillis)),
    Option.match({
      onNone: () => Effect.succeed(undefined),
      onSome: (role) => carryOut(harness, done, { target: "active", afterMillis, lastsMillis }, role)
    })
  )

interface Recorded {
  readonly number: number
  readonly done: Disturbance
  readonly strikes: ReadonlyArray<Struck>
  readonly early: Struck | undefined
  readonly active: Role
  readonly isWhole: boolean
  readonly recoveryMillis: number
  readonly lines: ReadonlyArray<Line>
  readonly exits: ReadonlyArray<UnexpectedExit>
  readonly answers: ReadonlyArray<Answer>
  readonly requests: ReadonlyArray<UserRequest>
  readonly late: ReadonlyArray<unknown>
}

/** Added to three heartbeats, for a busy machine. */
const outageGraceMillis = 100

/**
 * The time from which on a server has to answer: a strike at one of the servers, or an early strike after one of the servers has
 * received a heartbeat from the other.
 */
const servedFrom = ({ done, early, lines, strikes }: Recorded): number | undefined => {
  if (isOfNetwork(done.kind)) {
    return undefined
  }
  if (early === undefined) {
    return strikes.length === 1 ? strikes[0]!.at : undefined
  }
  const started = Math.max(...strikes.filter((strike) => strike !== early).map(({ at }) => at))
  const isPaired = lines.some(({ at, text }) => at > started && at < early.at && /connected to/.test(text))
  return isPaired ? early.at : undefined
}

/** The longest time without an answer to any client, between a time and the last answer. */
const longestGap = (answers: Recorded["answers"], requests: Recorded["requests"], from: number): number => {
  const times = [...answers.map(({ received }) => received), ...requests.flatMap(({ servedBy }) => servedBy?.at ?? [])]
    .filter((at) => at > from)
    .sort((a, b) => a - b)
  return times.reduce((longest, at, i) => Math.max(longest, at - (times[i - 1] ?? from)), 0)
}

const judge = (options: Options, recorded: Recorded): Round => {
  const { active, answers, done, exits, isWhole, late, lines, number, recoveryMillis, requests, strikes } = recorded
  const duals = dualAnswers(answers, options.heartbeatMillis)
  const failed = requests.filter(({ fault }) => fault !== undefined)
  const origin = Math.min(...strikes.map(({ at }) => at))
  const since = (at: number) => `${(at - origin).toFixed(1)} ms`
  const from = servedFrom(recorded)
  const longestGapMillis = from === undefined ? undefined : longestGap(answers, requests, from)
  const findings: ReadonlyArray<Finding> = [
    ...duals.map(({ count, from, to }) => ({
      round: number,
      what: "dual answers" as const,
      isFault: done.kind !== "cut",
      details: `${count} between ${since(from)} and ${since(to)}${healed(strikes, since)}`
    })),
    ...longestGapMillis !== undefined && longestGapMillis > 3 * options.heartbeatMillis + outageGraceMillis
      ? [{
        round: number,
        what: "outage" as const,
        isFault: true,
        details: `no answer for ${longestGapMillis.toFixed(0)} ms, delay ${done.delayMillis.toFixed(0)} ms`
      }]
      : [],
    ...failed.map(({ end, fault }) => ({
      round: number,
      what: "lost request" as const,
      isFault: true,
      details: `${fault} at ${since(end)}`
    })),
    ...exits.map(({ at, how, incarnation, role, stderr }) => ({
      round: number,
      what: "unexpected exit" as const,
      isFault: true,
      details: `${role}#${incarnation} ended with ${how} at ${since(at)}${stderr === "" ? "" : `: ${stderr.trim()}`}`
    })),
    ...isWhole
      ? []
      : [{ round: number, what: "not whole again" as const, isFault: true, details: `after ${recoveryMillis} ms` }]
  ]
  // An active server that is cut off from its peer alone keeps answering.
  const blow = done.kind === "early" || (isOfNetwork(done.kind) && done.target === "both")
    ? undefined
    : strikes.find(({ role }) => role === active)
  const first = blow &&
    firstAfter(blow, requests.flatMap(({ end, servedBy }) => servedBy ? [{ ...servedBy, at: end }] : []))
  return {
    number,
    kind: done.kind,
    target: done.target,
    failover: blow && first
      ? { millis: first.at - blow.at, by: first.role === active ? "victim" : "other" }
      : undefined,
    noticedMillis: blow && loggedAfter(blow, lines, /the peer is down/),
    tookOverMillis: blow && loggedAfter(blow, lines, /ready as active/),
    recoveryMillis,
    duals,
    longestGapMillis,
    requests: requests.length,
    failed: failed.length,
    resent: requests.filter(({ attempts }) => attempts > 1).length,
    executedAgain: late.length,
    slowestMillis: requests.reduce((most, { end, start }) => Math.max(most, end - start), 0),
    findings,
    timeline: findings.some(({ isFault }) => isFault)
      ? timeline({ ...recorded, moments: strikes.flatMap(momentsOf) }, origin)
      : []
  }
}

const loggedAfter = (blow: Blow, lines: ReadonlyArray<Line>, what: RegExp): number | undefined => {
  const line = lines.find(({ at, role, text }) => role === other(blow.role) && at > blow.at - 1 && what.test(text))
  return line && line.at - blow.at
}

/** When all disturbances ended: TCP recovers some time after a cut has healed. */
const healed = (strikes: ReadonlyArray<Struck>, since: (at: number) => string): string => {
  const ends = strikes.flatMap(({ continuesAt }) => continuesAt ?? [])
  return ends.length === 0 ? "" : `; all disturbances ended at ${since(Math.max(...ends))}`
}

const momentsOf = ({ at, continuesAt, incarnation, role, what }: Struck): ReadonlyArray<Moment> => [
  { at, who: `${role}#${incarnation}`, what },
  ...continuesAt === undefined ? [] : [{ at: continuesAt, who: `${role}#${incarnation}`, what: "continues" }]
]

/**
 * Rounds for `bstar run`: a disturbance, then recovery until the pair is whole again and a command runs. The records of the
 * commands must show that two of them never ran at once.
 */
import { Effect, Option, Schedule, SubscriptionRef } from "effect"
import { spawnSync } from "node:child_process"
import { machineMillis } from "../../../src/command/ProcessGroup.ts"
import type { Log } from "../../support/commands.ts"
import { child, gaps, makeLog } from "../../support/commands.ts"
import { makeKeyFiles } from "../../support/keys.ts"
import type { Links } from "../../support/links.ts"
import { other } from "../../support/processes.ts"
import type { Choices, Kind, Strike, Target } from "./disturbances.ts"
import { disturbance } from "./disturbances.ts"
import type { Line, Node, Pair } from "./nodes.ts"
import { activeOf, makePair, newlyActive, whole } from "./nodes.ts"
import type { Keys, LinkKind } from "./parts.ts"
import { linksOf, parts } from "./parts.ts"
import { playRounds } from "./rounds.ts"

export interface Options {
  readonly seed: number
  readonly rounds: number
  /** The number of the first round. */
  readonly from: number
  readonly heartbeatMillis: number
  /** Of `kill`, `term` and `stop`. */
  readonly kinds: Choices["kinds"]
  readonly target: Target | undefined
  readonly delays: Choices["delays"]
  readonly link: LinkKind
  readonly keys: Keys
  /** The file of the command `bstar`. */
  readonly program: string
}

/** The results of a round. */
export interface Round {
  readonly number: number
  readonly kind: Kind
  readonly target: Target
  /** The milliseconds without a command, before the start of each later one. */
  readonly gaps: ReadonlyArray<number>
  /** The properties that the round broke. */
  readonly faults: ReadonlyArray<string>
  /** The log lines of the servers. Empty without a fault. */
  readonly lines: ReadonlyArray<Line>
}

/** The exit code of a command if another one runs. */
export const twice = 99

/**
 * With `flock`, each command holds a lock until its last process has ended, and ends at once if another command holds it. That
 * detects two commands for however short a time.
 */
export const locked = (log: Log): ReadonlyArray<string> => {
  const flock = ["flock", "-n", "-F", "-E", String(twice), `${log.file}.lock`]
  return spawnSync(flock[0]!, [...flock.slice(1), "true"]).status === 0 ? flock : []
}

interface Harness {
  readonly options: Options
  readonly log: Log
  readonly links: Links | undefined
  readonly pair: Pair
}

const limitMillis = ({ heartbeatMillis }: Options) => 15_000 + 20 * heartbeatMillis

/** Waits until a command records that it runs. */
export const running = (log: Log): Effect.Effect<void> =>
  Effect.suspend(() => {
    const since = machineMillis()
    return Effect.sync(() => log.runs().some(({ to }) => to > since)).pipe(
      Effect.repeat({ until: (runs) => runs, schedule: Schedule.spaced("20 millis") }),
      Effect.asVoid
    )
  })

/** Waits until the pair is whole and a command runs. Returns false after the time limit. */
const wait = ({ log, options, pair }: Harness): Effect.Effect<boolean> =>
  whole(pair, Math.max(1.5 * options.heartbeatMillis, 150), limitMillis(options)).pipe(
    Effect.zipWith(
      Effect.map(Effect.timeoutOption(running(log), limitMillis(options)), Option.isSome),
      (isWhole, runs) => isWhole && runs
    )
  )

/** Plays all rounds, and reports each when it has ended. */
export const play = (options: Options, report: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.map(Effect.forEach(parts(options), (part) => playPart(part, report)), (rounds) => rounds.flat())

const playPart = (options: Options, report: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.gen(function*() {
    const log = yield* makeLog
    const links = yield* linksOf(options)
    const pair = yield* makePair({
      links,
      keys: options.keys === "on" ? yield* makeKeyFiles() : undefined,
      heartbeat: `${options.heartbeatMillis} millis`,
      policy: "hardened",
      program: options.program,
      network: undefined,
      command: [...locked(log), ...child(log, "parent")]
    })
    const harness: Harness = { options, log, links, pair }
    yield* wait(harness)
    return yield* playRounds(options, (number) => playRound(harness, number), report)
  }).pipe(Effect.scoped)

const playRound = (harness: Harness, number: number): Effect.Effect<Round> =>
  Effect.gen(function*() {
    const { links, log, options, pair } = harness
    log.take()
    pair.takeLines()
    const { delayMillis, kind, strikes, target, then } = disturbance(options.seed, number, options)
    yield* links?.setDelay(delayMillis) ?? Effect.void
    const active = activeOf(yield* SubscriptionRef.get(pair.states))
    yield* Effect.forEach(
      strikes,
      (strike) => carryOut(pair.nodes[strike.target === "active" ? active : other(active)], kind, strike),
      { concurrency: "unbounded" }
    )
    if (then !== undefined) {
      const early = yield* newlyActive(pair, target === "passive", limitMillis(options))
      yield* Option.match(early, {
        onNone: () => Effect.void,
        onSome: (role) => carryOut(pair.nodes[role], kind, { target: "active", ...then })
      })
    }
    const isWhole = yield* wait(harness)
    const between = gaps(log.runs())
    const faults = [
      ...between.flatMap(({ millis, run }) =>
        millis > 0 ? [] : [`another command ran ${-millis} ms after that of ${run.group} was started`]
      ),
      ...pair.takeExits().map(({ how, incarnation, role, stderr }) =>
        `${role}#${incarnation} ended with ${how}${how.endsWith(` ${twice}`) ? ": two commands at once" : ""} ${stderr}`
      ),
      ...isWhole ? [] : ["no command runs"]
    ]
    const lines = pair.takeLines()
    return {
      number,
      kind,
      target,
      gaps: between.map(({ millis }) => millis),
      faults,
      lines: faults.length === 0 ? [] : lines
    }
  })

const carryOut = (node: Node, kind: Kind, { afterMillis, lastsMillis }: Strike): Effect.Effect<void> =>
  Effect.delay(
    kind === "stop"
      ? node.signal("SIGSTOP").pipe(
        Effect.zipRight(Effect.sleep(lastsMillis)),
        Effect.ensuring(node.signal("SIGCONT"))
      )
      : node.end(kind === "term" ? "SIGTERM" : "SIGKILL", lastsMillis),
    afterMillis
  )

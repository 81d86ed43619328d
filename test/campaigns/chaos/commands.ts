/**
 * Rounds for `bstar run`: one disturbance each, until the pair is whole again and a command runs. Then what the commands have
 * noted is looked at: two of them must never have run at once.
 */
import { Effect, Option, Schedule, SubscriptionRef } from "effect"
import { spawnSync } from "node:child_process"
import { machineMillis } from "../../../src/command/ProcessGroup.ts"
import { makeKeyFiles } from "../../support/keys.ts"
import type { Links } from "../../support/links.ts"
import { other } from "../../support/processes.ts"
import type { Log } from "../../support/commands.ts"
import { child, gaps, makeLog } from "../../support/commands.ts"
import type { Choices, Kind, Strike, Target } from "./disturbances.ts"
import { disturbance } from "./disturbances.ts"
import type { Line, Node, Pair } from "./nodes.ts"
import { activeOf, makePair, newlyActive, whole } from "./nodes.ts"
import type { Keys, LinkKind } from "./parts.ts"
import { linksOf, parts } from "./parts.ts"

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

/** What a round has brought. */
export interface Round {
  readonly number: number
  readonly kind: Kind
  readonly target: Target
  /** For how long nothing ran, in milliseconds, each time that another command was started. */
  readonly gaps: ReadonlyArray<number>
  /** What must not be. */
  readonly faults: ReadonlyArray<string>
  /** What the servers wrote. Only with a fault. */
  readonly lines: ReadonlyArray<Line>
}

/** The exit code of a command that finds that another one runs. */
const twice = 99

/**
 * Where there is `flock`, each command holds a lock that the system takes from it when the last of its processes is dead, and
 * ends when another one has it. That sees two of them however short it is.
 */
const locked = (log: Log): ReadonlyArray<string> => {
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

/** Waits until a command notes that it runs. */
const running = (log: Log): Effect.Effect<void> =>
  Effect.suspend(() => {
    const since = machineMillis()
    return Effect.sync(() => log.runs().some(({ to }) => to > since)).pipe(
      Effect.repeat({ until: (runs) => runs, schedule: Schedule.spaced("20 millis") }),
      Effect.asVoid
    )
  })

/** Waits until the pair is whole and a command runs, and tells whether it came to that. */
const wait = ({ log, options, pair }: Harness): Effect.Effect<boolean> =>
  whole(pair, Math.max(1.5 * options.heartbeatMillis, 150), limitMillis(options)).pipe(
    Effect.zipWith(
      Effect.map(Effect.timeoutOption(running(log), limitMillis(options)), Option.isSome),
      (isWhole, runs) => isWhole && runs
    )
  )

/** Plays all rounds, and tells of each as soon as it is over. */
export const play = (options: Options, tell: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.map(Effect.forEach(parts(options), (part) => playPart(part, tell)), (rounds) => rounds.flat())

const playPart = (options: Options, tell: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
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
    const rounds: Array<Round> = []
    yield* wait(harness)
    for (let number = options.from; number < options.from + options.rounds; number++) {
      const round = yield* playRound(harness, number)
      rounds.push(round)
      yield* tell(round)
    }
    return rounds
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
      ...isWhole ? [] : ["nothing runs"]
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

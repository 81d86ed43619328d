/**
 * Rounds for `bstar run` with a witness: some disturbances, then recovery until the pair is whole again and a command runs. The
 * records of the commands, and a lock that each holds, must show that two of them never ran at once.
 */
import { Effect, Option, SubscriptionRef } from "effect"
import { machineMillis } from "../../../src/command/ProcessGroup.ts"
import type { CommandRun, Log } from "../../support/commands.ts"
import { child, gaps, makeLog } from "../../support/commands.ts"
import { other } from "../../support/processes.ts"
import { locked, running, twice } from "../chaos/commands.ts"
import type { Line, UnexpectedExit } from "../chaos/nodes.ts"
import { activeOf } from "../chaos/nodes.ts"
import { playRounds } from "../chaos/rounds.ts"
import type { Moment } from "../chaos/timeline.ts"
import { timeline } from "../chaos/timeline.ts"
import type { Change } from "./availability.ts"
import type { Disturbed, Options as CampaignOptions, Struck } from "./campaign.ts"
import { carryOut, momentOf, momentsOf } from "./campaign.ts"
import type { Strike } from "./disturbances.ts"
import { disturbance, isOfLink } from "./disturbances.ts"
import { isWholeAgain, makeRig, restart, startEngine, startPair } from "./rig.ts"

export type Options = Omit<CampaignOptions, "users">

/** A property that a round broke. */
export interface Finding {
  readonly what: "two commands" | "no command" | "unexpected exit" | "not whole again"
  readonly details: string
  /** False for what no pair without a witness can prevent. */
  readonly isFault: boolean
}

/** The results of a round. Times are in milliseconds. */
export interface Round {
  readonly number: number
  readonly strikes: ReadonlyArray<Strike>
  /** The time without a command, before the start of each later one. */
  readonly gaps: ReadonlyArray<number>
  /** From the end of the last disturbance until the pair is whole and a command runs. */
  readonly recoveryMillis: number
  readonly findings: ReadonlyArray<Finding>
  /** All events of the round. Empty without a finding. */
  readonly timeline: ReadonlyArray<string>
}

interface Harness extends Disturbed {
  readonly options: Options
  readonly log: Log
}

/**
 * How long the command of a whole pair may take to start: two heartbeats until none of the other term can be running, a second
 * after a lease that was lost, and the start of its processes.
 */
const startMillis = ({ heartbeatMillis }: Options) => 2 * heartbeatMillis + 10_000

/** Waits until a command runs. Returns false if that takes too long. */
const runsAgain = ({ log, options }: Harness): Effect.Effect<boolean> =>
  Effect.map(Effect.timeoutOption(running(log), startMillis(options)), Option.isSome)

/** Plays all rounds, and reports each when it has ended. */
export const play = (options: Options, report: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.gen(function*() {
    const rig = yield* makeRig(options)
    const engine = yield* startEngine(rig, options)
    const log = yield* makeLog
    const pair = yield* startPair(rig, options, engine, { command: [...locked(log), ...child(log, "parent")] })
    const harness: Harness = { options, rig, engine, pair, log }
    if (!(yield* isWholeAgain(pair, options)) || !(yield* runsAgain(harness))) {
      const lines = pair.takeLines().map(({ role, text }) => `${role}: ${text}`)
      return yield* Effect.dieMessage(`no command is started\n${lines.join("\n")}`)
    }
    return yield* playRounds(options, (number) => playRound(harness, number), report)
  }).pipe(Effect.scoped)

const playRound = (harness: Harness, number: number): Effect.Effect<Round> =>
  Effect.gen(function*() {
    const { log, options, pair, rig } = harness
    log.take()
    pair.takeLines()
    pair.takeExits()
    rig.takeChanges()
    const from = performance.now()
    const active = activeOf(yield* SubscriptionRef.get(pair.states))
    const strikes = yield* Effect.forEach(
      disturbance(options.seed, number, options),
      (strike) => carryOut(harness, strike, strike.target === "active" ? active : other(active)),
      { concurrency: "unbounded" }
    )
    const over = performance.now()
    const isWhole = yield* isWholeAgain(pair, options)
    const isRunning = isWhole && (yield* runsAgain(harness))
    const recorded: Recorded = {
      number,
      from,
      strikes,
      isWhole,
      isRunning,
      recoveryMillis: performance.now() - over,
      runs: log.runs(),
      lines: pair.takeLines(),
      exits: pair.takeExits(),
      changes: rig.takeChanges()
    }
    if (!isRunning) {
      yield* restart(pair)
      yield* isWholeAgain(pair, options)
      yield* runsAgain(harness)
    }
    return judge(options, recorded)
  })

interface Recorded {
  readonly number: number
  readonly from: number
  readonly strikes: ReadonlyArray<Struck>
  readonly isWhole: boolean
  readonly isRunning: boolean
  readonly recoveryMillis: number
  readonly runs: ReadonlyArray<CommandRun>
  readonly lines: ReadonlyArray<Line>
  readonly exits: ReadonlyArray<UnexpectedExit>
  readonly changes: ReadonlyArray<Change>
}

const judge = (options: Options, recorded: Recorded): Round => {
  const { changes, exits, from, isRunning, isWhole, number, recoveryMillis, runs, strikes } = recorded
  const isPreventable = options.engine !== "none" || !strikes.some(({ strike: { kind } }) => isOfLink(kind))
  const between = gaps(runs)
  const findings = [
    ...between.flatMap(({ millis, run }): ReadonlyArray<Finding> =>
      millis > 0
        ? []
        : [{
          what: "two commands",
          details: `another command ran ${-millis} ms after that of ${run.group} was started`,
          isFault: isPreventable
        }]
    ),
    ...exits.map(({ at, how, incarnation, role, stderr }): Finding => {
      const details = `${role}#${incarnation} ended with ${how} at ${(at - from).toFixed(1)} ms: ${stderr.trim()}`
      return how.endsWith(` ${twice}`)
        ? { what: "two commands", details: `the lock was held: ${details}`, isFault: isPreventable }
        : { what: "unexpected exit", details, isFault: true }
    }),
    ...isWhole
      ? []
      : [{ what: "not whole again", details: `after ${recoveryMillis.toFixed(0)} ms`, isFault: true } as const],
    ...isWhole && !isRunning
      ? [{ what: "no command", details: `after ${recoveryMillis.toFixed(0)} ms`, isFault: true } as const]
      : []
  ]
  return {
    number,
    strikes: strikes.map(({ strike }) => strike),
    gaps: between.map(({ millis }) => millis),
    recoveryMillis,
    findings,
    timeline: findings.length === 0
      ? []
      : timeline({
        ...recorded,
        answers: [],
        moments: [...strikes.flatMap(momentsOf), ...changes.map(momentOf), ...runs.flatMap(momentsOfRun)]
      }, from)
  }
}

const momentsOfRun = ({ from, group, to, wasTerminated }: CommandRun): ReadonlyArray<Moment> => {
  const origin = machineMillis() - performance.now()
  return [
    { at: from - origin, who: `command ${group}`, what: "starts, or runs when the round starts" },
    { at: to - origin, who: `command ${group}`, what: `last alive${wasTerminated ? ", after SIGTERM" : ""}` }
  ]
}

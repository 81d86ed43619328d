/** A command that runs on the active server of a pair, and never on both. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as os from "node:os"
import { monotonicReader, withMonotonicTime } from "../internal/Clock.ts"
import { until } from "../internal/Until.ts"
import type { ActiveTerm } from "../member/BinaryStar.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { MemberError } from "../member/MemberError.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type { Term } from "../protocol/Term.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { DurationInput } from "../settings/Settings.ts"
import { run as runSettings } from "../settings/Settings.ts"
import { fieldOf, validate } from "../settings/Validation.ts"
import { environmentOf } from "./Environment.ts"
import type { Ended } from "./guardianClient.ts"
import * as Guardian from "./guardianClient.ts"
import { Lease } from "./Lease.ts"

/**
 * When a command that has ended by itself is started again within a term.
 *
 * @category models
 */
export type Restart = "never" | "on-failure" | "always"

/**
 * A command and its supervision.
 *
 * @category models
 */
export interface Options {
  readonly command: string
  readonly args?: ReadonlyArray<string> | undefined
  /** Time between SIGTERM and SIGKILL of its process group. Defaults to `10 seconds`. */
  readonly grace?: DurationInput | undefined
  /** Defaults to `never`. */
  readonly restart?: Restart | undefined
  /**
   * Delays between the end of the command, whose exit code is the input, and the next start. Restarts in each term, and after
   * the command has run for a minute. When the schedule ends, the command is not started again. Defaults to 1 second, doubled each
   * time up to 30 seconds.
   */
  readonly schedule?: Schedule.Schedule<unknown, number> | undefined
}

/**
 * Default options.
 *
 * @category constants
 */
export const defaults = {
  grace: runSettings.grace.default,
  restart: runSettings.restart.default,
  schedule: Schedule.union(Schedule.exponential("1 second"), Schedule.spaced("30 seconds"))
} as const satisfies Omit<Options, "command">

/** A command that has run for this long, in milliseconds, resets its schedule. */
const healthyMillis = 60_000

/** Delay before a restart after the guardian or the lease was lost. */
const afterLoss = "1 second"

const Settings = Schema.Struct({ grace: fieldOf(runSettings.grace) })

/** Exit code, as of a shell. */
const exitCode = (ended: Exclude<Ended, { readonly _tag: "Orphaned" }>): number =>
  ended._tag === "NotStarted"
    ? ended.code === "ENOENT" ? 127 : 126
    : ended.code ?? 128 + (os.constants.signals[ended.signal as NodeJS.Signals] ?? 0)

/** Whether a command has ended by itself, so that `restart` applies. */
const hasEndedByItself = (ended: Ended): ended is Exclude<Ended, { readonly _tag: "Orphaned" }> =>
  ended._tag === "NotStarted" || (ended._tag === "Ended" && !ended.lapsed)

/**
 * Runs a command in each term of this server. Succeeds with its exit code once it has ended by itself and is not to be started
 * again. Exit codes are those of a shell: 128 plus the signal, 127 if the command was not found, 126 if it cannot be started.
 *
 * The command runs in its own process group, with the transition that began the term in its environment (`BSTAR_NODE_ROLE`,
 * `BSTAR_NODE_STATE`, `BSTAR_NODE_PREVIOUS`, `BSTAR_NODE_CAUSE`, `BSTAR_NODE_REASON`), the fencing token (`BSTAR_NODE_TERM`, empty while
 * there is none; with the fencing `required` the command starts once there is one), an empty standard input, and the standard
 * output and error of this process. When the term ends, the group receives SIGTERM, and SIGKILL after the grace. The server
 * reports another state only when no process of the group is left.
 *
 * A guardian process kills the group as well if this process dies, or stalls for one and a half heartbeats, half a heartbeat before
 * the peer may take over. It does not while the peer is silent and its host refuses connections to its state port: then no peer
 * can take over. With a witness, the lease of the command is the right of the server to serve: the guardian kills the group when
 * that ends. A process that leaves the group is out of reach.
 *
 * @category constructors
 */
export const run = (
  options: Options
): Effect.Effect<number, MemberError | InvalidConfig | SocketError, BinaryStar | Lease> =>
  Effect.gen(function*() {
    const { grace } = yield* validate(Settings, { grace: options.grace ?? defaults.grace })
    const restart = options.restart ?? defaults.restart
    const member = yield* BinaryStar
    const lease = yield* Lease
    const guardian = yield* Guardian.make
    const now = yield* monotonicReader
    const over = yield* Deferred.make<number>()
    const leases = member.config.policy === "witnessed" ? member.rightUntil : lease.until
    yield* Stream.runForEach(
      leases,
      (until) => Effect.map(lease.probe, (probe) => guardian.renew({ until, probe }))
    ).pipe(Effect.forkScoped)

    /** Expiry of the current lease, or of the next one. */
    const leasedUntil = leases.pipe(
      Stream.filter((until) => until > now()),
      Stream.runHead,
      Effect.flatten,
      Effect.orDie
    )

    /** The term of the command. Waits for its number if it needs one. The end of the term interrupts the command anyway. */
    const termOf = (active: ActiveTerm): Effect.Effect<Term | undefined> =>
      member.config.fencing === "required"
        ? Effect.catchAll(active.term, () => Effect.never)
        : Effect.map(Effect.option(member.term), Option.getOrUndefined)

    /** Runs the command until it ends by itself, again after the guardian or the lease was lost. */
    const runOnce = (active: ActiveTerm): Effect.Effect<{ readonly code: number; readonly millis: number }> =>
      Effect.gen(function*() {
        yield* lease.peerTermEnded
        const term = yield* termOf(active)
        const until = yield* leasedUntil
        yield* Effect.logInfo(`starting ${options.command}`)
        const startedAt = now()
        const ended = yield* guardian.run({
          command: options.command,
          args: options.args ?? [],
          env: environmentOf(member.role, { ...active.began, term }),
          graceMillis: Duration.toMillis(grace),
          until,
          probe: yield* lease.probe
        }).pipe(Effect.onInterrupt(() => Effect.logInfo(`${options.command} was stopped`)))
        yield* logEnd(options.command, ended)
        return hasEndedByItself(ended)
          ? { code: exitCode(ended), millis: now() - startedAt }
          : yield* Effect.delay(runOnce(active), afterLoss)
      })

    const inTerm = (active: ActiveTerm) =>
      Effect.gen(function*() {
        const schedule = yield* Schedule.driver(options.schedule ?? defaults.schedule)
        while (true) {
          const { code, millis } = yield* runOnce(active)
          if (millis >= healthyMillis) {
            yield* schedule.reset
          }
          if (
            restart === "never" || (restart === "on-failure" && code === 0) ||
            Option.isNone(yield* Effect.option(schedule.next(code)))
          ) {
            return yield* Deferred.succeed(over, code)
          }
        }
      }).pipe(withMonotonicTime)

    return yield* until(member.whileActive(inTerm), over)
  }).pipe(Effect.scoped)

/** Error messages of a shell. */
const reasons: ReadonlyMap<string | undefined, string> = new Map([
  ["ENOENT", "command not found"],
  ["EACCES", "permission denied"]
])

const logEnd = (command: string, ended: Ended): Effect.Effect<void> => {
  switch (ended._tag) {
    case "NotStarted":
      return Effect.logError(`cannot start ${command}: ${reasons.get(ended.code) ?? ended.message}`)
    case "Orphaned":
      return Effect.logWarning(`${command} was killed: its guardian died`)
    case "Ended":
      if (ended.lapsed) {
        return Effect.logWarning(`${command} was killed: its lease expired, this server has not renewed it in time`)
      }
      return Effect.logInfo(
        ended.signal === null
          ? `${command} has ended with exit code ${ended.code}`
          : `${command} was ended by ${ended.signal}`
      )
  }
}

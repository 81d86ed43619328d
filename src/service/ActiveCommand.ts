/**
 * A command that runs on the active server of a pair, and never on both.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as os from "node:os"
import type { Term } from "../BinaryStar.ts"
import { BinaryStar } from "../BinaryStar.ts"
import type { BinaryStarError, InvalidConfig, SocketError } from "../BinaryStarError.ts"
import { monotonicReader } from "../internal/clock.ts"
import { DurationInput, validate } from "../internal/config.ts"
import { until } from "../internal/until.ts"
import { environmentOf } from "./environment.ts"
import type { Ended } from "./guardianClient.ts"
import * as Guardian from "./guardianClient.ts"
import { Lease } from "./Lease.ts"

/**
 * When a command that has ended by itself is started again, while its server is active.
 *
 * @since 0.1.0
 * @category models
 */
export type Restart = "never" | "on-failure" | "always"

/**
 * A command, and how it is treated.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly command: string
  readonly args?: ReadonlyArray<string> | undefined
  /** How long its process group may take to end after SIGTERM, before SIGKILL. Defaults to `10 seconds`. */
  readonly grace?: Duration.DurationInput | undefined
  /** Defaults to `never`. */
  readonly restart?: Restart | undefined
  /**
   * How soon it is started again. Defaults to 1 second and then twice as late each time, up to 30 seconds, from the
   * beginning after a minute.
   */
  readonly schedule?: Schedule.Schedule<unknown, number> | undefined
}

/**
 * What is not said otherwise.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = {
  grace: "10 seconds",
  restart: "never",
  schedule: Schedule.exponential("1 second").pipe(
    Schedule.union(Schedule.spaced("30 seconds")),
    Schedule.resetAfter("1 minute")
  )
} as const satisfies Omit<Options, "command">

const Settings = Schema.Struct({ grace: DurationInput({ minimum: 0, maximum: "1 day" }) })

/** What a shell would say. */
const exitCode = (ended: Exclude<Ended, { readonly _tag: "Orphaned" }>): number =>
  ended._tag === "NotStarted"
    ? ended.code === "ENOENT" ? 127 : 126
    : ended.code ?? 128 + (os.constants.signals[ended.signal as NodeJS.Signals] ?? 0)

/** Whether a command has come to its end by itself, so that it is for `restart` to say what follows. */
const isItsOwn = (ended: Ended): ended is Exclude<Ended, { readonly _tag: "Orphaned" }> =>
  ended._tag === "NotStarted" || (ended._tag === "Ended" && !ended.lapsed)

/**
 * Runs a command whenever this server is active. Succeeds with its exit code when it has ended by itself and is not to be
 * started again: that of a shell, so 128 and more for a signal, and 127 for a command that is not there.
 *
 * The command runs in a process group of its own, with what {@link BinaryStar} has become and why in its environment
 * (`BSTAR_NODE_ROLE`, `BSTAR_NODE_STATE`, `BSTAR_NODE_PREVIOUS`, `BSTAR_NODE_CAUSE`, `BSTAR_NODE_REASON`), nothing on its
 * standard input, and this process's standard output and error. When the server ceases to be active the whole group is
 * sent SIGTERM, and SIGKILL when its grace is over, and only when nothing of it is left does the server say that it is
 * anything else. It belongs to a process that kills the group also when this one dies, or stands still for one and a half
 * heartbeats, which is half a heartbeat before the peer may take over. What leaves its process group is out of reach.
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = (
  options: Options
): Effect.Effect<number, BinaryStarError | InvalidConfig | SocketError, BinaryStar | Lease> =>
  Effect.gen(function*() {
    const { grace } = yield* validate(Settings, { grace: options.grace ?? defaults.grace })
    const restart = options.restart ?? defaults.restart
    const member = yield* BinaryStar
    const lease = yield* Lease
    const guardian = yield* Guardian.make
    const now = yield* monotonicReader
    const over = yield* Deferred.make<number>()
    let leaseUntil = 0

    const grantFrom = (at: number) => {
      leaseUntil = Math.max(leaseUntil, at + Duration.toMillis(lease.time))
    }
    yield* Stream.runForEach(lease.given, (time) =>
      Effect.sync(() => {
        grantFrom(now())
        guardian.renew(time)
      })).pipe(Effect.forkScoped)

    /** How long, in milliseconds, the lease lasts that there is, or the next one. */
    const leased: Effect.Effect<number> = Effect.suspend(() => {
      const left = leaseUntil - now()
      return left > 0 ? Effect.succeed(left) : Effect.zipRight(Effect.sleep("5 millis"), leased)
    })

    const runOnce = (term: Term) =>
      Effect.gen(function*() {
        yield* lease.peerIsOver
        const leaseMillis = yield* leased
        yield* Effect.logInfo(`starting ${options.command}`)
        return yield* guardian.run({
          command: options.command,
          args: options.args ?? [],
          env: environmentOf(member.role, term.began),
          graceMillis: Duration.toMillis(grace),
          leaseMillis
        }).pipe(Effect.onInterrupt(() => Effect.logInfo(`${options.command} is stopped`)))
      }).pipe(
        Effect.tap((ended) =>
          isItsOwn(ended)
            ? ended._tag === "NotStarted"
              ? Effect.logError(`cannot start ${options.command}: ${ended.message}`)
              : Effect.logInfo(`${options.command} has ended with exit code ${exitCode(ended)}`)
            : Effect.logWarning(
              `${options.command} was killed: ${
                ended._tag === "Orphaned" ? "its guardian has died" : "this process stood still for too long"
              }`
            )
        )
      )

    const inTerm = (term: Term) => {
      grantFrom(term.began.at)
      return Effect.repeat(runOnce(term), { until: isItsOwn }).pipe(
        Effect.map(exitCode),
        Effect.flatMap((code) =>
          restart === "always" || (restart === "on-failure" && code !== 0) ? Effect.fail(code) : Effect.succeed(code)
        ),
        Effect.retry(options.schedule ?? defaults.schedule),
        Effect.merge,
        Effect.flatMap((code) => Deferred.succeed(over, code))
      )
    }

    return yield* until(member.whileActive(inTerm), over)
  }).pipe(Effect.scoped)

/**
 * A command that runs on the active server of a pair, and never on both.
 *
 * @since 0.1.0
 */
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
import type { Term } from "../member/BinaryStar.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { MemberError } from "../member/MemberError.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { DurationInput } from "../settings/Settings.ts"
import { run as runSettings } from "../settings/Settings.ts"
import { fieldOf, validate } from "../settings/Validation.ts"
import { environmentOf } from "./Environment.ts"
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
  readonly grace?: DurationInput | undefined
  /** Defaults to `never`. */
  readonly restart?: Restart | undefined
  /**
   * How soon a command that has ended is started again; it gets the exit code. It begins anew when the command has run for
   * a minute, and in each term. When it has come to its end the command is not started again. Defaults to 1 second and then
   * twice as late each time, up to 30 seconds.
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
  grace: runSettings.grace.default,
  restart: runSettings.restart.default,
  schedule: Schedule.union(Schedule.exponential("1 second"), Schedule.spaced("30 seconds"))
} as const satisfies Omit<Options, "command">

/** How long, in milliseconds, a command has to run for that its earlier ends are forgotten. */
const healthyMillis = 60_000

/** How soon a command is started again that was killed because its guardian or its lease was lost. */
const afterLoss = "1 second"

const Settings = Schema.Struct({ grace: fieldOf(runSettings.grace) })

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
 * heartbeats, which is half a heartbeat before the peer may take over. While nothing was received from the peer, and the
 * peer's host refuses connections to its state port, no peer can take over, and the group is not killed for standing still.
 * What leaves its process group is out of reach.
 *
 * @since 0.1.0
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
    yield* Stream.runForEach(
      lease.until,
      (until) => Effect.map(lease.absence, (absence) => guardian.renew({ until, absence }))
    ).pipe(Effect.forkScoped)

    /** Until when the lease lasts that there is, or the next one. */
    const leased = lease.until.pipe(
      Stream.filter((until) => until > now()),
      Stream.runHead,
      Effect.flatten,
      Effect.orDie
    )

    /** Runs the command until it ends by itself, and gives its exit code and for how long it has run. */
    const runOnce = (term: Term): Effect.Effect<{ readonly code: number; readonly millis: number }> =>
      Effect.gen(function*() {
        yield* lease.peerIsOver
        const until = yield* leased
        yield* Effect.logInfo(`starting ${options.command}`)
        const began = now()
        const ended = yield* guardian.run({
          command: options.command,
          args: options.args ?? [],
          env: environmentOf(member.role, term.began),
          graceMillis: Duration.toMillis(grace),
          until,
          absence: yield* lease.absence
        }).pipe(Effect.onInterrupt(() => Effect.logInfo(`${options.command} is stopped`)))
        yield* tell(options.command, ended)
        return isItsOwn(ended)
          ? { code: exitCode(ended), millis: now() - began }
          : yield* Effect.delay(runOnce(term), afterLoss)
      })

    const inTerm = (term: Term) =>
      Effect.gen(function*() {
        const schedule = yield* Schedule.driver(options.schedule ?? defaults.schedule)
        while (true) {
          const { code, millis } = yield* runOnce(term)
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

/** As a shell says it. */
const reasons: ReadonlyMap<string | undefined, string> = new Map([
  ["ENOENT", "command not found"],
  ["EACCES", "permission denied"]
])

const tell = (command: string, ended: Ended): Effect.Effect<void> =>
  ended._tag === "NotStarted"
    ? Effect.logError(`cannot start ${command}: ${reasons.get(ended.code) ?? ended.message}`)
    : ended._tag === "Orphaned"
    ? Effect.logWarning(`${command} was killed: its guardian has died`)
    : ended.lapsed
    ? Effect.logWarning(`${command} was killed: its lease has run out, the last heartbeat was too long ago`)
    : ended.signal === null
    ? Effect.logInfo(`${command} has ended with exit code ${ended.code}`)
    : Effect.logInfo(`${command} was ended by ${ended.signal}`)

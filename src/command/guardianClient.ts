/** Runs commands in a guardian: a process that kills the command when this process dies or its lease expires. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { createRequire } from "node:module"
import { monotonicReader } from "../internal/Clock.ts"
import { addressOf } from "../internal/RefusalProbe.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import type { GuardianEvent, GuardianRequest } from "./guardian.ts"
import type { LeaseProbe } from "./Lease.ts"
import { machineMillis, mayRun, signalGroup } from "./ProcessGroup.ts"

/** How a command ended. `Orphaned`: its guardian died, and the command was killed. */
export type Ended = Extract<GuardianEvent, { readonly _tag: "Ended" | "NotStarted" }> | { readonly _tag: "Orphaned" }

/** A lease, in milliseconds of the monotonic clock, and the probe that renews it without a heartbeat. */
interface Renewal {
  readonly until: number
  readonly probe?: LeaseProbe | undefined
}

/** A command with its first lease. */
type Command = Omit<Extract<GuardianRequest, { readonly _tag: "Start" }>, "_tag" | keyof Renewal> & Renewal

/** Owner of one command at a time. */
export interface Guardian {
  /** Runs a command. When interrupted, stops it, and waits until no process of its group is left. */
  readonly run: (command: Command) => Effect.Effect<Ended>
  /** Renews the lease of the command. Does not wait. */
  readonly renew: (renewal: Renewal) => void
}

/** Time for the guardian to exit, or to report an end. One that takes longer hangs, and is killed. */
const guardianTimeout: Duration.DurationInput = "2 seconds"

interface RunningCommand {
  readonly ended: Deferred.Deferred<Ended>
  pid: number | undefined
}

/** The guardian process, which is started again after it has died, and its command. */
class GuardianProcess {
  readonly #program: string
  readonly #now: () => number
  #process: ChildProcess | undefined
  #running: RunningCommand | undefined

  constructor(program: string, now: () => number) {
    this.#program = program
    this.#now = now
  }

  /** Starts the process unless it is running. It has its own session, so that Ctrl-C does not reach it. */
  open(): ChildProcess {
    if (this.#process !== undefined) {
      return this.#process
    }
    const process = fork(this.#program, [], {
      detached: true,
      execArgv: [],
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    const onLost = () => this.#onLost(process)
    process.on("error", onLost)
    // Not `exit`, which may precede the last message: the pid of the command would be unknown.
    process.on("close", onLost)
    process.on("message", (event: GuardianEvent) => this.#onEvent(event))
    this.#process = process
    return process
  }

  /** Gives up the process, which the caller has to end. */
  release(): ChildProcess | undefined {
    const process = this.#process
    this.#process = undefined
    return process
  }

  start(command: Command): RunningCommand {
    const running: RunningCommand = { ended: Deferred.unsafeMake(FiberId.none), pid: undefined }
    this.#running = running
    this.#send({ _tag: "Start", ...command, ...this.#leaseOf(command) })
    return running
  }

  renew(renewal: Renewal): void {
    if (this.#running !== undefined) {
      this.#send({ _tag: "Renew", ...this.#leaseOf(renewal) })
    }
  }

  stop(): void {
    this.#send({ _tag: "Stop" })
  }

  kill(): void {
    this.#process?.kill("SIGKILL")
  }

  reset(): void {
    this.#running = undefined
  }

  /** A request that cannot be sent was for a process that has died, which is detected by its `close`. */
  #send(request: GuardianRequest): void {
    const process = this.open()
    // Without free descriptors it has no channel. That is reported by its `error`.
    if (process.connected) {
      process.send(request, () => {})
    }
  }

  #leaseOf({ probe, until }: Renewal) {
    // Read first: if this process stalls in between, the lease gets shorter, not longer.
    const at = machineMillis()
    const address = probe && addressOf(Endpoint.parse(probe.endpoint))
    return {
      until: at + until - this.#now(),
      probe: address && { address, leaseMillis: probe.leaseMillis }
    }
  }

  #onEvent(event: GuardianEvent): void {
    if (this.#running === undefined) {
      return
    }
    if (event._tag === "Started") {
      this.#running.pid = event.pid
    } else {
      Deferred.unsafeDone(this.#running.ended, Effect.succeed(event))
    }
  }

  #onLost(process: ChildProcess): void {
    if (this.#process !== process) {
      return
    }
    this.#process = undefined
    if (this.#running !== undefined) {
      if (this.#running.pid !== undefined) {
        signalGroup(this.#running.pid, "SIGKILL")
      }
      Deferred.unsafeDone(this.#running.ended, Effect.succeed({ _tag: "Orphaned" }))
    }
  }
}

/** Waits up to a time, also in an uninterruptible region. Forked as daemon: a second interruption would interrupt a child. */
const waitUpTo = <A>(self: Effect.Effect<A>, timeout: Duration.DurationInput) =>
  self.pipe(
    Effect.interruptible,
    Effect.timeoutOption(timeout),
    Effect.forkDaemon,
    Effect.flatMap(Fiber.join)
  )

const close = (guardian: GuardianProcess): Effect.Effect<void> =>
  Effect.suspend(() => {
    const process = guardian.release()
    if (process === undefined) {
      return Effect.void
    }
    const exit = Effect.async<void>((resume) => {
      process.once("exit", () => resume(Effect.void))
      if (process.connected) {
        process.disconnect()
      }
    })
    return Effect.ensuring(waitUpTo(exit, guardianTimeout), Effect.sync(() => process.kill("SIGKILL")))
  })

/** Kills a process group, and waits until no process of it is left. */
const killGroup = (pid: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    signalGroup(pid, "SIGKILL")
    return mayRun(pid) ? Effect.zipRight(Effect.sleep("5 millis"), killGroup(pid)) : Effect.void
  })

/** Stops the command unless it has ended. A guardian that does not report the end in time is killed. */
const stop = (guardian: GuardianProcess, running: RunningCommand, graceMillis: number) =>
  Effect.gen(function*() {
    const { ended } = running
    if (!(yield* Deferred.isDone(ended))) {
      guardian.stop()
      yield* waitUpTo(Deferred.await(ended), Duration.sum(Duration.millis(graceMillis), guardianTimeout))
    }
    if (!(yield* Deferred.isDone(ended))) {
      guardian.kill()
    }
    const { _tag } = yield* Deferred.await(ended)
    if (_tag === "Orphaned" && running.pid !== undefined) {
      yield* killGroup(running.pid)
    }
    guardian.reset()
  })

/** Starts a guardian, which ends with the scope, or with this process in whatever way that ends. */
export const make: Effect.Effect<Guardian, never, Scope.Scope> = Effect.gen(function*() {
  const now = yield* monotonicReader
  // The guardian is a file outside of all bundles, found by a name that only this package can import.
  const program = yield* Effect.sync(() => createRequire(import.meta.url).resolve("#guardian"))
  const guardian = new GuardianProcess(program, now)
  yield* Effect.acquireRelease(Effect.sync(() => guardian.open()), () => close(guardian))
  return {
    run: (command) =>
      Effect.acquireUseRelease(
        Effect.sync(() => guardian.start(command)),
        ({ ended }) => Deferred.await(ended),
        (running) => stop(guardian, running, command.graceMillis)
      ),
    renew: (renewal) => guardian.renew(renewal)
  }
})

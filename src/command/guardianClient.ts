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
import * as Endpoint from "../wire/Endpoint.ts"
import type { Order, Report } from "./guardian.ts"
import type { Absence } from "./Lease.ts"
import { machineMillis, mayRun, signalGroup } from "./ProcessGroup.ts"
import type { Address } from "./refusal.ts"

/** How a command came to its end. */
export type Ended =
  | Extract<Report, { readonly _tag: "Ended" | "NotStarted" }>
  /** Its guardian has died, and the command was killed. */
  | { readonly _tag: "Orphaned" }

/** Until when a command may run, in milliseconds of the monotonic clock, and what else renews that. */
export interface Renewal {
  readonly until: number
  readonly absence?: Absence | undefined
}

/** A command for a guardian, with its first lease. */
export type Command = Omit<Extract<Order, { readonly _tag: "Start" }>, "_tag" | keyof Renewal> & Renewal

/** A guardian, and another one in its place when it dies. It owns one command at a time. */
export interface Guardian {
  /** Starts a command, and waits until it has ended. Interrupted, it stops it and waits until nothing of it is left. */
  readonly run: (command: Command) => Effect.Effect<Ended>
  /** Renews the lease of the command. Does not wait. */
  readonly renew: (renewal: Renewal) => void
}

/** A name in the abstract namespace is no path, and memory has no address. */
const addressOf = (endpoint: string): Address | undefined => {
  const parts = Endpoint.parse(endpoint)
  switch (parts?.protocol) {
    case "tcp":
      return { host: parts.host.replace(/^\[(.*)\]$/, "$1"), port: Number(parts.port) }
    case "ipc":
      return parts.name.startsWith("@") ? undefined : { path: parts.name }
    default:
      return undefined
  }
}

/** How long a guardian may take for what is its own affair. One that takes longer is stopped or out of its mind. */
const patience: Duration.DurationInput = "2 seconds"

/** Starts a guardian that ends with the scope, and with this process however that ends. */
export const make: Effect.Effect<Guardian, never, Scope.Scope> = Effect.gen(function*() {
  const now = yield* monotonicReader
  // The guardian is a file of its own beside all bundles, which this package finds by its own name.
  const program = yield* Effect.sync(() =>
    createRequire(import.meta.url).resolve("effect-binary-star/command/guardian")
  )
  let guardian: ChildProcess | undefined
  let running: { readonly ended: Deferred.Deferred<Ended>; pid: number | undefined } | undefined

  const toMachine = ({ absence, until }: Renewal) => {
    // Read first: if this process stands still in between, the lease gets shorter and not longer.
    const at = machineMillis()
    const address = absence && addressOf(absence.endpoint)
    return {
      until: at + until - now(),
      absence: address && { address, leaseMillis: absence.leaseMillis }
    }
  }

  const hear = (report: Report) => {
    if (running === undefined) {
      return
    }
    if (report._tag === "Started") {
      running.pid = report.pid
    } else {
      Deferred.unsafeDone(running.ended, Effect.succeed(report))
    }
  }

  /** The guardian that there is, or a new one. In a session of its own, so that no Ctrl-C reaches it. */
  const summon = (): ChildProcess => {
    if (guardian !== undefined) {
      return guardian
    }
    const summoned = fork(program, [], { detached: true, execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] })
    const lost = () => {
      if (guardian !== summoned) {
        return
      }
      guardian = undefined
      if (running !== undefined) {
        if (running.pid !== undefined) {
          signalGroup(running.pid, "SIGKILL")
        }
        Deferred.unsafeDone(running.ended, Effect.succeed({ _tag: "Orphaned" }))
      }
    }
    summoned.on("error", lost)
    // Not its exit, which may come before its last report: then nobody would know what it has started.
    summoned.on("close", lost)
    summoned.on("message", hear)
    guardian = summoned
    return summoned
  }

  // What cannot be sent is for a guardian that has gone, which is told by its end.
  const send = (order: Order) => {
    const guardian = summon()
    // Where descriptors are used up it has no channel, and reports that as its end.
    if (guardian.connected) {
      guardian.send(order, () => {})
    }
  }

  const dismiss = Effect.suspend(() => {
    const dismissed = guardian
    if (dismissed === undefined) {
      return Effect.void
    }
    guardian = undefined
    const gone = Effect.async<void>((resume) => {
      dismissed.once("exit", () => resume(Effect.void))
      if (dismissed.connected) {
        dismissed.disconnect()
      }
    })
    return gone.pipe(
      Effect.interruptible,
      Effect.timeoutOption(patience),
      Effect.forkDaemon,
      Effect.flatMap(Fiber.join),
      Effect.ensuring(Effect.sync(() => dismissed.kill("SIGKILL")))
    )
  })

  yield* Effect.acquireRelease(Effect.sync(summon), () => dismiss)

  /** Waits until nothing is left of what nobody guards any more. */
  const vanish = (pid: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      signalGroup(pid, "SIGKILL")
      return mayRun(pid) ? Effect.zipRight(Effect.sleep("5 millis"), vanish(pid)) : Effect.void
    })

  return {
    run: (command) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          running = { ended: Deferred.unsafeMake(FiberId.none), pid: undefined }
          send({ _tag: "Start", ...command, ...toMachine(command) })
          return running
        }),
        ({ ended }) => Deferred.await(ended),
        (mine) =>
          Effect.gen(function*() {
            if (!(yield* Deferred.isDone(mine.ended))) {
              send({ _tag: "Stop" })
              yield* Deferred.await(mine.ended).pipe(
                Effect.interruptible,
                Effect.timeoutOption(Duration.sum(Duration.millis(command.graceMillis), patience)),
                // As nobody's child: one that is interrupted once more interrupts its children, also where it is not to be.
                Effect.forkDaemon,
                Effect.flatMap(Fiber.join)
              )
            }
            if (!(yield* Deferred.isDone(mine.ended))) {
              guardian?.kill("SIGKILL")
            }
            const { _tag } = yield* Deferred.await(mine.ended)
            if (_tag === "Orphaned" && mine.pid !== undefined) {
              yield* vanish(mine.pid)
            }
            running = undefined
          })
      ),
    renew: (renewal) => {
      if (running !== undefined) {
        send({ _tag: "Renew", ...toMachine(renewal) })
      }
    }
  }
})

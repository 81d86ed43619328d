import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { createRequire } from "node:module"
import type { Order, Report } from "./guardian.ts"

/**
 * How a command came to its end.
 *
 * @internal
 */
export type Ended =
  | Extract<Report, { readonly _tag: "Ended" | "NotStarted" }>
  /** Its guardian has died, and the command was killed. */
  | { readonly _tag: "Orphaned" }

/**
 * A guardian, and another one in its place when it dies. It owns one command at a time.
 *
 * @internal
 */
export interface Guardian {
  /** Starts a command, and waits until it has ended. Interrupted, it stops it and waits until nothing of it is left. */
  readonly run: (order: Omit<Extract<Order, { readonly _tag: "Start" }>, "_tag">) => Effect.Effect<Ended>
  /** Says that the command may go on for so long from now. */
  readonly renew: (lease: Duration.Duration) => void
}

/** The guardian is a file of its own beside all bundles, which this package finds by its own name. */
const findProgram = () => createRequire(import.meta.url).resolve("effect-binary-star/service/guardian")

/**
 * Starts a guardian that ends with the scope, and with this process however that ends.
 *
 * @internal
 */
export const make: Effect.Effect<Guardian, never, Scope.Scope> = Effect.gen(function*() {
  const program = findProgram()
  let guardian: ChildProcess | undefined
  let pid: number | undefined
  let ended: Deferred.Deferred<Ended> | undefined

  const end = (how: Ended) => {
    pid = undefined
    const waiting = ended
    ended = undefined
    if (waiting !== undefined) {
      Deferred.unsafeDone(waiting, Effect.succeed(how))
    }
  }

  /** The guardian that there is, or a new one. In a group of its own, so that no Ctrl-C reaches it. */
  const summon = (): ChildProcess => {
    if (guardian !== undefined) {
      return guardian
    }
    const summoned = fork(program, [], { detached: true, execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] })
    guardian = summoned
    const gone = () => {
      guardian = guardian === summoned ? undefined : guardian
      if (pid !== undefined) {
        try {
          process.kill(-pid, "SIGKILL")
        } catch {
          // It has gone with its guardian.
        }
      }
      end({ _tag: "Orphaned" })
    }
    summoned.on("error", gone)
    summoned.on("exit", gone)
    summoned.on("message", (report: Report) => {
      if (report._tag === "Started") {
        pid = report.pid
      } else if (report._tag === "Ended" || report._tag === "NotStarted") {
        end(report)
      }
    })
    return summoned
  }

  const send = (order: Order) => {
    // What cannot be sent is for a guardian that has gone, which is told by its end.
    summon().send(order, () => {})
  }

  yield* Effect.acquireRelease(
    Effect.sync(summon),
    () =>
      Effect.async<void>((resume) => {
        if (guardian === undefined) {
          return resume(Effect.void)
        }
        guardian.once("exit", () => resume(Effect.void))
        guardian.disconnect()
      })
  )

  return {
    run: (order) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const running = Deferred.unsafeMake<Ended>(FiberId.none)
          ended = running
          send({ _tag: "Start", ...order })
          return running
        }),
        Deferred.await,
        (running) =>
          Effect.suspend(() => {
            if (ended === running) {
              send({ _tag: "Stop" })
            }
            return Deferred.await(running)
          })
      ),
    renew: (lease) => {
      if (ended !== undefined) {
        send({ _tag: "Renew", leaseMillis: Duration.toMillis(lease) })
      }
    }
  }
})

/**
 * Paths of `ipc` endpoints. libzmq takes a path from the process that listens there, does not notice the loss of its own path, and
 * leaves the file behind when it closes.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as net from "node:net"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import type { SocketError } from "../ports/SocketError.ts"

/** `undefined` if no file belongs to the endpoint alone: a name in the abstract namespace, or a wildcard. */
export const pathOf = (endpoint: string): string | undefined => {
  const path = endpoint.startsWith("ipc://") ? endpoint.slice("ipc://".length) : "@"
  return path.startsWith("@") || path === "*" ? undefined : path
}

/** Distinguishes a file from earlier ones at the same path, even with the same inode. `undefined` if there is none. */
export const identityOf = (path: string): string | undefined => {
  const stats = fs.statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? undefined : `${stats.dev} ${stats.ino} ${stats.birthtimeNs}`
}

const identity = (path: string): Effect.Effect<Option.Option<string | undefined>> =>
  Effect.option(Effect.try(() => identityOf(path)))

/** The result of a connection to a path. `Unknown` if it cannot be made for a reason in this process. */
type Finding = "Answered" | "Refused" | "Absent" | "Unknown"

const findings: { readonly [code: string]: Finding } = {
  // The queue of connections to accept is full.
  EAGAIN: "Answered",
  ECONNREFUSED: "Refused",
  ENOENT: "Absent"
}

const connect = (path: string): Effect.Effect<Finding> =>
  Effect.async((resume) => {
    const socket = net.connect(path)
    const found = (finding: Finding) => {
      socket.destroy()
      resume(Effect.succeed(finding))
    }
    socket.once("connect", () => found("Answered"))
    socket.on("error", (error: NodeJS.ErrnoException) => found(findings[error.code ?? ""] ?? "Unknown"))
    return Effect.sync(() => socket.destroy())
  })

/** Whether a path must not be bound: a process listens there, or it is a file other than a socket, which libzmq would remove. */
export const isInUse = (path: string): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    return stats?.isSocket()
      ? Effect.map(connect(path), (finding) => finding === "Answered")
      : Effect.succeed(stats !== undefined)
  }).pipe(Effect.catchAllDefect(() => Effect.succeed(false)))

const closing = Schedule.intersect(Schedule.spaced("1 millis"), Schedule.recurs(1000))

/**
 * Waits until a closed socket no longer listens, which takes libzmq a moment. Its file stays: refused connections to it are crash
 * evidence for the peer, and the next process that binds the path takes it.
 */
export const released = (path: string, own: string): Effect.Effect<void> =>
  Effect.flatMap(
    identity(path),
    (current) => Option.contains<string | undefined>(current, own) ? connect(path) : Effect.succeed("Absent" as const)
  ).pipe(
    Effect.repeat({ while: (finding) => finding === "Answered", schedule: closing }),
    Effect.asVoid
  )

/** Time between two looks at a path. */
const interval = "1 second"

/** A path that leads elsewhere is logged once, until it was right for this many milliseconds. */
const quietMillis = 60_000

/**
 * Checks that the path still leads to the bound socket, and binds it again once no other process listens there. Neither affects
 * existing connections.
 */
export const watch = (options: {
  readonly path: string
  readonly bound: string
  /** Binds again. Succeeds with the identity of the file. */
  readonly bindAgain: Effect.Effect<string, SocketError>
}): Effect.Effect<never> =>
  Effect.gen(function*() {
    const { bindAgain, path } = options
    const now = yield* monotonicReader
    const isFirst = LogOnce.makeByKey(quietMillis, now)
    let own = options.bound
    const logOnce = (message: string) => isFirst(message) ? Effect.logError(message) : Effect.void
    const look = Effect.gen(function*() {
      const current = yield* identity(path)
      if (Option.isNone(current) || current.value === own) {
        return
      }
      const finding = current.value === undefined ? "Absent" : yield* connect(path)
      if (finding === "Answered") {
        return yield* logOnce(
          `ipc://${path}: another process has taken the path and answers there: stop it, or choose another path`
        )
      }
      if (finding !== "Unknown") {
        own = yield* bindAgain
        yield* logOnce(`ipc://${path}: the file was removed or replaced; bound again`)
      }
    }).pipe(Effect.catchAll((error) => logOnce(error.message)))
    return yield* Effect.zipRight(Effect.repeat(look, Schedule.spaced(interval)), Effect.never)
  })

import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as process from "node:process"
import * as Descriptors from "../internal/Descriptors.ts"
import type { SocketError } from "../ports/SocketError.ts"
import { logPort } from "./logPort.ts"
import type { Runnable, Socket } from "./models.ts"
import * as Pressure from "./pressure.ts"

/** Time between two looks. */
const lookAgain = Schedule.spaced("100 millis")

/** A port whose connections were just closed may be held for a while, and descriptors may be used up. */
const openAgain = Schedule.spaced("50 millis")

/** MiB of this process outside JavaScript. Messages that JavaScript references belong to it. `undefined` if they cannot be read. */
const nativeMebibytes = (): number | undefined => {
  try {
    const { external, heapTotal, rss } = process.memoryUsage()
    return (rss - heapTotal - external) / 2 ** 20
  } catch {
    return undefined
  }
}

/** With fewer connections closing the socket gives back too few descriptors to be worth it: others have them. */
const worthwhile = 16

/**
 * A bound socket that is closed and opened again when the process uses too much memory or all file descriptors. ZeroMQ has no other
 * way to give back what it keeps for connections, and limits neither a message that never ends nor the number of connections.
 *
 * @internal
 */
export interface MemoryGuard<S> {
  /** The socket, or `undefined` while it is opened again. */
  readonly current: () => S | undefined
  /** How often it was opened again. */
  readonly resets: () => number
  /** Runs the socket, and after a reset the next one. To be run once. */
  readonly run: (run: (socket: S) => Effect.Effect<never, SocketError>) => Effect.Effect<never, SocketError>
}

interface Options<S> {
  readonly endpoint: string
  /** In MiB. */
  readonly maxMemory: number
  readonly open: Effect.Effect<S, SocketError, Scope.Scope>
  /** Number of connections to a socket, if it is known. */
  readonly connections?: (socket: S) => Effect.Effect<number>
  /** The other ends of its connections, for log lines. */
  readonly remote: string
}

/** A socket in a scope of its own, so that another one can take its place. */
interface Bound<S> {
  readonly socket: S
  readonly endpoint: string
  readonly close: Effect.Effect<void>
}

interface Session<S> extends Options<S> {
  readonly openAt: (endpoint: string) => Effect.Effect<Bound<S>, SocketError>
  readonly isOpen: Effect.Latch
  current: Bound<S> | undefined
  resetCount: number
  pressure: Pressure.Pressure
}

const reset = <S>(session: Session<S>, before: Bound<S>, cause: string): Effect.Effect<void, SocketError> =>
  Effect.gen(function*() {
    yield* Effect.logError(
      `${cause}: all connections of ${session.remote} at ${session.endpoint} are closed and may be made again`
    )
    session.isOpen.unsafeClose()
    session.current = undefined
    session.resetCount++
    yield* before.close
    const next = session.openAt(before.endpoint)
    session.current = yield* Effect.catchAll(
      next,
      (error) => Effect.zipRight(Effect.logError(`${error.message}; trying again`), Effect.retry(next, openAgain))
    )
    session.isOpen.unsafeOpen()
  })

const look = <S>(session: Session<S>): Effect.Effect<void, SocketError> =>
  Effect.gen(function*() {
    const { connections, current, maxMemory } = session
    if (current === undefined) {
      return
    }
    const mebibytes = nativeMebibytes()
    const sample = { mebibytes, areDescriptorsScarce: Descriptors.areScarce() }
    const { cause, pressure } = Pressure.look(session.pressure, maxMemory, sample)
    session.pressure = pressure
    if (cause === "Memory") {
      yield* reset(session, current, `${Math.round(mebibytes!)} MiB besides JavaScript's heap, of ${maxMemory}`)
    } else if (
      cause === "Descriptors" && (connections === undefined || (yield* connections(current.socket)) >= worthwhile)
    ) {
      const limit = Descriptors.limit ?? "those that the system has"
      yield* reset(session, current, `no more files can be opened, of ${limit}`)
    }
  })

/** @internal */
export const make = <S extends Socket & Runnable>(
  options: Options<S>
): Effect.Effect<MemoryGuard<S>, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const openAt = (endpoint: string) =>
      Effect.gen(function*() {
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const close = Scope.close(own, Exit.void)
        return yield* Effect.gen(function*() {
          const socket = yield* options.open
          return { socket, close, endpoint: yield* socket.bind(endpoint) }
        }).pipe(Scope.extend(own), Effect.tapError(() => close))
      })
    const first = yield* openAt(options.endpoint)
    yield* logPort(options.endpoint, first.endpoint)
    const session: Session<S> = {
      ...options,
      openAt,
      isOpen: Effect.unsafeMakeLatch(true),
      current: first,
      resetCount: 0,
      pressure: Pressure.none(options.maxMemory)
    }
    const watch = Effect.zipRight(Effect.schedule(look(session), lookAgain), Effect.never)
    return {
      current: () => session.current?.socket,
      resets: () => session.resetCount,
      run: (run) =>
        Effect.suspend(() => {
          const own = session.current
          return own === undefined
            ? session.isOpen.await
            : Effect.catchIf(run(own.socket), () => own !== session.current, () => Effect.void)
        }).pipe(Effect.forever, Effect.raceFirst(watch))
    }
  })

import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as process from "node:process"
import * as Descriptors from "../internal/Descriptors.ts"
import type { SocketError } from "../ports/SocketError.ts"
import { tellPort } from "./ports.ts"
import type { Runnable, Socket } from "./ZmqSocket.ts"

/** How often it is looked whether there is too much in memory, or too few descriptors. */
const lookAgain = Schedule.spaced("100 millis")

/** A port whose connections have just been cut may be held for a while, and descriptors may be used up. */
const openAgain = Schedule.spaced("50 millis")

/** MiB of this process that are not JavaScript's. Messages that JavaScript has in hand are. `undefined` where it cannot be read. */
const nativeMebibytes = (): number | undefined => {
  try {
    const { external, heapTotal, rss } = process.memoryUsage()
    return (rss - heapTotal - external) / 2 ** 20
  } catch {
    return undefined
  }
}

/**
 * Times in a row that descriptors are scarce until the socket is closed, at first and at most: those of rejected connections come
 * back sooner. Each time doubles it, since those that were cut off come back together, until descriptors are plentiful for a while.
 */
const scarceLooks = { first: 5, most: 80 }
const plentifulLooks = 100

/** With fewer connections than this, closing a socket gives back too few descriptors to be worth it. */
const worthwhile = 16

/**
 * A bound socket that is closed, and opened anew, when there is too much in memory, or when descriptors are used up: there is no
 * other way to have ZeroMQ let go of what it keeps for connections, and it limits neither a message that never ends nor the number
 * of connections.
 *
 * @internal
 */
export interface Valve<S> {
  /** The socket; nobody while it is being opened anew. */
  readonly current: () => S | undefined
  /** How often it was opened anew. */
  readonly cuts: () => number
  /** Runs the socket, whichever it is. To be run once. */
  readonly run: (run: (socket: S) => Effect.Effect<never, SocketError>) => Effect.Effect<never, SocketError>
}

/** @internal */
export const make = <S extends Socket & Runnable>({ connections, endpoint, maxMemory, open, whom }: {
  readonly endpoint: string
  readonly maxMemory: number
  readonly open: Effect.Effect<S, SocketError, Scope.Scope>
  /** Number of connections to a socket, where it is known. */
  readonly connections?: (socket: S) => Effect.Effect<number>
  /** Who is cut off, for people. */
  readonly whom: string
}): Effect.Effect<Valve<S>, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const openAt = (endpoint: string) =>
      Effect.gen(function*() {
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const close = Scope.close(own, Exit.void)
        return yield* Effect.gen(function*() {
          const socket = yield* open
          return { socket, close, bound: yield* socket.bind(endpoint) }
        }).pipe(Scope.extend(own), Effect.tapError(() => close))
      })
    const first = yield* openAt(endpoint)
    yield* tellPort(endpoint, first.bound)
    let current: typeof first | undefined = first
    let cuts = 0
    const isBack = Effect.unsafeMakeLatch(true)

    const openAnew = Effect.fnUntraced(function*(before: typeof first, why: string) {
      yield* Effect.logError(`${why}: all ${whom} at ${endpoint} are cut off`)
      isBack.unsafeClose()
      current = undefined
      cuts++
      yield* before.close
      const next = openAt(first.bound)
      current = yield* Effect.catchAll(next, (error) =>
        Effect.zipRight(Effect.logError(`${error.message}; trying again`), Effect.retry(next, openAgain)))
      isBack.unsafeOpen()
    })

    // What that does not bring down is somebody else's, so it is not tried again before it has grown by a quarter.
    let allowed = maxMemory
    const excess = () => {
      const mebibytes = nativeMebibytes()
      if (mebibytes === undefined || mebibytes <= allowed) {
        allowed = Math.max(maxMemory, Math.min(allowed, (mebibytes ?? allowed) * 1.25))
        return undefined
      }
      allowed = mebibytes * 1.25
      return `${Math.round(mebibytes)} MiB besides JavaScript's heap, of ${maxMemory}`
    }

    // Nor is it tried where others have the descriptors.
    let scarce = 0
    let plentiful = 0
    let tolerated = scarceLooks.first
    const shortage = Effect.fnUntraced(function*(socket: S) {
      const areScarce = Descriptors.areScarce()
      scarce = areScarce ? scarce + 1 : 0
      plentiful = areScarce ? 0 : plentiful + 1
      if (plentiful === plentifulLooks) {
        tolerated = scarceLooks.first
      }
      if (scarce < tolerated) {
        return undefined
      }
      scarce = 0
      tolerated = Math.min(2 * tolerated, scarceLooks.most)
      return connections === undefined || (yield* connections(socket)) >= worthwhile
        ? `no more files can be opened, of ${Descriptors.limit ?? "those that the system has"}`
        : undefined
    })

    const watch = Effect.gen(function*() {
      const mine = current
      if (mine === undefined) {
        return
      }
      const why = excess() ?? (yield* shortage(mine.socket))
      if (why !== undefined) {
        yield* openAnew(mine, why)
      }
    }).pipe(Effect.schedule(lookAgain), Effect.zipRight(Effect.never))

    return {
      current: () =>
        current?.socket,
      cuts: () => cuts,
      run: (run) =>
        Effect.suspend(() => {
          const mine = current
          return mine === undefined
            ? isBack.await
            : Effect.catchIf(run(mine.socket), () => mine !== current, () => Effect.void)
        }).pipe(Effect.forever, Effect.raceFirst(watch))
    }
  })

import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as process from "node:process"
import type { SocketError } from "../BinaryStarError.ts"
import { tellPort } from "./ports.ts"
import type { Runnable, Socket } from "./ZmqSocket.ts"

/** How often it is looked whether there is too much in memory. */
const lookAgain = Schedule.spaced("100 millis")

/** A port whose connections have just been cut may be held for a while. */
const bindAgain = Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100))

/** MiB of this process that are not JavaScript's. Messages that JavaScript has in hand are. */
const nativeMebibytes = (): number => {
  const { external, heapTotal, rss } = process.memoryUsage()
  return (rss - heapTotal - external) / 2 ** 20
}

/**
 * A bound socket that is closed, and opened anew, when there is too much in memory: there is no other way to have ZeroMQ let go
 * of what it keeps for connections, and it puts no limit to a message that never ends.
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
export const make = <S extends Socket & Runnable>({ endpoint, maxMemory, open, whom }: {
  readonly endpoint: string
  readonly maxMemory: number
  readonly open: Effect.Effect<S, SocketError, Scope.Scope>
  /** Who is cut off, for people. */
  readonly whom: string
}): Effect.Effect<Valve<S>, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const openApart = Effect.gen(function*() {
      const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
      return { socket: yield* Scope.extend(open, own), close: Scope.close(own, Exit.void) }
    })
    const first = yield* openApart
    const bound = yield* first.socket.bind(endpoint)
    yield* tellPort(endpoint, bound)
    let current: typeof first | undefined = first
    let cuts = 0
    const isBack = Effect.unsafeMakeLatch(true)

    const openAnew = Effect.fnUntraced(function*(before: typeof first) {
      isBack.unsafeClose()
      current = undefined
      cuts++
      yield* before.close
      const next = yield* openApart
      yield* Effect.retry(next.socket.bind(bound), {
        while: (error) => error.reason === "AddressInUse",
        schedule: bindAgain
      })
      current = next
      isBack.unsafeOpen()
    }, Effect.uninterruptible)

    // What that does not bring down is somebody else's, so it is not tried again before it has grown by a quarter.
    let allowed = maxMemory
    const watch = Effect.suspend(() => {
      const mebibytes = nativeMebibytes()
      if (current === undefined || mebibytes <= allowed) {
        allowed = Math.max(maxMemory, Math.min(allowed, mebibytes * 1.25))
        return Effect.void
      }
      allowed = mebibytes * 1.25
      return Effect.zipRight(
        Effect.logError(
          `${
            Math.round(mebibytes)
          } MiB besides JavaScript's heap, of ${maxMemory}: all ${whom} at ${endpoint} are cut off`
        ),
        openAnew(current)
      )
    }).pipe(Effect.schedule(lookAgain), Effect.zipRight(Effect.never))

    return {
      current: () => current?.socket,
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

/**
 * The frontend of a server over a ROUTER.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as process from "node:process"
import type { SocketError } from "../BinaryStarError.ts"
import * as Envelope from "../Envelope.ts"
import { Frontend } from "../Frontend.ts"
import * as Burst from "../internal/burst.ts"
import { monotonicReader } from "../internal/clock.ts"
import * as Limits from "../Limits.ts"
import { tellPort } from "./ports.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * The end of a server that its clients see. Limits that are not given are {@link Limits.standard}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Partial<Limits.Limits> {
  /** Where clients connect. */
  readonly frontend: string
}

/** How long, in milliseconds, the last replies may take after the server has ended. */
const lingerMillis = 200

/** How long, in milliseconds, nobody has to have asked until a server that has ended is gone, and how long it waits for that. */
const quietMillis = 20
const patienceMillis = 500

/** Refused connections are told once, until there have been none for so many milliseconds. */
const calmMillis = 60_000

/** How often it is looked whether there is too much in memory. */
const lookAgain = Schedule.spaced("100 millis")

/** A port whose connections have just been cut may be held for a while. */
const bindAgain = Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100))

/**
 * What comes to a server that has ended will not be executed by anybody. A client that understands is told, so that it may
 * ask the other one, also where its request must not be sent twice.
 */
const sendAway = (router: ZmqSocket.Router): Effect.Effect<void> =>
  router.receive.pipe(
    Effect.flatMap((batch) =>
      router.sendAll(batch.filter(Envelope.isOurs).map((request) => Envelope.status(request, "NotActive")))
    ),
    Effect.timeout(quietMillis),
    Effect.forever,
    Effect.timeout(patienceMillis),
    Effect.ignore,
    // In a fiber of its own: where this is called, interruption is off, and a timeout needs it.
    Effect.interruptible,
    Effect.forkDaemon,
    Effect.flatMap(Fiber.join)
  )

/** MiB of this process that are not JavaScript's. Messages that JavaScript has in hand are. */
const nativeMebibytes = (): number => {
  const { external, heapTotal, rss } = process.memoryUsage()
  return (rss - heapTotal - external) / 2 ** 20
}

const socketOptions = (limits: Limits.Limits): ZmqSocket.RouterOptions => ({
  lingerMillis,
  maxMessageSize: limits.maxMessageSize,
  queue: limits.queue,
  handshakeMillis: Math.ceil(Duration.toMillis(limits.handshakeTimeout)),
  pingMillis: Math.ceil(Duration.toMillis(limits.ping)),
  keepAliveSeconds: Math.ceil(Duration.toSeconds(limits.keepAlive))
})

/**
 * Serves clients at `frontend`, within the limits.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Frontend, SocketError> =>
  Layer.scoped(
    Frontend,
    Effect.gen(function*() {
      const limits: Limits.Limits = { ...Limits.standard, ...options }
      const scope = yield* Effect.scope
      const now = yield* monotonicReader
      const isNewRefusal = Burst.make(calmMillis)

      const open = Effect.gen(function*() {
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const router = yield* Scope.extend(ZmqSocket.makeRouter(socketOptions(limits)), own)
        yield* Stream.runForEach(router.refusals, (why) =>
          isNewRefusal(now())
            ? Effect.logWarning(`a connection to ${options.frontend} was refused: ${why}`)
            : Effect.void).pipe(Effect.interruptible, Effect.forkIn(own))
        return { router, close: Scope.close(own, Exit.void) }
      })

      const first = yield* open
      // Nobody while all connections are being cut.
      let current: typeof first | undefined = first
      const isBack = Effect.unsafeMakeLatch(true)
      let cut = 0
      let refusedBefore = 0
      const bound = yield* first.router.bind(options.frontend)
      yield* tellPort(options.frontend, bound)
      yield* Effect.addFinalizer(() => current === undefined ? Effect.void : sendAway(current.router))

      /** Closing the socket is the one way to have ZeroMQ let go of what it keeps for connections. */
      const cutAll = Effect.fnUntraced(function*(before: typeof first) {
        const { refused } = yield* before.router.connections
        isBack.unsafeClose()
        current = undefined
        refusedBefore += refused
        cut++
        yield* before.close
        const next = yield* open
        yield* Effect.retry(next.router.bind(bound), {
          while: (error) => error.reason === "AddressInUse",
          schedule: bindAgain
        })
        current = next
        isBack.unsafeOpen()
      }, Effect.uninterruptible)

      // What cutting them does not bring down is not the clients', so it is not tried again before it has grown by a quarter.
      let allowed = limits.maxMemory
      const watch = Effect.suspend(() => {
        const mebibytes = nativeMebibytes()
        if (current === undefined || mebibytes <= allowed) {
          allowed = Math.max(limits.maxMemory, Math.min(allowed, mebibytes * 1.25))
          return Effect.void
        }
        allowed = mebibytes * 1.25
        return Effect.zipRight(
          Effect.logError(
            `${Math.round(mebibytes)} MiB besides JavaScript's heap, of ${limits.maxMemory}: all clients are cut off`
          ),
          cutAll(current)
        )
      }).pipe(Effect.schedule(lookAgain), Effect.zipRight(Effect.never))

      return Frontend.of({
        run: (take, room) =>
          Effect.suspend(() => {
            const mine = current
            return mine === undefined
              ? isBack.await
              : Effect.catchIf(mine.router.run(take, room), () => mine !== current, () => Effect.void)
          }).pipe(Effect.forever, Effect.raceFirst(watch)),
        reply: (replies) => Effect.suspend(() => current === undefined ? Effect.void : current.router.sendAll(replies)),
        connections: Effect.suspend(() =>
          current === undefined ? Effect.succeed({ open: 0, refused: 0 }) : current.router.connections
        ).pipe(Effect.map(({ open, refused }) => ({ open, refused: refusedBefore + refused, cut })))
      })
    })
  )

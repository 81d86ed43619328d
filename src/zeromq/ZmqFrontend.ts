/**
 * The frontend of a server over a ROUTER.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import * as Descriptors from "../internal/Descriptors.ts"
import * as Burst from "../internal/LogOnce.ts"
import { Frontend } from "../ports/Frontend.ts"
import type { SocketError } from "../ports/SocketError.ts"
import * as Limits from "../settings/Limits.ts"
import * as Envelope from "../wire/Envelope.ts"
import * as Valve from "./valve.ts"
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
  /** What secures it, and sees to it that there are no more than `maxConnections`. Defaults to nothing but the latter. */
  readonly secure?: ZmqSocket.Secure | undefined
}

/** How long, in milliseconds, the last replies may take after the server has ended. */
const lingerMillis = 200

/** How long, in milliseconds, nobody has to have asked until a server that has ended is gone, and how long it waits for that. */
const quietMillis = 20
const patienceMillis = 500

/** Refused connections are told once, until there have been none for so many milliseconds. */
const calmMillis = 60_000

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

/** The code for it is loaded where there is a limit. */
const capped = (limits: Limits.Limits) =>
  limits.maxConnections === undefined
    ? Effect.succeed(undefined)
    : Effect.flatMap(Effect.promise(() => import("./capacity.ts")), ({ bound }) => bound(limits))

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
      const limits = yield* Descriptors.withConnections({ ...Limits.standard, ...options }, options.frontend)
      const now = yield* monotonicReader
      const isNewRefusal = Burst.makeByKey(calmMillis, now)
      let refusedBefore = 0

      const secure = options.secure ?? (yield* capped(limits))
      const open = Effect.gen(function*() {
        const router = yield* ZmqSocket.makeRouter({ ...socketOptions(limits), secure })
        yield* Effect.addFinalizer(() =>
          Effect.map(router.connections, ({ refused }) => {
            refusedBefore += refused
          })
        )
        yield* Stream.runForEach(router.refusals, (why) =>
          // Who secures a socket tells of those whom that refuses.
          options.secure === undefined && isNewRefusal(why)
            ? Effect.logWarning(`a connection to ${options.frontend} was refused: ${why}`)
            : Effect.void).pipe(Effect.interruptible, Effect.forkScoped)
        return router
      })

      const { current, cuts, run } = yield* Valve.make({
        endpoint: options.frontend,
        maxMemory: limits.maxMemory,
        open,
        connections: (router) => Effect.map(router.connections, ({ open }) => open),
        whom: "clients"
      })
      yield* Effect.addFinalizer(() => {
        const router = current()
        return router === undefined ? Effect.void : sendAway(router)
      })
      return Frontend.of({
        run: (onBatch, demand) =>
          run((router) =>
            router.run((requests) => {
              const result = onBatch(requests)
              return result instanceof Promise ? result : router.sendNow(result)
            }, demand)
          ),
        reply: (replies) => Effect.suspend(() => current()?.sendAll(replies) ?? Effect.void),
        connections: Effect.map(
          Effect.suspend(() => current()?.connections ?? Effect.succeed({ open: 0, refused: 0 })),
          ({ open, refused }) => ({ open, rejected: refusedBefore + refused, resets: cuts() })
        )
      })
    })
  )

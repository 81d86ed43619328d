/** The frontend of a server over a ROUTER. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import * as Descriptors from "../internal/Descriptors.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { Frontend } from "../ports/Frontend.ts"
import type { SocketError } from "../ports/SocketError.ts"
import * as Limits from "../settings/Limits.ts"
import * as Envelope from "../wire/Envelope.ts"
import * as Handshakes from "./handshakes.ts"
import * as MemoryGuard from "./memoryGuard.ts"
import type { Router, RouterOptions, SocketSecurity } from "./models.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * The frontend and its limits, by default {@link Limits.standard}.
 *
 * @category models
 */
export interface Options extends Partial<Limits.Limits> {
  /** Where clients connect. */
  readonly frontend: string
  /** Keys, with a limit of connections. Defaults to the limit `maxConnections` alone. */
  readonly security?: SocketSecurity | undefined
}

/** How long, in milliseconds, the last replies may be sent after the server has stopped. */
const lingerMillis = 200

/** A server that has stopped waits, in milliseconds, until no request has arrived for this long, and at most. */
const quietMillis = { requests: 20, max: 500 }

/** Rejected connections are logged once, until there were none for this many milliseconds. */
const rejectionQuietMillis = 60_000

/**
 * Answers requests to a server that has stopped: they will not be executed. A client of this library may then send its request to the
 * peer, even one that must not be sent twice.
 */
const rejectRequests = (router: Router): Effect.Effect<void> =>
  router.receive.pipe(
    Effect.flatMap((batch) =>
      router.sendAll(batch.filter(Envelope.isOurs).map((request) => Envelope.status(request, "NotActive")))
    ),
    Effect.timeout(quietMillis.requests),
    Effect.forever,
    Effect.timeout(quietMillis.max),
    Effect.ignore,
    // In a fiber of its own: finalizers cannot be interrupted, and a timeout has to interrupt.
    Effect.interruptible,
    Effect.forkDaemon,
    Effect.flatMap(Fiber.join)
  )

/** The limit of connections. Its code is loaded only if there is one. */
const limitConnections = (limits: Limits.Limits) =>
  limits.maxConnections === undefined
    ? Effect.succeed(undefined)
    : Effect.flatMap(Effect.promise(() => import("./connectionLimit.ts")), ({ bound }) => bound(limits))

const socketOptions = (limits: Limits.Limits): RouterOptions => ({
  lingerMillis,
  maxMessageSize: limits.maxMessageSize,
  queue: limits.queue,
  handshakeMillis: Math.ceil(Duration.toMillis(limits.handshakeTimeout)),
  pingMillis: Math.ceil(Duration.toMillis(limits.ping)),
  keepAliveSeconds: Math.ceil(Duration.toSeconds(limits.keepAlive))
})

/**
 * Logs rejected connections for the lifetime of the scope. With keys, the security logs them. A client with keys that meets a server
 * without ends some of its handshakes before the server does.
 */
const logRejections = (
  router: Router,
  { frontend, security }: Options,
  isFirst: (kind: string) => boolean,
  now: () => number
): Effect.Effect<void, never, Scope.Scope> => {
  let keyedAt = Number.NEGATIVE_INFINITY
  return Stream.runForEach(router.rejections, (reason) => {
    keyedAt = reason === Handshakes.keyed ? now() : keyedAt
    const isKeyed = reason === Handshakes.unfinished && now() - keyedAt < rejectionQuietMillis
    return security === undefined && isFirst(isKeyed ? Handshakes.keyed : reason)
      ? Effect.logWarning(`${frontend}: rejected a connection: ${reason}`)
      : Effect.void
  }).pipe(Effect.interruptible, Effect.forkScoped, Effect.asVoid)
}

/**
 * Serves clients at `frontend`, within the limits.
 *
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Frontend, SocketError> =>
  Layer.scoped(
    Frontend,
    Effect.gen(function*() {
      const limits = yield* Descriptors.withConnections({ ...Limits.standard, ...options }, options.frontend)
      const now = yield* monotonicReader
      const isFirst = LogOnce.makeByKey(rejectionQuietMillis, now)
      let rejectedBefore = 0

      const security = options.security ?? (yield* limitConnections(limits))
      const open = Effect.gen(function*() {
        const router = yield* ZmqSocket.makeRouter({ ...socketOptions(limits), security })
        yield* Effect.addFinalizer(() =>
          Effect.map(router.connections, ({ rejected }) => {
            rejectedBefore += rejected
          })
        )
        yield* logRejections(router, options, isFirst, now)
        return router
      })

      const { current, resets, run } = yield* MemoryGuard.make({
        endpoint: options.frontend,
        maxMemory: limits.maxMemory,
        open,
        connections: (router) => Effect.map(router.connections, ({ open }) => open),
        remote: "clients"
      })
      yield* Effect.addFinalizer(() => {
        const router = current()
        return router === undefined ? Effect.void : rejectRequests(router)
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
          Effect.suspend(() => current()?.connections ?? Effect.succeed({ open: 0, rejected: 0 })),
          ({ open, rejected }) => ({ open, rejected: rejectedBefore + rejected, resets: resets() })
        )
      })
    })
  )

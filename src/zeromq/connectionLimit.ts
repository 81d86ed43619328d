/**
 * Limits the connections to a bound socket. libzmq has no limit of its own, but its ZAP handler may reject a
 * connection, also without keys.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as zmq from "zeromq"
import { nextPoll } from "../internal/Scheduler.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Limits from "../settings/Limits.ts"
import { connectDirectly } from "./connector.ts"
import type { SocketSecurity } from "./models.ts"
import * as zap from "./zap.ts"

export type Options = Partial<Pick<Limits.Limits, "handshakeTimeout" | "maxConnections">>

export interface ConnectionLimit {
  /** Counts the connections of this socket, and no longer those of the one before. */
  readonly observe: (socket: zmq.Socket) => void
  /** The verdict about a connection that is otherwise accepted. */
  readonly verdict: Effect.Effect<"accept" | "retry">
}

/**
 * Time until a connection is rejected. libzmq may not close a connection that is rejected at once, and the delay slows clients that
 * connect again and again.
 */
const rejectDelay = Duration.millis(20)

/** Connections of a socket, those in their handshake included, and how many of them are being rejected. */
interface Counts {
  open: number
  leaving: number
}

export const make = (
  { handshakeTimeout = rejectDelay, maxConnections = Number.POSITIVE_INFINITY }: Options
): ConnectionLimit => {
  let current: Counts = { open: 0, leaving: 0 }
  const delay = Effect.sleep(Duration.min(rejectDelay, Duration.times(handshakeTimeout, 0.5)))
  const judge = Effect.suspend(() => {
    const own = current
    // Connections that are being rejected do not count against the limit.
    if (own.open - own.leaving <= maxConnections) {
      return Effect.succeed("accept" as const)
    }
    own.leaving++
    return Effect.as(Effect.ensuring(delay, Effect.sync(() => own.leaving--)), "retry" as const)
  })
  return {
    observe: (socket) => {
      const own: Counts = { open: 0, leaving: 0 }
      current = own
      socket.events.on("accept", () => own.open++)
      socket.events.on("disconnect", () => own.open--)
    },
    // The event of a connection and its ZAP request take different ways, of which the request's may be the faster one.
    verdict: maxConnections === Number.POSITIVE_INFINITY
      ? Effect.succeed("accept")
      : Effect.zipRight(nextPoll, judge)
  }
}

/** The limit for a socket without keys. */
export const bound = (options: Options): Effect.Effect<SocketSecurity, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const limit = make(options)
    const domain = yield* zap.register("NULL", () => limit.verdict)
    return {
      options: { zapDomain: domain, zapEnforceDomain: true },
      install: (socket) =>
        Effect.sync(() => {
          limit.observe(socket)
          return connectDirectly
        })
    }
  })

/**
 * How many connections are let in to a socket that is bound. libzmq has no limit of its own, but it asks whether a connection may
 * come in (ZAP), also where there are no keys.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as zmq from "zeromq"
import { nextPoll } from "../internal/Scheduler.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Limits from "../settings/Limits.ts"
import * as zap from "./zap.ts"
import type { Secure } from "./ZmqSocket.ts"
import { atOnce } from "./ZmqSocket.ts"

export type Options = Partial<Pick<Limits.Limits, "handshakeTimeout" | "maxConnections">>

/** Counts the connections to a socket, those included that have yet to say who they are. */
export interface Capacity {
  /** Looks after this socket, and no more after the one before it. */
  readonly attend: (socket: zmq.Socket) => void
  /** What becomes of a connection that may come in as long as there is room. */
  readonly verdict: Effect.Effect<"in" | "later">
}

/**
 * How long somebody has to wait for his answer that he is to come later. libzmq may not hang up if it has it at once, and it keeps
 * those in check who come again and again.
 */
const hesitation = Duration.millis(20)

export const make = (
  { handshakeTimeout = hesitation, maxConnections = Number.POSITIVE_INFINITY }: Options
): Capacity => {
  let current = { open: 0, leaving: 0 }
  const wait = Effect.sleep(Duration.min(hesitation, Duration.times(handshakeTimeout, 0.5)))
  const judge = Effect.suspend(() => {
    const own = current
    // Who has been told to leave does not take the place of those who come next.
    if (own.open - own.leaving <= maxConnections) {
      return Effect.succeed("in" as const)
    }
    own.leaving++
    return Effect.as(Effect.ensuring(wait, Effect.sync(() => own.leaving--)), "later" as const)
  })
  return {
    attend: (socket) => {
      const own = { open: 0, leaving: 0 }
      current = own
      socket.events.on("accept", () => own.open++)
      socket.events.on("disconnect", () => own.open--)
    },
    // That a connection is there and whether it may come in are told on two ways, of which this may be the faster one.
    verdict: maxConnections === Number.POSITIVE_INFINITY
      ? Effect.succeed("in")
      : Effect.zipRight(nextPoll, judge)
  }
}

/** Lets in so many, whoever they are. */
export const bound = (options: Options): Effect.Effect<Secure, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const capacity = make(options)
    const domain = yield* zap.register("NULL", () => capacity.verdict)
    return {
      options: { zapDomain: domain, zapEnforceDomain: true },
      attend: (socket) =>
        Effect.sync(() => {
          capacity.attend(socket)
          return atOnce
        })
    }
  })

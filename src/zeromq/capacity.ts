/**
 * How many connections there may be to a socket that is bound. libzmq has no limit of its own, but it asks whether a connection may
 * come in (ZAP), also where there are no keys.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as zmq from "zeromq"
import type { SocketError } from "../BinaryStarError.ts"
import { nextTurn } from "../internal/scheduler.ts"
import * as zap from "./zap.ts"
import type { Secure } from "./ZmqSocket.ts"

/** Counts the connections to a socket, those included that have yet to say who they are. */
export interface Capacity {
  /** Looks after this socket, and no more after the one before it. */
  readonly attend: (socket: zmq.Socket) => void
  /** Whether there are more than there may be, with the one that is asked about. */
  readonly isExceeded: Effect.Effect<boolean>
}

export const make = (maxConnections = Number.POSITIVE_INFINITY): Capacity => {
  let current = { open: 0 }
  return {
    attend: (socket) => {
      const own = { open: 0 }
      current = own
      socket.events.on("accept", () => own.open++)
      socket.events.on("disconnect", () => own.open--)
    },
    // That a connection is there and whether it may come in are told on two ways, of which this may be the faster one.
    isExceeded: maxConnections === Number.POSITIVE_INFINITY
      ? Effect.succeed(false)
      : Effect.map(Effect.zipRight(nextTurn, nextTurn), () => current.open > maxConnections)
  }
}

/** Lets in so many, whoever they are. */
export const bound = (maxConnections: number): Effect.Effect<Secure, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const capacity = make(maxConnections)
    const domain = yield* zap.register(
      "NULL",
      () => Effect.map(capacity.isExceeded, (isExceeded) => isExceeded ? "later" : "in")
    )
    return {
      options: { zapDomain: domain, zapEnforceDomain: true },
      attend: (socket) =>
        Effect.sync(() => {
          capacity.attend(socket)
          return (_, connect) => connect
        })
    }
  })

/** Counts the connections that are made to a bound socket, by the events of its handshakes. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type * as zmq from "zeromq"
import type { Router } from "./models.ts"
import { eventCapacity } from "./socketOptions.ts"

/** The code with which the binding reports a connection that `zap.ts` makes retry. */
export const retryCode = "ERR_ZAP_INVALID_STATUS_CODE"

/** The code with which the binding reports that one side has keys, and the other has none. */
export const mismatchCode = "ERR_ZMTP_MECHANISM_MISMATCH"

/** Why a connection was rejected that has ended during its handshake. */
export const unfinished = "the handshake was not completed, or not in time"

/** Why a connection was rejected that has keys, by a server without. */
export const keyed = "it has a key, and this server has none: start both with --keys, or neither"

type Failure = "other" | "protocol" | "auth"

const reasonOf = (failure: Failure, error: Error & { readonly code?: string }): string => {
  if (failure === "other") {
    return unfinished
  }
  if (error.code === mismatchCode) {
    return keyed
  }
  return error.code === retryCode ? "the limit of connections is reached" : error.message
}

/** Counts the connections of a socket. A rejected connection counts as ended, too. */
export const countConnections = (
  socket: zmq.Socket
): Effect.Effect<Pick<Router, "connections" | "rejections">, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Mailbox.make<string>({ capacity: eventCapacity, strategy: "sliding" }),
      (mailbox) => mailbox.shutdown
    ),
    (mailbox) => {
      const counts = { open: 0, rejected: 0 }
      socket.events.on("accept", () => counts.open++)
      socket.events.on("disconnect", () => counts.open--)
      for (const failure of ["other", "protocol", "auth"] as const) {
        socket.events.on(`handshake:error:${failure}`, ({ error }) => {
          counts.rejected++
          mailbox.unsafeOffer(reasonOf(failure, error))
        })
      }
      return { connections: Effect.sync(() => ({ ...counts })), rejections: Mailbox.toStream(mailbox) }
    }
  )

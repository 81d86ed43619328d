/** Counts the connections that are made to a bound socket, by the events of its handshakes. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type * as zmq from "zeromq"
import type { Router } from "./models.ts"
import { eventCapacity } from "./socketOptions.ts"

/** The code with which the binding reports a connection that `zap.ts` makes retry. */
export const retryCode = "ERR_ZAP_INVALID_STATUS_CODE"

type Failure = "other" | "protocol" | "auth"

const reasonOf = (failure: Failure, error: Error & { readonly code?: string }): string => {
  if (failure === "other") {
    return "the handshake was not completed, or not in time"
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

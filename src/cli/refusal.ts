/** Whether anything listens where a client connects: ZeroMQ itself connects again and again, and says nothing. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as RefusalProbe from "../internal/RefusalProbe.ts"
import { ClientLink } from "../ports/ClientLink.ts"
import * as Endpoint from "../wire/Endpoint.ts"

/** How long, in milliseconds, a client may take to connect. A probe of a server that listens is a failed handshake in its log. */
const connectMillis = 400

/** Whether a client has reached a server. */
export interface Contact {
  isMade: boolean
}

/** A link that notes that a server is connected. */
export const watched = <E, R>(link: Layer.Layer<ClientLink, E, R>, contact: Contact): Layer.Layer<ClientLink, E, R> =>
  Layer.provide(
    Layer.effect(
      ClientLink,
      Effect.map(ClientLink, ({ connect }) => ({
        connect: (server: string) =>
          Effect.map(connect(server), (connection) => ({
            ...connection,
            events: Stream.tap(connection.events, (event) =>
              Effect.sync(() => {
                contact.isMade ||= event === "connected"
              }))
          }))
      }))
    ),
    link
  )

/** How long, in milliseconds, a probe waits for an answer, which a refusal needs no time for. */
const probeMillis = 500

const isRefused = (server: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const address = RefusalProbe.addressOf(Endpoint.parse(server))
    if (address === undefined) {
      return resume(Effect.succeed(false))
    }
    return Effect.sync(RefusalProbe.probe(address, probeMillis, (isRefused) => resume(Effect.succeed(isRefused))))
  })

/** Warns if no server listens at any of the endpoints, once a client has had the time to connect. */
export const warnOfRefusal = (
  servers: ReadonlyArray<string>,
  contact: Contact,
  reaction: string
): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.delay(
      Effect.suspend(() =>
        contact.isMade ? Effect.succeed([]) : Effect.forEach(servers, isRefused, { concurrency: "unbounded" })
      ),
      connectMillis
    ),
    (refused) =>
      refused.length === 0 || refused.includes(false)
        ? Effect.void
        : Effect.logWarning(
          `connection refused: no server listens at ${servers.join(" or ")}; ${reaction}; ` +
            "start one with bstar -p, or name others with --server"
        )
  )

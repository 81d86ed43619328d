/** Whether anything listens where a client connects: ZeroMQ itself connects again and again, and says nothing. */
import * as Effect from "effect/Effect"
import * as RefusalProbe from "../internal/RefusalProbe.ts"
import * as Endpoint from "../wire/Endpoint.ts"

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

/** Warns if no server listens at any of the endpoints. */
export const warnOfRefusal = (servers: ReadonlyArray<string>, reaction: string): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.forEach(servers, isRefused, { concurrency: "unbounded" }),
    (refused) =>
      refused.includes(false)
        ? Effect.void
        : Effect.logWarning(
          `connection refused: no server listens at ${servers.join(" or ")}; ${reaction}; ` +
            "start one with bstar -p, or name others with --server"
        )
  )

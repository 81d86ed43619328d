/**
 * A client that waits for an answer after its server was lost.
 */
import { Effect, Exit, Logger, Scope } from "effect"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as Curve from "../../src/security/Curve.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"

export interface FailoverClient {
  /**
   * Sends requests, calls `lose`, which ends the server that answers them, and sends another one. Returns the milliseconds until its
   * answer.
   */
  readonly failover: (lose: () => void) => Promise<number>
  readonly close: () => Promise<void>
}

/** The requests before a failover: the code of the client is compiled by then. */
const requests = 500

/** Starts a client of a pair, with the keys in a folder if the servers require them. */
export const startFailoverClient = async (servers: ReadonlyArray<string>, keys?: string): Promise<FailoverClient> => {
  const scope = Effect.runSync(Scope.make())
  const { request } = await BinaryStarClient.make({ servers }).pipe(
    Scope.extend(scope),
    Effect.provide([
      keys === undefined ? ZmqClientLink.layer : ZmqClientLink.layerCurve(Curve.client(keys)),
      Logger.remove(Logger.defaultLogger)
    ]),
    Effect.runPromise
  )
  return {
    failover: (lose) =>
      Effect.runPromise(Effect.gen(function*() {
        yield* Effect.repeatN(request("before"), requests - 1)
        const lostAt = performance.now()
        yield* Effect.sync(lose)
        yield* request("after")
        return performance.now() - lostAt
      })),
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

/**
 * Measures how long a client waits for an answer after its server was killed.
 */
import { Effect, Logger } from "effect"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as Curve from "../../src/security/Curve.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"

/** Sends a request, kills the server that answers it, and sends another one. Returns the milliseconds until its answer. */
export const failover = (
  servers: ReadonlyArray<string>,
  keys: string | undefined,
  kill: () => void
): Promise<number> =>
  Effect.gen(function*() {
    const { request } = yield* BinaryStarClient.make({ servers })
    // The code is compiled by then.
    for (let i = 0; i < 500; i++) {
      yield* request("before")
    }
    const killed = performance.now()
    yield* Effect.sync(kill)
    yield* request("after")
    return performance.now() - killed
  }).pipe(
    Effect.scoped,
    Effect.provide([
      keys === undefined ? ZmqClientLink.layer : ZmqClientLink.layerCurve(Curve.client(keys)),
      Logger.remove(Logger.defaultLogger)
    ]),
    Effect.runPromise
  )

/**
 * A client that waits for an answer after its server was lost.
 */
import { Effect, Exit, Logger, Scope } from "effect"
import { Dealer } from "zeromq"
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

/** Starts the client of the least pair: it sends a request to the other server when its own rejects it, or is lost. */
export const startLeastClient = (servers: ReadonlyArray<string>): FailoverClient => {
  let active = 0
  let isClosed = false
  let onReply = () => {}
  const dealers = servers.map((server, index) => {
    const dealer = new Dealer({ linger: 0, immediate: true, reconnectInterval: 10 })
    const tryOther = () => {
      if (active === index && !isClosed) {
        active = 1 - index
        void send()
      }
    }
    dealer.events.on("disconnect", tryOther)
    dealer.connect(server)
    const receive = async () => {
      for await (const [body] of dealer) {
        if (String(body) === "rejected") {
          tryOther()
        } else {
          onReply()
        }
      }
    }
    void receive()
    return dealer
  })
  const send = () => dealers[active]!.send("a request")
  const request = () =>
    new Promise<void>((resolve) => {
      onReply = resolve
      void send()
    })
  return {
    failover: async (lose) => {
      for (let i = 0; i < requests; i++) {
        await request()
      }
      const lostAt = performance.now()
      lose()
      await request()
      return performance.now() - lostAt
    },
    close: async () => {
      isClosed = true
      dealers.forEach((dealer) => dealer.close())
    }
  }
}

import * as Effect from "effect/Effect"
import * as Backend from "../../src/ports/Backend.ts"
import * as ZmqBackend from "../../src/zeromq/ZmqBackend.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import { freshEndpoint, transports } from "../support/sockets.ts"
import { backendSuite } from "./backendSuite.ts"

backendSuite("memory", Backend.makeMemory)

for (const transport of transports) {
  backendSuite(
    transport,
    Effect.map(freshEndpoint(transport), (backend) => ({
      layer: ZmqBackend.layer({ backend }),
      connect: Effect.tap(ZmqSocket.makeDealer(), (worker) => worker.connect(backend))
    }))
  )
}

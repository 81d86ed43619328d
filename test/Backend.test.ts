import * as Effect from "effect/Effect"
import * as Backend from "../src/Backend.ts"
import * as ZmqBackend from "../src/zeromq/ZmqBackend.ts"
import * as ZmqSocket from "../src/zeromq/ZmqSocket.ts"
import { backendSuite } from "./suites/backendSuite.ts"
import { freshEndpoint, transports } from "./suites/support.ts"

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

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ClientLink } from "../../src/ports/ClientLink.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import { bound } from "../../src/zeromq/curveServer.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import * as ZmqFrontend from "../../src/zeromq/ZmqFrontend.ts"
import { makeKeys } from "../support/keys.ts"
import { freshEndpoint, transports } from "../support/sockets.ts"
import { frontendSuite } from "./frontendSuite.ts"

frontendSuite("memory", Frontend.makeMemory, { restarts: true })

for (const transport of transports) {
  const ends = Effect.gen(function*() {
    const frontend = yield* freshEndpoint(transport)
    const link = Context.get(yield* Layer.build(ZmqClientLink.layer), ClientLink)
    return { layer: ZmqFrontend.layer({ frontend }), connect: link.connect(frontend) }
  })
  frontendSuite(transport, ends, { restarts: transport !== "inproc" })
}

const withKeys = Effect.gen(function*() {
  const keys = yield* makeKeys
  const frontend = yield* freshEndpoint("tcp")
  const link = Context.get(yield* Layer.build(ZmqClientLink.layerCurve(keys.clientOf(keys.client))), ClientLink)
  const security = yield* bound(keys.primary, "frontend", frontend)
  return { layer: ZmqFrontend.layer({ frontend, security }), connect: link.connect(frontend) }
})

frontendSuite("tcp with keys", Effect.orDie(withKeys), { restarts: true })

import * as Effect from "effect/Effect"
import * as PeerLink from "../src/PeerLink.ts"
import * as ZmqPeerLink from "../src/zeromq/ZmqPeerLink.ts"
import { peerLinkSuite } from "./suites/peerLinkSuite.ts"
import { freshEndpoint, transports } from "./suites/support.ts"

peerLinkSuite("memory", PeerLink.makeMemory, { restarts: true })

for (const transport of transports) {
  const ends = Effect.gen(function*() {
    const ours = yield* freshEndpoint(transport)
    const theirs = yield* freshEndpoint(transport)
    return {
      primary: ZmqPeerLink.layer({ state: ours, peer: theirs }),
      backup: ZmqPeerLink.layer({ state: theirs, peer: ours })
    }
  })
  peerLinkSuite(transport, ends, { restarts: transport !== "inproc" })
}

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PeerLink from "../src/PeerLink.ts"
import * as ZmqPeerLink from "../src/zeromq/ZmqPeerLink.ts"
import { peerLinkSuite } from "./suites/peerLinkSuite.ts"
import { freshEndpoint, transports } from "./suites/support.ts"

peerLinkSuite("memory", PeerLink.makeMemory, { restarts: true, tells: true })

const heartbeat = Duration.seconds(1)

for (const transport of transports) {
  const ends = Effect.gen(function*() {
    const ours = yield* freshEndpoint(transport)
    const theirs = yield* freshEndpoint(transport)
    return {
      primary: ZmqPeerLink.layer({ state: ours, peer: theirs, heartbeat, crashDetection: true }),
      backup: ZmqPeerLink.layer({ state: theirs, peer: ours, heartbeat, crashDetection: true })
    }
  })
  peerLinkSuite(transport, ends, { restarts: transport !== "inproc", tells: transport === "tcp" })
}

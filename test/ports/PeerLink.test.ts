import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type * as Curve from "../../src/security/Curve.ts"
import type * as CurveKey from "../../src/security/CurveKey.ts"
import { connecting } from "../../src/zeromq/curveClient.ts"
import { bound } from "../../src/zeromq/curveServer.ts"
import * as ZmqPeerLink from "../../src/zeromq/ZmqPeerLink.ts"
import { makeKeys } from "../support/keys.ts"
import { freshEndpoint, transports } from "../support/sockets.ts"
import { peerLinkSuite } from "./peerLinkSuite.ts"

peerLinkSuite("memory", PeerLink.makeMemory, { restarts: true, reports: true })

const heartbeat = Duration.seconds(1)

for (const transport of transports) {
  const ends = Effect.gen(function*() {
    const ours = yield* freshEndpoint(transport)
    const theirs = yield* freshEndpoint(transport)
    return {
      primary: ZmqPeerLink.layer({ stateEndpoint: ours, peerEndpoint: theirs, heartbeat, crashDetection: true }),
      backup: ZmqPeerLink.layer({ stateEndpoint: theirs, peerEndpoint: ours, heartbeat, crashDetection: true })
    }
  })
  peerLinkSuite(transport, ends, { restarts: transport !== "inproc", reports: transport === "tcp" })
}

/** Keys of the state port and of the subscription to it. */
const secured = (security: Curve.Server, own: CurveKey.KeyPair, state: string) =>
  Effect.all({ state: bound(security, "state", state), peer: connecting(own, security.peer) })

const withKeys = Effect.gen(function*() {
  const keys = yield* makeKeys
  const ours = yield* freshEndpoint("tcp")
  const theirs = yield* freshEndpoint("tcp")
  const common = { heartbeat, crashDetection: true }
  const ofPrimary = yield* secured(keys.primary, keys.own.primary, ours)
  const ofBackup = yield* secured(keys.backup, keys.own.backup, theirs)
  return {
    primary: ZmqPeerLink.layer({ ...common, stateEndpoint: ours, peerEndpoint: theirs, security: ofPrimary }),
    backup: ZmqPeerLink.layer({ ...common, stateEndpoint: theirs, peerEndpoint: ours, security: ofBackup })
  }
})

peerLinkSuite("tcp with keys", Effect.orDie(withKeys), { restarts: true, reports: true })

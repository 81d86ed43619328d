/** Event streams of a member: requests, messages and events of the link, and the clock. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { withMonotonicTime } from "../internal/Clock.ts"
import type { LinkEvent } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type { BinaryStarConfig } from "../settings/BinaryStarConfig.ts"
import type { Event, Runtime } from "./context.ts"
import * as FastPath from "./fastPath.ts"

const linkInputs = {
  Connecting: { _tag: "LinkConnecting" },
  Connected: { _tag: "LinkConnected" },
  Lost: { _tag: "LinkLost" },
  Joined: { _tag: "SubscriberJoined" },
  PeerJoined: { _tag: "PeerJoined" }
} as const satisfies { readonly [E in LinkEvent]: Event }

/** By then the link has found crash evidence, if there is any, in milliseconds after the connection was lost. */
const evidenceMillis = 50

/**
 * Holds votes while the link looks for crash evidence: a client's request would be rejected a few milliseconds before it could be
 * accepted, and the client would have to send it again.
 */
const holdVotes = ({ fork, now, queue, state }: Runtime) => {
  state.votesHeldUntil = now() + evidenceMillis
  fork(Effect.interruptible(Effect.delay(Effect.sync(() => queue.offer({ _tag: "Pending" })), evidenceMillis)))
}

const releaseVotes = ({ state }: Runtime) => {
  state.votesHeldUntil = Number.NEGATIVE_INFINITY
}

const dieOnEnd = (what: string) => Effect.dieMessage(`the stream of ${what} has ended`)

/** Merges the streams into the queue. Never ends by itself. */
export const run = (
  runtime: Runtime,
  { crashDetection, heartbeat }: BinaryStarConfig
): Effect.Effect<void, SocketError> => {
  const { frontend, link, notices, now, queue, requests, state } = runtime
  const fromFrontend = frontend.run(FastPath.make(runtime), () => requests.demand())
  const fromPeer = Stream.runForEach(
    link.messages,
    (messages) => queue.put({ _tag: "Received", messages, at: now(), linkEpoch: state.linkEpoch })
  )
  const fromLink = Stream.runForEach(link.events, (event) => {
    if (event === "Lost" && crashDetection) {
      holdVotes(runtime)
    } else if (event === "Connecting" || event === "Connected") {
      releaseVotes(runtime)
    }
    return queue.put(linkInputs[event])
  })
  const fromEvidence = crashDetection
    ? Stream.runForEach(link.peerDown, (evidence) => {
      releaseVotes(runtime)
      return queue.put({ _tag: "PeerDown", evidence, linkEpoch: state.linkEpoch })
    })
    : Effect.never
  const fromClock = Stream.fromSchedule(Schedule.fixed(Duration.decode(heartbeat))).pipe(
    Stream.runForEach(() => Effect.zipRight(notices.checkClocks, queue.put({ _tag: "HeartbeatDue" }))),
    withMonotonicTime
  )
  return Effect.all([
    fromFrontend,
    Effect.zipRight(fromPeer, dieOnEnd("messages from the peer")),
    Effect.zipRight(fromClock, dieOnEnd("heartbeats")),
    Effect.zipRight(fromEvidence, dieOnEnd("crash evidence")),
    Effect.zipRight(fromLink, dieOnEnd("link events"))
  ], { concurrency: "unbounded", discard: true })
}

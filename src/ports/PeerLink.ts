/** The port between the servers of a pair. */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { monotonicMillis } from "../internal/Clock.ts"
import type { CrashEvidence, Role } from "../protocol/StateMachine.ts"
import type * as Frames from "../wire/Frames.ts"
import type { SocketError } from "./SocketError.ts"

/**
 * A step of the two connections of a link.
 *
 * - `Connecting`: the host of the peer has accepted the connection to its state port; the handshake is under way.
 * - `Connected`: the handshake is done, and the subscription is on its way.
 * - `Lost`: the connection, or the attempt to make it, has ended.
 * - `Joined`: a subscriber has connected to this server's own state port. It receives every message published from now on.
 *
 * @category models
 */
export type LinkEvent = "Connecting" | "Connected" | "Lost" | "Joined"

/**
 * Carries messages between two servers unchanged, and does not interpret them. Messages published while the peer is away are lost.
 *
 * @category tags
 */
export class PeerLink extends Context.Tag("effect-binary-star/PeerLink")<PeerLink, {
  /** Messages of the peer, in batches, in order. Never ends by itself. To be run once. */
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>, SocketError>
  /** Delivers what has arrived from the peer. Whether `messages` then has something to emit. Must not wait for the peer. */
  readonly poll: Effect.Effect<boolean>
  /** Publishes a message to the peer, if it is connected. Opens the port again after a final message. */
  readonly publish: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /**
   * Publishes a final message and closes the port, so that connections of the peer are refused. Does nothing after a final message.
   */
  readonly publishFinal: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /**
   * Waits until everything that the peer has sent before has arrived, because it is to be dropped. What `messages` emits later was
   * sent later, or is already delivered by `poll`.
   */
  readonly reset: Effect.Effect<void>
  /** Steps of the connections, in order. Never ends by itself. To be run once. */
  readonly events: Stream.Stream<LinkEvent>
  /** Whether a subscriber is connected to this server's own state port. */
  readonly hasSubscriber: Effect.Effect<boolean>
  /**
   * Whether the peer's host refuses a connection to the peer's state port now: no process listens there. A connection, any other
   * failure, and no answer within `timeoutMillis` are no refusal.
   */
  readonly isRefused: (timeoutMillis: number) => Effect.Effect<boolean>
  /** Crash evidence, each time that the link finds some. Never ends by itself. To be run once. */
  readonly peerDown: Stream.Stream<CrashEvidence>
}>() {}

/** Messages queued for a peer that does not read. Further ones are dropped, as by ZeroMQ at its high-water mark. */
const capacity = 1000

/** The time, read after pending messages have been delivered. */
const afterMessages = Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 3), monotonicMillis)

const refused = (peer: Role, asOf: number): CrashEvidence => ({
  _tag: "ConnectionRefused",
  endpoint: `the ${peer} in memory`,
  asOf
})

/**
 * A link in memory: the ends of both servers, each a layer. To build an end again is to restart its server.
 *
 * @category layers
 */
export const makeMemory: Effect.Effect<{ readonly [R in Role]: Layer.Layer<PeerLink> }> = Effect.gen(function*() {
  const fromPrimary = yield* PubSub.dropping<Frames.Frames>(capacity)
  const fromBackup = yield* PubSub.dropping<Frames.Frames>(capacity)
  const there = {
    primary: yield* SubscriptionRef.make(false),
    backup: yield* SubscriptionRef.make(false)
  }
  const end = (
    role: Role,
    peer: Role,
    incoming: PubSub.PubSub<Frames.Frames>,
    outgoing: PubSub.PubSub<Frames.Frames>
  ) =>
    Layer.scoped(
      PeerLink,
      Effect.gen(function*() {
        const subscription = yield* PubSub.subscribe(incoming)
        yield* Effect.acquireRelease(
          SubscriptionRef.set(there[role], true),
          () => SubscriptionRef.set(there[role], false)
        )
        return PeerLink.of({
          messages: Stream.repeatEffect(
            Effect.map(Queue.takeBetween(subscription, 1, capacity), Chunk.toReadonlyArray)
          ),
          poll: Effect.zipRight(Effect.yieldNow(), Effect.map(Queue.isEmpty(subscription), (empty) => !empty)),
          publish: (message) =>
            Effect.zipRight(SubscriptionRef.set(there[role], true), Effect.asVoid(PubSub.publish(outgoing, message))),
          publishFinal: (message) =>
            Effect.whenEffect(
              Effect.zipRight(PubSub.publish(outgoing, message), SubscriptionRef.set(there[role], false)),
              SubscriptionRef.get(there[role])
            ),
          reset: Effect.asVoid(afterMessages),
          events: Stream.mapConcat(
            Stream.changes(there[peer].changes),
            (isThere): ReadonlyArray<LinkEvent> => isThere ? ["Connected", "Joined"] : ["Lost"]
          ),
          hasSubscriber: SubscriptionRef.get(there[peer]),
          isRefused: () =>
            Effect.zipRight(afterMessages, Effect.map(SubscriptionRef.get(there[peer]), (isThere) => !isThere)),
          peerDown: Stream.filterMapEffect(there[peer].changes, (isThere) =>
            isThere ? Option.none() : Option.some(Effect.map(afterMessages, (asOf) => refused(peer, asOf))))
        })
      })
    )
  return {
    primary: end("primary", "backup", fromBackup, fromPrimary),
    backup: end("backup", "primary", fromPrimary, fromBackup)
  }
})

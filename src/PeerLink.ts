/**
 * The port between the two servers of a pair: where the peer's state comes from and where ours goes to.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { SocketError } from "./BinaryStarError.ts"
import type * as Frames from "./Frames.ts"
import type { Role } from "./Fsm.ts"

/**
 * Carries messages between two servers as they are; what they mean is not its business. What is published while the
 * peer is away is lost.
 *
 * @since 0.1.0
 * @category tags
 */
export class PeerLink extends Context.Tag("effect-binary-star/PeerLink")<PeerLink, {
  /** What the peer publishes, in batches, in order. Never ends by itself. To be run once. */
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>, SocketError>
  /** Lets come in what has arrived from the peer, and tells whether there is something that `messages` has yet to emit. */
  readonly waiting: Effect.Effect<boolean>
  /** Publishes a message to the peer, if it listens. */
  readonly publish: (message: Frames.Frames) => Effect.Effect<void, SocketError>
}>() {}

/**
 * Messages kept for a peer that does not read; later ones are dropped, as ZeroMQ does at its high-water mark.
 */
const capacity = 1000

/**
 * A link in memory: the ends of both servers, each a layer. An end that is built again is a server that was restarted.
 *
 * @since 0.1.0
 * @category layers
 */
export const makeMemory: Effect.Effect<{ readonly [R in Role]: Layer.Layer<PeerLink> }> = Effect.gen(function*() {
  const fromPrimary = yield* PubSub.dropping<Frames.Frames>(capacity)
  const fromBackup = yield* PubSub.dropping<Frames.Frames>(capacity)
  const end = (incoming: PubSub.PubSub<Frames.Frames>, outgoing: PubSub.PubSub<Frames.Frames>) =>
    Layer.scoped(
      PeerLink,
      Effect.map(PubSub.subscribe(incoming), (subscription) =>
        PeerLink.of({
          messages: Stream.repeatEffect(
            Effect.map(Queue.takeBetween(subscription, 1, capacity), Chunk.toReadonlyArray)
          ),
          waiting: Effect.zipRight(Effect.yieldNow(), Effect.map(Queue.isEmpty(subscription), (empty) => !empty)),
          publish: (message) => Effect.asVoid(PubSub.publish(outgoing, message))
        }))
    )
  return { primary: end(fromBackup, fromPrimary), backup: end(fromPrimary, fromBackup) }
})

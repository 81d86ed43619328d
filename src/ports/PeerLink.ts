/**
 * The port between the two servers of a pair: where the peer's state comes from and where ours goes to.
 *
 * @since 0.1.0
 */
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
 * - `Joined`: a subscriber has connected to this server's own state port, and hears what is published from now on.
 *
 * @since 0.1.0
 * @category models
 */
export type LinkEvent = "Connecting" | "Connected" | "Lost" | "Joined"

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
  readonly poll: Effect.Effect<boolean>
  /** `waiting` for the hot path, where a link has that without an Effect. */
  readonly pollSync?: (onPolled: (isWaiting: boolean) => void) => void
  /** Publishes a message to the peer, if it listens; after a farewell it can find us again, and hears what comes later. */
  readonly publish: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /**
   * Publishes a last message and lets go of where it was published, so that the peer finds nobody there from then on. Does
   * nothing after a farewell.
   */
  readonly publishFinal: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  /**
   * Lets come in all that the peer has sent before now, wherever it is, because it is to be dropped. What `messages` emits
   * after this was sent later, or is in hand.
   */
  readonly reset: Effect.Effect<void>
  /** Steps of the connections, in order. Never ends by itself. To be run once. */
  readonly events: Stream.Stream<LinkEvent>
  /** Whether a subscriber is connected to this server's own state port. */
  readonly hasSubscriber: Effect.Effect<boolean>
  /**
   * Whether the peer's host refuses a connection to the peer's state port now: no process listens there. A connection, any
   * other failure, and no answer within `timeoutMillis` are no refusal.
   */
  readonly isRefused: (timeoutMillis: number) => Effect.Effect<boolean>
  /** Proof that the peer is gone, each time that some turns up. Never ends by itself. To be run once. */
  readonly peerDown: Stream.Stream<CrashEvidence>
}>() {}

/**
 * Messages kept for a peer that does not read; later ones are dropped, as ZeroMQ does at its high-water mark.
 */
const capacity = 1000

/** Now, once that has been taken in which was said before. */
const afterWords = Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 3), monotonicMillis)

const refused = (peer: Role, asOf: number): CrashEvidence => ({
  _tag: "ConnectionRefused",
  endpoint: `the ${peer} in memory`,
  asOf
})

/**
 * A link in memory: the ends of both servers, each a layer. An end that is built again is a server that was restarted.
 *
 * @since 0.1.0
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
          reset: Effect.asVoid(afterWords),
          events: Stream.mapConcat(
            Stream.changes(there[peer].changes),
            (isThere): ReadonlyArray<LinkEvent> => isThere ? ["Connected", "Joined"] : ["Lost"]
          ),
          hasSubscriber: SubscriptionRef.get(there[peer]),
          isRefused: () =>
            Effect.zipRight(afterWords, Effect.map(SubscriptionRef.get(there[peer]), (isThere) => !isThere)),
          peerDown: Stream.filterMapEffect(there[peer].changes, (isThere) =>
            isThere ? Option.none() : Option.some(Effect.map(afterWords, (asOf) => refused(peer, asOf))))
        })
      })
    )
  return {
    primary: end("primary", "backup", fromBackup, fromPrimary),
    backup: end("backup", "primary", fromPrimary, fromBackup)
  }
})

/**
 * How long what runs on an active server may go on without another word to the peer, and when nothing can run at the peer.
 *
 * A peer takes over two heartbeats after it last heard from this server. Whatever could outlive this process, or go on while
 * it stands still, has to end before that: each word gives it a lease of one and a half heartbeats, which leaves half a
 * heartbeat to end it.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { monotonicReader } from "../internal/Clock.ts"
import { PeerLink } from "../ports/PeerLink.ts"
import type { PeerState } from "../protocol/StateMachine.ts"
import * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type * as Frames from "../wire/Frames.ts"
import * as PeerMessage from "../wire/PeerMessage.ts"

/**
 * The lease of an active server.
 *
 * @category tags
 */
export class Lease extends Context.Tag("effect-binary-star/Lease")<Lease, {
  /** Until when it lasts, in milliseconds of the monotonic clock: now, and with each word that goes to the peer. */
  readonly until: Stream.Stream<number>
  /**
   * Waits until nothing can run at the peer any more: two heartbeats after it last said that it was active, and no longer
   * than until it says anything else, which it does only when nothing runs there.
   */
  readonly peerIsOver: Effect.Effect<void>
  /**
   * While nothing was received from the peer for two heartbeats: what renews the lease besides a heartbeat. Undefined
   * otherwise, with `classic`, and without crash detection.
   */
  readonly absence: Effect.Effect<Absence | undefined>
}>() {}

/**
 * A connection that this endpoint refuses proves that no peer runs. It renews the lease like a heartbeat that the peer has
 * received: a peer that starts later opens its state port first, and is active two heartbeats after that at the earliest.
 *
 * @category models
 */
export interface Absence {
  readonly endpoint: string
  readonly leaseMillis: number
}

const decode = Schema.decodeOption(PeerMessage.PeerMessage)

const lastWord = (messages: ReadonlyArray<Frames.Frames>): PeerState | undefined =>
  messages.flatMap((message) => Option.toArray(decode(message))).at(-1)

/**
 * Watches what goes over a link, and gives a lease for each word that was sent.
 *
 * @category layers
 */
export const layer = (
  options: BinaryStarConfig.Options
): Layer.Layer<Lease | PeerLink, InvalidConfig, PeerLink> =>
  Layer.effectContext(Effect.gen(function*() {
    const { crashDetection, heartbeat, peerEndpoint, peerTimeoutMillis, policy } = yield* BinaryStarConfig.make(options)
    const link = yield* PeerLink
    const now = yield* monotonicReader
    const began = now()
    const leaseMillis = 1.5 * Duration.toMillis(heartbeat)
    const until = yield* SubscriptionRef.make(began + leaseMillis)
    // What the peer said before this process listened, or while it did not, is not known.
    const unknown = Effect.sync(() => now() + peerTimeoutMillis)
    const peerIsOverAt = yield* SubscriptionRef.make(yield* unknown)
    // A process that was here before may have died a moment ago, and what it ran has half a heartbeat to end.
    const predecessorIsOverAt = began + peerTimeoutMillis / 4
    // With classic a primary does not wait when it starts.
    const absence = policy === "hardened" && crashDetection ? { endpoint: peerEndpoint, leaseMillis } : undefined
    let receivedAt = Number.NEGATIVE_INFINITY

    return Context.make(PeerLink, {
      ...link,
      publish: (message) =>
        Effect.suspend(() => {
          // The time before it is sent, since the peer counts from some time after.
          const at = now()
          return Effect.zipRight(link.publish(message), SubscriptionRef.set(until, at + leaseMillis))
        }),
      reset: Effect.zipRight(link.reset, Effect.flatMap(unknown, (at) => SubscriptionRef.set(peerIsOverAt, at))),
      messages: Stream.tap(link.messages, (batch) => {
        receivedAt = now()
        const word = lastWord(batch)
        return word === undefined
          ? Effect.void
          : SubscriptionRef.set(peerIsOverAt, word === "ACTIVE" ? now() + peerTimeoutMillis : predecessorIsOverAt)
      })
    }).pipe(Context.add(Lease, {
      until: until.changes,
      peerIsOver: peerIsOverAt.changes.pipe(
        Stream.flatMap((at) => Effect.sleep(Math.max(0, at - now())), { switch: true }),
        Stream.take(1),
        Stream.runDrain
      ),
      absence: Effect.sync(() => now() - receivedAt > peerTimeoutMillis ? absence : undefined)
    }))
  }))

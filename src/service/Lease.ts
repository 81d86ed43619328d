/**
 * How long what runs on an active server may go on without another word to the peer.
 *
 * A peer takes over two heartbeats after the last word that this server is active. Whatever could outlive this process, or
 * go on while it stands still, has to end before that: it gets a lease of one and a half heartbeats with each such word.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as PubSub from "effect/PubSub"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as BinaryStarConfig from "../BinaryStarConfig.ts"
import type { InvalidConfig } from "../BinaryStarError.ts"
import type * as Frames from "../Frames.ts"
import { monotonicReader } from "../internal/clock.ts"
import { PeerLink } from "../PeerLink.ts"
import * as PeerMessage from "../PeerMessage.ts"

/**
 * The lease of an active server.
 *
 * @since 0.1.0
 * @category tags
 */
export class Lease extends Context.Tag("effect-binary-star/Lease")<Lease, {
  /** For how long a lease is given. */
  readonly time: Duration.Duration
  /** Gives one with each word that this server is active. */
  readonly given: Stream.Stream<Duration.Duration>
  /**
   * Waits until nothing can run at the peer any more: two heartbeats after it last said that it was active, and no longer
   * than until it says anything else.
   */
  readonly peerIsOver: Effect.Effect<void>
}>() {}

const decode = Schema.decodeOption(PeerMessage.PeerMessage)

const wordIn = (message: Frames.Frames) => Option.getOrUndefined(decode(message))

/** How often, in milliseconds, it is looked whether the peer's time is over; what it says may change that. */
const lookMillis = 5

/**
 * Gives leases for the words that go over a link.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: BinaryStarConfig.Options
): Layer.Layer<Lease | PeerLink, InvalidConfig, PeerLink> =>
  Layer.effectContext(Effect.gen(function*() {
    const { expiryMillis, heartbeat } = yield* BinaryStarConfig.make(options)
    const link = yield* PeerLink
    const now = yield* monotonicReader
    const time = Duration.times(heartbeat, 1.5)
    const given = yield* PubSub.sliding<Duration.Duration>(1)
    // Until when something may run at the peer. What it said before this process listened, or while it did not, is not known.
    let peerIsOverAt = now() + expiryMillis

    const peerIsOver: Effect.Effect<void> = Effect.suspend(() =>
      now() < peerIsOverAt ? Effect.zipRight(Effect.sleep(lookMillis), peerIsOver) : Effect.void
    )

    return Context.make(PeerLink, {
      ...link,
      publish: (message) =>
        Effect.zipRight(
          link.publish(message),
          wordIn(message) === "ACTIVE" ? PubSub.publish(given, time) : Effect.void
        ),
      forget: Effect.tap(link.forget, () =>
        Effect.sync(() => {
          peerIsOverAt = now() + expiryMillis
        })),
      messages: Stream.tap(link.messages, (batch) =>
        Effect.sync(() => {
          const word = batch.map(wordIn).filter(Predicate.isNotUndefined).at(-1)
          if (word !== undefined) {
            peerIsOverAt = word === "ACTIVE" ? now() + expiryMillis : Number.NEGATIVE_INFINITY
          }
        }))
    }).pipe(Context.add(Lease, { time, given: Stream.fromPubSub(given), peerIsOver }))
  }))

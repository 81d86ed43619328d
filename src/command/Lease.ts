/**
 * Leases: how long effects of an active server may continue without another heartbeat, and when none of the peer can.
 *
 * A peer takes over two heartbeats after it last received one. A process that could outlive this one, or continue while this one
 * stalls, has to end before that. Each heartbeat therefore grants a lease of one and a half heartbeats, which leaves half a
 * heartbeat to end the process.
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
 * Lease of a server, while it is active.
 *
 * @category tags
 */
export class Lease extends Context.Tag("effect-binary-star/Lease")<Lease, {
  /** The expiry of the lease, in milliseconds of the monotonic clock: the current one, and with each heartbeat a new one. */
  readonly until: Stream.Stream<number>
  /**
   * Waits until nothing of the peer's term can be running: two heartbeats after its last `ACTIVE`, or until it reports another
   * state, which it does only once its term has ended.
   */
  readonly peerTermEnded: Effect.Effect<void>
  /** The probe that may renew the lease. Only with `hardened` and crash detection, and while the peer is silent for two heartbeats. */
  readonly probe: Effect.Effect<LeaseProbe | undefined>
}>() {}

/**
 * Renewal of a lease by crash evidence. A refused connection to the endpoint proves that no peer runs, and renews the lease like a
 * heartbeat: a peer that starts later opens its state port first, and is active two heartbeats after that at the earliest.
 *
 * @category models
 */
export interface LeaseProbe {
  readonly endpoint: string
  readonly leaseMillis: number
}

const decode = Schema.decodeOption(PeerMessage.PeerMessage)

const lastState = (messages: ReadonlyArray<Frames.Frames>): PeerState | undefined =>
  messages.flatMap((message) => Option.toArray(decode(message))).at(-1)

/**
 * Observes a link, and grants a lease with each heartbeat that is sent.
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
    const startedAt = now()
    const leaseMillis = 1.5 * Duration.toMillis(heartbeat)
    const until = yield* SubscriptionRef.make(startedAt + leaseMillis)
    // Heartbeats that the peer sent before the start, or during a stall, are unknown.
    const unknownUntil = Effect.sync(() => now() + peerTimeoutMillis)
    const peerTermEndsAt = yield* SubscriptionRef.make(yield* unknownUntil)
    // A previous process may have died just before, and its command has half a heartbeat to end.
    const predecessorEndsAt = startedAt + peerTimeoutMillis / 4
    // A primary with classic may be active as soon as it starts.
    const probe = policy === "hardened" && crashDetection ? { endpoint: peerEndpoint, leaseMillis } : undefined
    let receivedAt = Number.NEGATIVE_INFINITY

    return Context.make(PeerLink, {
      ...link,
      publish: (publication) =>
        Effect.suspend(() => {
          // Taken before sending: the lease must end before the peer's deadline.
          const at = now()
          return Effect.tap(
            link.publish(publication),
            (isOpen) =>
              isOpen && publication.state !== undefined ? SubscriptionRef.set(until, at + leaseMillis) : Effect.void
          )
        }),
      reset: Effect.zipRight(link.reset, Effect.flatMap(unknownUntil, (at) => SubscriptionRef.set(peerTermEndsAt, at))),
      messages: Stream.tap(link.messages, (batch) => {
        receivedAt = now()
        const state = lastState(batch)
        return state === undefined
          ? Effect.void
          : SubscriptionRef.set(peerTermEndsAt, state === "ACTIVE" ? now() + peerTimeoutMillis : predecessorEndsAt)
      })
    }).pipe(Context.add(Lease, {
      until: until.changes,
      peerTermEnded: peerTermEndsAt.changes.pipe(
        Stream.flatMap((at) => Effect.sleep(Math.max(0, at - now())), { switch: true }),
        Stream.take(1),
        Stream.runDrain
      ),
      probe: Effect.sync(() => now() - receivedAt > peerTimeoutMillis ? probe : undefined)
    }))
  }))

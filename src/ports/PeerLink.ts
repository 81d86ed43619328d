/** The port between the servers of a pair. */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { monotonicMillis } from "../internal/Clock.ts"
import type { CrashEvidence, Role } from "../protocol/StateMachine.ts"
import type * as Frames from "../wire/Frames.ts"
import type { SocketError } from "./SocketError.ts"

/**
 * What a member publishes at one time. `state` is for every subscriber; `heartbeat` follows it, and is sent only while a peer that
 * understands it is subscribed. Without a state it is sent alone.
 *
 * @category models
 */
export interface Publication {
  readonly state?: Frames.Frames | undefined
  readonly heartbeat?: Frames.Frames | undefined
}

/**
 * A step of the two connections of a link.
 *
 * - `Connecting`: the host of the peer has accepted the connection to its state port; the handshake is under way.
 * - `Connected`: the handshake is done, and the subscription is on its way.
 * - `Lost`: the connection, or the attempt to make it, has ended.
 * - `Joined`: a subscriber has connected to this server's own state port. It receives every state published from now on.
 * - `PeerJoined`: a subscriber asks for heartbeats, and receives them from now on. It follows the `Joined` of that subscriber.
 *
 * @category models
 */
export type LinkEvent = "Connecting" | "Connected" | "Lost" | "Joined" | "PeerJoined"

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
  /**
   * Publishes to the peer, if it is connected. A state opens the port again if it is closed; a heartbeat alone does not.
   * Whether the port is open: it is not if that fails for want of descriptors, which the next publication tries again.
   */
  readonly publish: (publication: Publication) => Effect.Effect<boolean, SocketError>
  /** Publishes for the last time before `close`. Does nothing while the port is closed. */
  readonly publishFinal: (publication: Publication) => Effect.Effect<void, SocketError>
  /** Closes the port: connections of the peer are refused until a state opens it again. */
  readonly close: Effect.Effect<void>
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

/** An end of a link in memory: away, or there, with or without an interest in heartbeats. */
type Presence = "away" | "legacy" | "member"

const eventsOf: { readonly [P in Presence]: ReadonlyArray<LinkEvent> } = {
  away: ["Lost"],
  legacy: ["Connected", "Joined"],
  member: ["Connected", "Joined", "PeerJoined"]
}

/** One direction of a link in memory: what is published, whether its publisher is there, and what its subscriber asks for. */
interface Direction {
  readonly messages: PubSub.PubSub<Frames.Frames>
  readonly publisher: SubscriptionRef.SubscriptionRef<Presence>
  wantsHeartbeats: boolean
}

const makeDirection: Effect.Effect<Direction> = Effect.map(
  Effect.all([PubSub.dropping<Frames.Frames>(capacity), SubscriptionRef.make<Presence>("away")]),
  ([messages, publisher]) => ({ messages, publisher, wantsHeartbeats: false })
)

const isThere = ({ publisher }: Direction): Effect.Effect<boolean> =>
  Effect.map(SubscriptionRef.get(publisher), (presence) => presence !== "away")

/** One end of a link in memory, for the lifetime of the scope. */
const join = (
  peer: Role,
  incoming: Direction,
  outgoing: Direction,
  presence: Presence
): Effect.Effect<PeerLink["Type"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const subscription = yield* PubSub.subscribe(incoming.messages)
    incoming.wantsHeartbeats = presence === "member"
    const enter = SubscriptionRef.set(outgoing.publisher, presence)
    const leave = SubscriptionRef.set(outgoing.publisher, "away")
    yield* Effect.acquireRelease(enter, () => leave)
    const send = ({ heartbeat, state }: Publication) =>
      Effect.suspend(() =>
        PubSub.publishAll(
          outgoing.messages,
          [state, outgoing.wantsHeartbeats ? heartbeat : undefined].filter((message) => message !== undefined)
        )
      )
    return {
      messages: Stream.repeatEffect(Effect.map(Queue.takeBetween(subscription, 1, capacity), Chunk.toReadonlyArray)),
      poll: Effect.zipRight(Effect.yieldNow(), Effect.map(Queue.isEmpty(subscription), (empty) => !empty)),
      publish: (publication) =>
        (publication.state === undefined ? Effect.void : enter).pipe(
          Effect.zipRight(isThere(outgoing)),
          Effect.tap((isOpen) => isOpen ? send(publication) : Effect.void)
        ),
      publishFinal: (publication) => Effect.whenEffect(send(publication), isThere(outgoing)),
      close: leave,
      reset: Effect.asVoid(afterMessages),
      events: Stream.mapConcat(Stream.changes(incoming.publisher.changes), (presence) => eventsOf[presence]),
      hasSubscriber: isThere(incoming),
      isRefused: () => Effect.zipRight(afterMessages, Effect.map(isThere(incoming), (isThere) => !isThere)),
      peerDown: Stream.filterMapEffect(
        incoming.publisher.changes,
        (presence) =>
          presence === "away" ? Option.some(Effect.map(afterMessages, (asOf) => refused(peer, asOf))) : Option.none()
      )
    }
  })

/** The layers of both ends of a link in memory. */
type Ends = { readonly [R in Role]: Layer.Layer<PeerLink> }

/**
 * A link in memory: the ends of both servers, each a layer. To build an end again is to restart its server. `legacy` are ends of
 * servers that know only states: they receive no heartbeats.
 *
 * @category layers
 */
export const makeMemory: Effect.Effect<Ends & { readonly legacy: Ends }> = Effect.gen(function*() {
  const fromPrimary = yield* makeDirection
  const fromBackup = yield* makeDirection
  const ends = (presence: Presence): Ends => ({
    primary: Layer.scoped(PeerLink, join("backup", fromBackup, fromPrimary, presence)),
    backup: Layer.scoped(PeerLink, join("primary", fromPrimary, fromBackup, presence))
  })
  return { ...ends("member"), legacy: ends("legacy") }
})

import type * as Effect from "effect/Effect"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Rights from "../protocol/Rights.ts"
import type * as Frames from "../wire/Frames.ts"
import type * as ActiveTerm from "./activeTerm.ts"
import type * as Counters from "./Counters.ts"
import type * as EventQueue from "./eventQueue.ts"
import type * as Member from "./Member.ts"
import type { MemberError } from "./MemberError.ts"
import type { Notices } from "./notices.ts"
import type { Requests } from "./Requests.ts"
import type * as Responder from "./Responder.ts"

/** Failure that ends a member. */
export type Failure = MemberError | SocketError

/**
 * Event for the fiber of a member: an input of the core, or something to be processed before it becomes one.
 *
 * - `Received`: messages of the peer, not decoded.
 * - `Completed`: the result of a handler.
 * - `Pending`: the data plane has work.
 */
export type Event =
  | Member.Input
  | {
    readonly _tag: "Received"
    readonly messages: ReadonlyArray<Frames.Frames>
    readonly at: number
    readonly linkEpoch: number
  }
  | { readonly _tag: "Completed"; readonly completion: Responder.Completion }
  | { readonly _tag: "Pending" }

/** Keys of messages that are logged once in a burst. */
export type LogKey = NonNullable<Extract<Member.Output, { _tag: "Log" }>["once"]>

/** Asks the witness, and gives up the question before. */
export type AskWitness = (
  request: Rights.Request,
  expected: string | undefined,
  onAnswer: (answer: Member.WitnessAnswer, fingerprint: string | undefined) => void
) => Effect.Effect<void>

/** Everything that the fiber of a member works with. */
export interface Runtime {
  readonly rules: Member.Rules
  readonly now: () => number
  readonly frontend: Frontend["Type"]
  readonly link: PeerLink["Type"]
  readonly queue: EventQueue.EventQueue<Event>
  readonly requests: Requests
  readonly responder: Responder.Responder
  readonly counters: Counters.Counters
  readonly notices: Notices
  readonly terms: ActiveTerm.Terms<Failure>
  readonly latest: SubscriptionRef.SubscriptionRef<Member.Transition>
  readonly logOnce: { readonly [K in LogKey]: (now: number) => boolean }
  /** Callbacks of pending commands, by id. */
  readonly commands: Map<number, (rejection: Member.CommandReason | undefined, since: number) => void>
  readonly askWitness: AskWitness
  /** Until when this member may serve, where there is a witness. */
  readonly leasedUntil: SubscriptionRef.SubscriptionRef<number>
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly state: {
    /** Written by the fiber of the member only; read by `report`. */
    member: Member.Member
    /** Outputs to be performed, in order. */
    pending: Array<Member.Output>
    /** Epoch of the messages that are received now. */
    linkEpoch: number
    /** Everything that had arrived from the peer at this time has been delivered. */
    linkReadAt: number
    /** The peer's states are redundant until then: it sends heartbeats over the same connection. */
    heartbeatsUntil: number
    /** What is wrong with the latest message of the peer, if it is malformed. */
    malformed: string | undefined
    /** Votes wait until then: the connection to the peer was lost, and the link looks for crash evidence. */
    votesHeldUntil: number
    /** Whether the fiber of the member is waiting for its queue. */
    isIdle: boolean
    /** Whether the fiber of the member is to end, or has ended. */
    isOver: boolean
    /** Whether commands are rejected because the member has ended. */
    hasEnded: boolean
  }
}

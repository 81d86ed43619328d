import type * as Effect from "effect/Effect"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Frames from "../wire/Frames.ts"
import type * as ActiveTerm from "./activeTerm.ts"
import type * as Counters from "./Counters.ts"
import type * as EventQueue from "./eventQueue.ts"
import type * as Member from "./Member.ts"
import type { MemberError } from "./MemberError.ts"
import type { Transition } from "./Report.ts"
import type { Requests } from "./Requests.ts"
import type * as Responder from "./Responder.ts"

/** What ends a member. */
export type Failure = MemberError | SocketError

/**
 * What reaches the fiber of a member: inputs of the core, and what has to be looked at first.
 *
 * - `Received`: messages of the peer, undecoded.
 * - `Completed`: a handler has ended.
 * - `Pending`: the data plane has something to do.
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

/** Messages that are logged once as long as they keep coming. */
export type Burst = NonNullable<Extract<Member.Output, { _tag: "Log" }>["burst"]>

/** What the fiber of a member works with. */
export interface Runtime {
  readonly rules: Member.Rules
  readonly now: () => number
  readonly frontend: Frontend["Type"]
  readonly link: PeerLink["Type"]
  readonly queue: EventQueue.EventQueue<Event>
  readonly requests: Requests
  readonly responder: Responder.Responder
  readonly counters: Counters.Counters
  readonly terms: ActiveTerm.Terms<Transition, Failure>
  readonly latest: SubscriptionRef.SubscriptionRef<Transition>
  readonly logOnce: { readonly [B in Burst]: (now: number) => boolean }
  /** Commands to be completed, by their ids. */
  readonly commands: Map<number, (rejection: Member.Rejection | undefined, since: number) => void>
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly state: {
    /** Written by the fiber of the member only. */
    member: Member.Member
    /** What is to be done, in order. */
    pending: Array<Member.Output>
    /** The epoch of what is received from the peer now. */
    linkEpoch: number
    /** Everything that the peer had sent to this host by then has been delivered. */
    linkReadAt: number
    /** Whether the fiber of the member has nothing to do but to wait for its queue. */
    isIdle: boolean
    /** Whether the fiber of the member is to stop, or has. */
    isOver: boolean
    /** Whether commands are not taken any more. */
    hasEnded: boolean
  }
}

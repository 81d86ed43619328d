/** Both servers of a pair, as one of them sees it. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "../internal/Clock.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { RejectedConnections } from "../security/RejectedConnections.ts"
import * as Status from "../status/Status.ts"
import type { PeerStatus } from "./peerStatus.ts"

export interface Pair {
  readonly self: Effect.Effect<Status.NodeStatus>
  /** Asks the peer, unless that was done within the last second. */
  readonly asked: Effect.Effect<Status.PairStatus>
  /** With the peer's last answer. */
  readonly known: Effect.Effect<Status.PairStatus>
}

/** However many want to know, the peer is asked once a second. */
const freshMillis = 900

export const make = (
  http: string,
  peer: PeerStatus | undefined,
  rejectedConnections: RejectedConnections | undefined
): Effect.Effect<Pair, never, BinaryStar | Scope.Scope> =>
  Effect.gen(function*() {
    const member = yield* BinaryStar
    const now = yield* monotonicReader
    // Who asks may go away while others wait for the same answer.
    const fork = yield* FiberSet.makeRuntime<never, Status.PairStatus["peer"]>()
    const self = Effect.provideService(
      Status.make({ http, peerHttp: peer?.url, rejectedConnections }),
      BinaryStar,
      member
    )
    let latest: Status.PairStatus["peer"] = peer === undefined ? null : { status: null, error: "not asked yet" }
    let asking: { readonly fiber: Fiber.Fiber<Status.PairStatus["peer"]>; readonly at: number } | undefined

    const ask = (peer: PeerStatus) =>
      Effect.suspend(() => {
        if (asking === undefined || now() - asking.at > freshMillis) {
          const answer = Effect.match(peer.status, {
            onFailure: ({ message }) => ({ status: null, error: message }),
            onSuccess: (status) => ({ status, error: null })
          })
          const noted = Effect.tap(answer, (answer) => Effect.sync(() => latest = answer))
          asking = { fiber: fork(Effect.interruptible(noted)), at: now() }
        }
        return Fiber.join(asking.fiber)
      })
    const known = Effect.map(self, (self) => ({ self, peer: latest }))

    return { self, known, asked: peer === undefined ? known : Effect.zipRight(ask(peer), known) }
  })

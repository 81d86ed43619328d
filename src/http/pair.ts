/** The status of both servers of a pair, as one of them reports it. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "../internal/Clock.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { RejectedConnections } from "../security/RejectedConnections.ts"
import * as Hosts from "../status/Hosts.ts"
import * as Status from "../status/Status.ts"
import type { Peer } from "./peer.ts"

export interface Pair {
  readonly self: Effect.Effect<Status.NodeStatus>
  /** Requests the peer's status, unless that was done within the last second. */
  readonly requested: Effect.Effect<Status.PairStatus>
  /** With the latest status of the peer. */
  readonly known: Effect.Effect<Status.PairStatus>
}

/** The peer receives one request a second at most, whatever the number of clients. */
const freshMillis = 900

interface Latest {
  readonly status: Status.NodeStatus | null
  readonly error: string | null
  readonly requestedAt: number
}

export const make = (
  http: string,
  peer: Peer | undefined,
  rejectedConnections: RejectedConnections | undefined
): Effect.Effect<Pair, never, BinaryStar | Scope.Scope> =>
  Effect.gen(function*() {
    const member = yield* BinaryStar
    const now = yield* monotonicReader
    // A request goes on when its client disconnects, because others may wait for the same answer.
    const fork = yield* FiberSet.makeRuntime<never, void>()
    const hosts = yield* Hosts.make
    const self = Effect.provideService(
      Effect.suspend(() => Status.make({ http, peerHttp: peer?.url, rejectedConnections, hosts: hosts() })),
      BinaryStar,
      member
    )
    let latest: Latest = { status: null, error: "not requested yet", requestedAt: Number.NEGATIVE_INFINITY }
    let pending: { readonly fiber: Fiber.Fiber<void>; readonly at: number } | undefined

    const request = ({ status }: Peer) =>
      Effect.suspend(() => {
        const requestedAt = now()
        if (pending === undefined || requestedAt - pending.at > freshMillis) {
          const answer = Effect.match(status, {
            onFailure: ({ detail }): Latest => ({ status: null, error: detail, requestedAt }),
            onSuccess: (status): Latest => ({ status, error: null, requestedAt })
          })
          const stored = Effect.map(answer, (answer) => {
            latest = answer
          })
          pending = { fiber: fork(Effect.interruptible(stored)), at: requestedAt }
        }
        return Fiber.join(pending.fiber)
      })
    const known = Effect.map(self, (self): Status.PairStatus => {
      const { error, requestedAt, status } = latest
      return {
        self,
        peer: peer === undefined
          ? null
          : { status, error, ageMillis: status === null ? null : now() - requestedAt }
      }
    })

    return { self, known, requested: peer === undefined ? known : Effect.zipRight(request(peer), known) }
  })

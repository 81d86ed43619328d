/** What an operator may order, carried out. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { CommandRejected } from "../member/MemberError.ts"
import type * as Status from "../status/Status.ts"
import { Refused, Unfinished } from "./api.ts"
import type { PeerStatus } from "./peerStatus.ts"

export interface Orders {
  readonly switchover: (reason: string) => Effect.Effect<typeof Status.SwitchedOver.Type, Refused | Unfinished>
  readonly pause: (reason: string) => Effect.Effect<typeof Status.Done.Type>
  readonly resume: Effect.Effect<typeof Status.Done.Type>
  readonly promote: (reason: string) => Effect.Effect<typeof Status.Done.Type, Refused>
}

/** What is known where the peer was not told, or has not answered. */
const notTold = { activeBy: Number.POSITIVE_INFINITY, why: "" }

const refuse = ({ message }: CommandRejected) => new Refused({ error: message })

export const make = (
  peer: PeerStatus | undefined,
  token: Redacted.Redacted | undefined
): Effect.Effect<Orders, never, BinaryStar | Scope.Scope> =>
  Effect.gen(function*() {
    const member = yield* BinaryStar
    const now = yield* monotonicReader
    const fork = yield* FiberSet.makeRuntime<never>()
    const heartbeatMillis = Duration.toMillis(member.config.heartbeat)
    /** How long the peer may take to be active. If it is gone this server may be so again after eight heartbeats. */
    const patience = Duration.millis(Math.max(10_000, 9 * heartbeatMillis))

    /** The goodbye, and the evidence behind it, go another way than the order; without evidence two heartbeats have to pass. */
    const untilHeard = Schedule.spaced("20 millis").pipe(Schedule.upTo(Duration.millis(2 * heartbeatMillis + 1000)))

    /** A peer that was active a moment ago may not have said yet that it stands by. */
    const untilPaired = Schedule.spaced("50 millis").pipe(Schedule.upTo(Duration.millis(2 * heartbeatMillis)))

    /** What this server becomes that hands over: `PASSIVE`, if all goes well. */
    const afterwards = member.changes.pipe(
      Stream.filter((state) => state === "PASSIVE" || state === "ACTIVE"),
      Stream.runHead,
      Effect.map(Option.getOrUndefined),
      Effect.catchAll(() => Effect.succeed(undefined))
    )

    /** Tells the peer that it is its turn, which it notices with the next vote too, and gives what has come of it. */
    const tellPeer = (reason: string) =>
      peer === undefined || token === undefined ? Effect.succeed(notTold) : peer.promote(reason, token).pipe(
        Effect.retry(untilHeard),
        Effect.match({
          onFailure: ({ message }) => ({ ...notTold, why: ` (${message})` }),
          onSuccess: () => ({ activeBy: now(), why: "" })
        })
      )

    const handOver = (reason: string) =>
      Effect.gen(function*() {
        const { since } = yield* member.handOver(reason).pipe(
          Effect.retry({ while: ({ reason }) => reason === "PeerSilent", schedule: untilPaired }),
          Effect.mapError(refuse)
        )
        const telling = yield* Effect.fork(tellPeer(reason))
        const state = yield* Effect.timeoutOption(afterwards, patience)
        const at = now()
        const { activeBy, why } = Option.match(yield* Fiber.poll(telling), {
          onNone: () => notTold,
          onSome: Exit.getOrElse(() => notTold)
        })
        if (Option.isNone(state)) {
          return yield* new Unfinished({
            error: `this server has handed over, but its peer is not active after ${Duration.format(patience)}${why}`
          })
        }
        if (state.value !== "PASSIVE") {
          return yield* new Refused({
            error: state.value === "ACTIVE"
              ? `the peer has not taken over, so this server is active again${why}`
              : `this server has stopped before its peer was active${why}`
          })
        }
        // The peer answers as soon as it is active, and publishes it with the next heartbeat.
        const waitedMillis = Math.min(at, activeBy) - since
        return { waitedMillis, message: `the peer is active; clients waited for ${Math.round(waitedMillis)} ms` }
      }).pipe(Effect.tapBoth({
        onFailure: ({ error }) => Effect.logWarning(`switchover: ${error}`),
        onSuccess: ({ message }) => Effect.logInfo(`switchover: ${message}`)
      }))

    return {
      // Who ordered it may hang up meanwhile. Then it is done all the same.
      switchover: (reason) => Effect.suspend(() => Fiber.join(fork(Effect.interruptible(handOver(reason))))),
      pause: (reason) =>
        Effect.as(member.pause(reason), { message: "paused: votes do not make this server take over any more" }),
      resume: Effect.as(member.resume, { message: "resumed: votes make this server take over again" }),
      promote: (reason) =>
        Effect.as(Effect.mapError(member.promote(reason), refuse), { message: "this server is active" })
    }
  })

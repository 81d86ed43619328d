/** An operator's commands, carried out by this server. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { CommandRejected } from "../member/MemberError.ts"
import type * as StateMachine from "../protocol/StateMachine.ts"
import type * as Status from "../status/Status.ts"
import { Conflict, PeerFailed, Unfinished } from "./api.ts"
import type { Outcome } from "./client.ts"
import type { Peer } from "./peer.ts"

export interface Commands {
  readonly switchover: (reason: string) => Effect.Effect<typeof Status.SwitchedOver.Type, Conflict | Unfinished>
  readonly pause: (reason: string) => Effect.Effect<typeof Status.Done.Type>
  readonly resume: Effect.Effect<typeof Status.Done.Type>
  readonly promote: (body: typeof Status.PromoteBody.Type) => Effect.Effect<typeof Status.Done.Type, Conflict>
  /** Sends a command with this body to the peer. */
  readonly forward: (command: string, body: string) => Effect.Effect<Outcome, Conflict | PeerFailed>
}

type Service = BinaryStar["Type"]

const conflict = ({ message, reason }: CommandRejected) => new Conflict({ error: message, reason })

/** The outcome of promoting the peer: since when it is active, or why it was not promoted. */
interface Promotion {
  readonly activeAt: number
  readonly why: string
}

const notPromoted: Promotion = { activeAt: Number.POSITIVE_INFINITY, why: "" }

/**
 * Promotes the peer, which would take over with the next vote anyway. It may not have received this server's final heartbeat
 * and the crash evidence yet; without crash evidence two heartbeats have to pass.
 */
const promotePeer = (peer: Peer | undefined, reason: string, heartbeatMillis: number): Effect.Effect<Promotion> =>
  Effect.gen(function*() {
    if (peer?.promote === undefined) {
      return notPromoted
    }
    const now = yield* monotonicReader
    const untilReceived = Schedule.spaced("20 millis").pipe(Schedule.upTo(Duration.millis(2 * heartbeatMillis + 1000)))
    return yield* peer.promote(reason).pipe(
      Effect.retry(untilReceived),
      Effect.match({
        onFailure: ({ message }): Promotion => ({ ...notPromoted, why: ` (${message})` }),
        onSuccess: (): Promotion => ({ activeAt: now(), why: "" })
      })
    )
  })

/** The state that ends a hand-over, `PASSIVE` if it has succeeded. `undefined` if the member has stopped. */
const finalState = ({ changes }: Service): Effect.Effect<StateMachine.State | undefined> =>
  changes.pipe(
    Stream.filter((state) => state === "PASSIVE" || state === "ACTIVE"),
    Stream.runHead,
    Effect.map(Option.getOrUndefined),
    Effect.orElseSucceed(() => undefined)
  )

const handOver = (member: Service, peer: Peer | undefined, reason: string) =>
  Effect.gen(function*() {
    const now = yield* monotonicReader
    const heartbeatMillis = Duration.toMillis(member.config.heartbeat)
    // A peer that was active a moment ago may not have reported yet that it is passive.
    const untilPassive = Schedule.spaced("50 millis").pipe(Schedule.upTo(Duration.millis(2 * heartbeatMillis)))
    const { since } = yield* member.handOver(reason).pipe(
      Effect.retry({ while: ({ reason }) => reason === "PeerSilent", schedule: untilPassive }),
      Effect.mapError(conflict)
    )
    const promoting = yield* Effect.fork(promotePeer(peer, reason, heartbeatMillis))
    // If the peer is lost, this server may be active again after eight heartbeats. `bstar switchover` waits for two more.
    const timeout = Duration.millis(Math.max(10_000, 9 * heartbeatMillis))
    const state = yield* Effect.timeoutOption(finalState(member), timeout)
    const at = now()
    const { activeAt, why } = Option.match(yield* Fiber.poll(promoting), {
      onNone: () => notPromoted,
      onSome: Exit.getOrElse(() => notPromoted)
    })
    if (Option.isNone(state)) {
      return yield* new Unfinished({
        error: `this server has handed over, but its peer is not active after ${Duration.format(timeout)}${why}`
      })
    }
    if (state.value !== "PASSIVE") {
      return yield* new Conflict({
        error: state.value === "ACTIVE"
          ? `the peer has not taken over, so this server is active again${why}`
          : `this server has stopped before its peer was active${why}`
      })
    }
    // The peer completes a promotion when it is active, and may publish its state later.
    const waitedMillis = Math.min(at, activeAt) - since
    return { waitedMillis, message: `the peer is active; clients waited for ${Math.round(waitedMillis)} ms` }
  }).pipe(Effect.tapBoth({
    onFailure: ({ error }) => Effect.logWarning(`switchover: ${error}`),
    onSuccess: ({ message }) => Effect.logInfo(`switchover: ${message}`)
  }))

/** A switchover lasts for a drain and some heartbeats at most. The peer's settings are the same. */
const forwardTimeout = ({ config: { drain, heartbeat } }: Service): Duration.Duration =>
  Duration.seconds(60).pipe(Duration.sum(drain), Duration.sum(Duration.times(heartbeat, 20)))

const forward = (member: Service, peer: Peer | undefined): Commands["forward"] => (command, body) =>
  peer?.forward === undefined
    ? new Conflict({ error: "this server does not know the status server of its peer (--peer-http)" })
    : Effect.mapError(
      peer.forward(command, body, forwardTimeout(member)),
      ({ message }) => new PeerFailed({ error: message })
    )

export const make = (peer: Peer | undefined): Effect.Effect<Commands, never, BinaryStar | Scope.Scope> =>
  Effect.gen(function*() {
    const member = yield* BinaryStar
    const fork = yield* FiberSet.makeRuntime<never>()
    return {
      // A switchover goes on when its client disconnects.
      switchover: (reason) =>
        Effect.suspend(() => Fiber.join(fork(Effect.interruptible(handOver(member, peer, reason))))),
      pause: (reason) =>
        Effect.as(member.pause(reason), { message: "paused: votes do not make this server take over any more" }),
      resume: Effect.as(member.resume, { message: "resumed: votes make this server take over again" }),
      promote: ({ reason, switchover = false, withoutWitness = false }) =>
        Effect.gen(function*() {
          const wasActive = yield* Effect.map(member.report, ({ answers }) => answers)
          yield* Effect.mapError(member.promote(reason, { withoutWitness, isSwitchover: switchover }), conflict)
          return { message: wasActive ? "nothing was done: this server was active already" : "this server is active" }
        }),
      forward: forward(member, peer)
    }
  })

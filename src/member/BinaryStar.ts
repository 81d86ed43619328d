/**
 * A member of a pair: its service, constructors and layers.
 *
 * One fiber merges the streams of `streams.ts`: requests of the frontend, messages of the peer and events of its link, and ticks
 * of the clock. It folds the core over them and performs the outputs. Nothing else changes the state.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as EffectVersion from "../internal/EffectVersion.ts"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import type { Term } from "../protocol/Term.ts"
import * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { ActiveTerm } from "./activeTerm.ts"
import * as Commands from "./commands.ts"
import type { Runtime } from "./context.ts"
import type { Handler } from "./Handler.ts"
import { reportOf } from "./makeReport.ts"
import * as Member from "./Member.ts"
import type { CommandRejected, MemberError } from "./MemberError.ts"
import { NoTerm } from "./MemberError.ts"
import type { Counters, Report, Transition } from "./Report.ts"
import * as MemberRuntime from "./runtime.ts"

export type { ActiveTerm } from "./activeTerm.ts"

/**
 * A running member of a pair.
 *
 * @category tags
 */
export class BinaryStar extends Context.Tag("effect-binary-star/BinaryStar")<BinaryStar, {
  readonly role: StateMachine.Role
  /** The configuration, with all defaults filled in. */
  readonly config: BinaryStarConfig.BinaryStarConfig
  /** The current state. Fails once the member has ended. */
  readonly state: Effect.Effect<StateMachine.State, MemberError | SocketError>
  /** The current state and all later ones. Fails when the member ends. */
  readonly changes: Stream.Stream<StateMachine.State, MemberError | SocketError>
  /** The latest transition and all later ones. Fails when the member ends. */
  readonly transitions: Stream.Stream<Transition, MemberError | SocketError>
  /** The term of this member, its fencing token, while it is active. */
  readonly term: Effect.Effect<Term, NoTerm>
  /**
   * The end of the right to serve, in milliseconds of the monotonic clock: the current one, and with each answer of the witness or
   * the peer a later one. Negative infinity before the first right, and where there is no witness.
   */
  readonly rightUntil: Stream.Stream<number>
  /** Counters since the start. */
  readonly counters: Effect.Effect<Counters>
  /** A snapshot of the member, also after it has ended. */
  readonly report: Effect.Effect<Report>
  /** Blocks takeovers by votes, but not by `promote`, until `resume`. Not persistent. */
  readonly pause: (reason: string) => Effect.Effect<void>
  /** Ends a pause. */
  readonly resume: Effect.Effect<void>
  /**
   * Makes this member active if its peer is expired or down; a lone backup waits two heartbeats more, unless there is crash
   * evidence. Completes when the member is active. One that has received nothing since its start waits until its peer is expired.
   *
   * With a witness the member becomes active as soon as the witness or the peer gives it the right, and is rejected with
   * `NoMajority` if neither does within six heartbeats. With `withoutWitness` you answer for both: that the peer does not serve,
   * and will not as long as the witness does not answer. If it does, both serve. A peer that reports `ACTIVE` rejects it all
   * the same. It replaces a promotion that still waits; any other second command is rejected with `InProgress`. Without a witness
   * it is rejected with `NoWitness`. `isSwitchover` is for messages: the peer hands over.
   */
  readonly promote: (
    reason: string,
    options?: { readonly withoutWitness?: boolean | undefined; readonly isSwitchover?: boolean | undefined }
  ) => Effect.Effect<void, CommandRejected>
  /**
   * Makes the peer active: completes accepted requests for at most `drain`, ends the term, publishes the final heartbeat and
   * closes the state port. Completes in the state `HANDING_OVER`. `since` is the monotonic time in milliseconds since when
   * requests are rejected.
   */
  readonly handOver: (reason: string) => Effect.Effect<{ readonly since: number }, CommandRejected>
  /** Runs an effect in each term; see {@link whileActive}. */
  readonly whileActive: <A, E, R>(
    effect: Effect.Effect<A, E, R> | ((active: ActiveTerm) => Effect.Effect<A, E, R>)
  ) => Effect.Effect<never, E | MemberError | SocketError, R>
  /** Stops the member, as closing its scope does, and waits for its final heartbeat. */
  readonly stop: Effect.Effect<void>
  /** Waits for the end of the member: fails with its failure, or is interrupted if it was stopped. */
  readonly join: Effect.Effect<never, MemberError | SocketError>
}>() {}

const termOf = ({ state }: Pick<Runtime, "state">): Effect.Effect<Term, NoTerm> =>
  Effect.suspend(() => {
    const { isOver, member } = state
    const term = isOver ? undefined : Member.termOf(member)
    return term === undefined
      ? new NoTerm({ reason: isOver || member.protocol.state !== "ACTIVE" ? "NotActive" : "NotRecorded" })
      : Effect.succeed(term)
  })

/**
 * Starts a member in the current scope. When the scope closes, the member completes accepted requests for at most the configured
 * `drain`, ends the term, publishes its final heartbeat if the policy has one, and logs `interrupted`.
 *
 * @category constructors
 */
export const make = <R = never>(
  options: BinaryStarConfig.Options,
  handler: Handler<R>
): Effect.Effect<BinaryStar["Type"], InvalidConfig, Frontend | PeerLink | Scope.Scope | Exclude<R, BinaryStar>> =>
  Effect.gen(function*() {
    yield* EffectVersion.check
    const config = yield* BinaryStarConfig.make(options)
    // Handlers may use the member, which is complete before the first request.
    const member = {} as BinaryStar["Type"]
    const { ended, run, runtime, stop } = yield* Effect.provideService(
      MemberRuntime.make(config, handler),
      BinaryStar,
      member
    )
    const { latest, terms: { whileActive } } = runtime
    const report = reportOf(runtime)
    const transitions = Stream.unwrap(Effect.map(
      Deferred.isDone(ended),
      (isOver) =>
        isOver ? Stream.fromEffect(Deferred.await(ended)) : Stream.interruptWhenDeferred(latest.changes, ended)
    ))

    Object.assign(
      member,
      BinaryStar.of({
        role: config.role,
        config,
        state: Effect.flatMap(
          Deferred.poll(ended),
          Option.getOrElse(() => Effect.map(SubscriptionRef.get(latest), ({ to }) => to))
        ),
        changes: Stream.map(transitions, ({ to }) => to),
        transitions,
        term: termOf(runtime),
        rightUntil: runtime.leasedUntil.changes,
        whileActive,
        stop,
        counters: Effect.map(report, ({ counters }) => counters),
        report,
        ...Commands.make(runtime),
        join: Deferred.await(ended)
      })
    )
    yield* Effect.forkScoped(Effect.interruptible(run))
    yield* Effect.addFinalizer(() => stop)
    return member
  })

/**
 * A member that runs for the lifetime of the layer, over sockets (`Zmq.layer`) or memory.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { BinaryStar, Frames, Zmq } from "effect-binary-star"
 *
 * const options = { role: "primary", policy: "hardened" } as const
 *
 * const Pair = BinaryStar.layer(options, ({ body }) => `hello ${Frames.toString(body)}`).pipe(
 *   Layer.provide(Zmq.layer(options))
 * )
 *
 * // Runs until the member fails, or its scope is closed: a planned hand-over to the peer.
 * export const program = Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
 *   Effect.provide(Pair),
 *   Effect.provide(BinaryStar.layerScheduler)
 * )
 * ```
 *
 * @category layers
 */
export const layer = <R = never>(
  options: BinaryStarConfig.Options,
  handler: Handler<R>
): Layer.Layer<BinaryStar, InvalidConfig, Frontend | PeerLink | Exclude<R, BinaryStar>> =>
  Layer.scoped(BinaryStar, make(options, handler)) as Layer.Layer<
    BinaryStar,
    InvalidConfig,
    Frontend | PeerLink | Exclude<R, BinaryStar>
  >

/**
 * {@link layer} with options from a `Config`, for instance {@link BinaryStarConfig.config}.
 *
 * @category layers
 */
export const layerConfig = <R = never>(
  options: Config.Config.Wrap<BinaryStarConfig.Options>,
  handler: Handler<R>
): Layer.Layer<BinaryStar, ConfigError.ConfigError | InvalidConfig, Frontend | PeerLink | Exclude<R, BinaryStar>> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), (options) => layer(options, handler)))

/**
 * Runs an effect in each term of this member: a singleton of the pair.
 *
 * When the term ends, because the member ceases to be active, stops or fails, the effect is interrupted. It is finalized before
 * the member reports another state. A finalizer that takes longer than the peer timeout therefore delays the takeover, unless
 * this process crashes or the link is cut. The exception is a member that fails by a defect or a broken socket: it publishes
 * nothing meanwhile, so the peer may take over after two heartbeats.
 *
 * An effect that completes runs again in the next term. The result fails if the effect fails. In an uninterruptible region, the
 * effect must not wait for the member to stop or to become passive, because that waits for the effect.
 *
 * A pair without clients needs `vote: "self"`, because it receives no votes.
 *
 * @category combinators
 */
export const whileActive = <A, E, R>(
  effect: Effect.Effect<A, E, R> | ((active: ActiveTerm) => Effect.Effect<A, E, R>)
): Effect.Effect<never, E | MemberError | SocketError, R | BinaryStar> =>
  Effect.flatMap(BinaryStar, (member) => member.whileActive(effect))

/**
 * The term of this member, its fencing token, while it is active. In a handler, an RPC handler, or anything else that runs beside the
 * member. `Term.toToken` makes the integer of it.
 *
 * @category combinators
 */
export const term: Effect.Effect<Term, NoTerm, BinaryStar> = Effect.flatMap(BinaryStar, ({ term }) => term)

const isFunction = <A, B>(u: A | ((active: ActiveTerm) => B)): u is (active: ActiveTerm) => B => typeof u === "function"

/** Default schedule to build a failed layer again. */
const rebuildSchedule = Schedule.union(Schedule.exponential("100 millis"), Schedule.spaced("10 seconds"))

/**
 * Builds a layer in each term, from the term if it is a function, and releases it as {@link whileActive} does. A failure of the layer is logged, and the layer is
 * built again by the schedule `retry`, or in the next term once the schedule has ended. Defaults to 0.1 seconds, doubled each
 * time up to 10 seconds.
 *
 * @category layers
 */
export const layerWhileActive = <A, E, R, R2 = never>(
  layer: Layer.Layer<A, E, R> | ((active: ActiveTerm) => Layer.Layer<A, E, R>),
  options?: { readonly retry?: Schedule.Schedule<unknown, unknown, R2> | undefined }
): Layer.Layer<never, never, BinaryStar | R | R2> =>
  whileActive((active) =>
    Effect.suspend(() => Layer.launch(isFunction(layer) ? layer(active) : layer)).pipe(
      Effect.sandbox,
      Effect.tapError((cause) => Effect.logError("a layer that runs while this server is active failed", cause)),
      Effect.retry(options?.retry ?? rebuildSchedule),
      // Once the schedule has ended, the next attempt is in the next term.
      Effect.ignore
    )
  ).pipe(
    // The end of the member is reported by its `join`.
    Effect.ignore,
    Effect.interruptible,
    Effect.forkScoped,
    Layer.scopedDiscard
  )

const awaitState = (isWanted: (state: StateMachine.State) => boolean) =>
  Effect.flatMap(BinaryStar, ({ changes }) =>
    changes.pipe(
      Stream.filter(isWanted),
      Stream.runHead,
      // The stream ends only by a failure.
      Effect.flatMap(Option.match({ onNone: () => Effect.never, onSome: Effect.succeed })),
      Effect.asVoid
    ))

/**
 * Waits until this server is active. Fails when the member has ended.
 *
 * @category combinators
 */
export const awaitActive: Effect.Effect<void, MemberError | SocketError, BinaryStar> = awaitState((state) =>
  state === "ACTIVE"
)

/**
 * Waits until this server is standing by: `PASSIVE`, `REJOINING` or `CONTESTED`. Fails when the member has ended.
 *
 * @category combinators
 */
export const awaitPassive: Effect.Effect<void, MemberError | SocketError, BinaryStar> = awaitState(
  StateMachine.standsBy
)

/**
 * Yields to the event loop every 2 milliseconds, so that a busy fiber of the application does not delay heartbeats. Effect's
 * default scheduler was measured to delay timers by over 400 ms. `bstar` uses this layer; so should an application that shares
 * its process with a member.
 *
 * @category layers
 */
export { layer as layerScheduler } from "../internal/Scheduler.ts"

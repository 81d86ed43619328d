/**
 * A member of a pair: the main program, the service that lets others watch it, and its layers.
 *
 * Three streams of events come in: requests from the frontend, states from the peer, beats from the clock. One fiber
 * takes them in, folds the state machine over them and carries out what it says: answer, drop, publish, end. Nobody else
 * changes the state.
 *
 * @since 0.1.0
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
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Handler } from "./Handler.ts"
import type { CommandRejected, MemberError } from "./MemberError.ts"
import type { Counters, Report, Transition } from "./Report.ts"
import * as Runtime from "./runtime.ts"

/**
 * A time in which a member is active.
 *
 * @since 0.1.0
 * @category models
 */
export interface Term {
  /** What made the member active. */
  readonly began: Transition
  /** What makes the member cease to be active. It is known before what runs in the term is interrupted. */
  readonly ending: Deferred.Deferred<Transition>
}

/**
 * A running member of a pair.
 *
 * @since 0.1.0
 * @category tags
 */
export class BinaryStar extends Context.Tag("effect-binary-star/BinaryStar")<BinaryStar, {
  /** Which server of the pair this is. */
  readonly role: StateMachine.Role
  /** What it was configured with, all defaults filled in. */
  readonly config: BinaryStarConfig.BinaryStarConfig
  /** The state now: it answers in `ACTIVE`, and stands by in `PASSIVE`, `REJOINING` and `CONTESTED`. Fails when the member has ended. */
  readonly state: Effect.Effect<StateMachine.State, MemberError | SocketError>
  /** The state now, and then each other state that it changes to. Fails when the member ends. */
  readonly changes: Stream.Stream<StateMachine.State, MemberError | SocketError>
  /** The latest transition, and then each that follows. Fails when the member ends. */
  readonly transitions: Stream.Stream<Transition, MemberError | SocketError>
  /** What the member has seen since it started. */
  readonly counters: Effect.Effect<Counters>
  /** All that can be seen of the member now, also when it has ended. */
  readonly report: Effect.Effect<Report>
  /** From now on votes do not make this member take over; an operator may. Is forgotten when the process ends. */
  readonly pause: (reason: string) => Effect.Effect<void>
  /** From now on they do again. */
  readonly resume: Effect.Effect<void>
  /**
   * Makes this member active, if its peer is silent or gone: what an operator says to a lone backup, which then waits two
   * heartbeats more, unless a connection to its peer is refused. Done when it is active.
   */
  readonly promote: (reason: string) => Effect.Effect<void, CommandRejected>
  /**
   * Leaves it to the peer to be active: answers what was accepted, for as long as `drain` at the most, ends what runs while
   * it is active, says goodbye, and is not to be found by its peer. Done when it is `HANDING_OVER`. Gives the time since when
   * clients have to wait.
   */
  readonly handOver: (reason: string) => Effect.Effect<{ readonly since: number }, CommandRejected>
  /** Runs an effect whenever this member is active; see {@link whileActive}. */
  readonly whileActive: <A, E, R>(
    effect: Effect.Effect<A, E, R> | ((term: Term) => Effect.Effect<A, E, R>)
  ) => Effect.Effect<never, E | MemberError | SocketError, R>
  /** Ends the member in good order, as closing its scope does, and waits until it has said goodbye. */
  readonly stop: Effect.Effect<void>
  /** Waits for the member to end: fails with what ended it, and is interrupted when it was asked to stop. */
  readonly join: Effect.Effect<never, MemberError | SocketError>
}>() {}

/**
 * Starts a member in the current scope. When the scope closes the member answers what it has accepted, for as long as the
 * configured `drain` at the most, ends what runs while it is active, says goodbye to its peer if its policy has one, and
 * ends, saying that it was interrupted.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <R = never>(
  options: BinaryStarConfig.Options,
  handler: Handler<R>
): Effect.Effect<BinaryStar["Type"], InvalidConfig, Frontend | PeerLink | Scope.Scope | R> =>
  Effect.gen(function*() {
    const config = yield* BinaryStarConfig.make(options)
    const handle = yield* Runtime.make(config, handler)
    const { ended, latest } = handle
    yield* Effect.forkScoped(Effect.interruptible(handle.run))
    yield* Effect.addFinalizer(() => handle.stop)
    const transitions = Stream.unwrap(Effect.map(
      Deferred.isDone(ended),
      (isOver) =>
        isOver ? Stream.fromEffect(Deferred.await(ended)) : Stream.interruptWhenDeferred(latest.changes, ended)
    ))

    return BinaryStar.of({
      role: config.role,
      config,
      state: Effect.flatMap(
        Deferred.poll(ended),
        Option.getOrElse(() => Effect.map(SubscriptionRef.get(latest), ({ to }) => to))
      ),
      changes: Stream.map(transitions, ({ to }) => to),
      transitions,
      whileActive: handle.whileActive,
      stop: handle.stop,
      counters: Effect.map(handle.report, ({ counters }) => counters),
      report: handle.report,
      pause: handle.pause,
      resume: handle.resume,
      promote: handle.promote,
      handOver: handle.handOver,
      join: Deferred.await(ended)
    })
  })

/**
 * A member of a pair that runs as long as the layer lives. What goes over its ports decides what it is: sockets
 * (`Zmq.layer`) or memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <R = never>(
  options: BinaryStarConfig.Options,
  handler: Handler<R>
): Layer.Layer<BinaryStar, InvalidConfig, Frontend | PeerLink | R> =>
  Layer.scoped(BinaryStar, make(options, handler)) as Layer.Layer<BinaryStar, InvalidConfig, Frontend | PeerLink | R>

/**
 * The same with options from a `Config`, for instance {@link BinaryStarConfig.config}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <R = never>(
  options: Config.Config.Wrap<BinaryStarConfig.Options>,
  handler: Handler<R>
): Layer.Layer<BinaryStar, ConfigError.ConfigError | InvalidConfig, Frontend | PeerLink | R> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), (options) => layer(options, handler)))

/**
 * Runs an effect whenever this server is active: a singleton of the pair.
 *
 * It is started when the server becomes active. When the server ceases to be active, is stopped, or ends, the effect is
 * interrupted, and it is finalized before the server says that it is anything else; a finalizer that takes longer than the
 * peer's patience therefore delays the take-over, unless this process dies or is cut off. An effect that ends by itself is
 * run again with the next term. Where one fails, all fails with it. It must not wait, where it cannot be interrupted, for
 * the member to stop or to stand by: that waits for it. A member that ends because of a defect or a broken socket publishes
 * nothing meanwhile, so the peer may take over after two heartbeats.
 *
 * A pair without clients has nobody who votes: give it `vote: "self"`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const whileActive = <A, E, R>(
  effect: Effect.Effect<A, E, R> | ((term: Term) => Effect.Effect<A, E, R>)
): Effect.Effect<never, E | MemberError | SocketError, R | BinaryStar> =>
  Effect.flatMap(BinaryStar, (member) => member.whileActive(effect))

/** How soon a layer is built again that has failed. */
const buildAgain = Schedule.union(Schedule.exponential("100 millis"), Schedule.spaced("10 seconds"))

/**
 * Builds a layer whenever this server is active, and releases it as {@link whileActive} does. What the layer fails with is
 * logged, and it is built again by the schedule `retry`, by default after 0.1 seconds and then twice as late each time, up
 * to 10 seconds; when the schedule ends, with the next term.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWhileActive = <A, E, R, R2 = never>(
  layer: Layer.Layer<A, E, R>,
  options?: { readonly retry?: Schedule.Schedule<unknown, unknown, R2> | undefined }
): Layer.Layer<never, never, BinaryStar | R | R2> =>
  Layer.launch(layer).pipe(
    Effect.sandbox,
    Effect.tapError((cause) => Effect.logError("what runs while this server is active has failed", cause)),
    Effect.retry(options?.retry ?? buildAgain),
    // Where it is not to be tried again it is with the next term.
    Effect.ignore,
    whileActive,
    // That the member has ended is told by its `join`.
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
      // The states of a member that has ended end with a failure.
      Effect.flatMap(Option.match({ onNone: () => Effect.never, onSome: Effect.succeed })),
      Effect.asVoid
    ))

/**
 * Waits until this server is active. Fails when the member has ended.
 *
 * @since 0.1.0
 * @category combinators
 */
export const awaitActive: Effect.Effect<void, MemberError | SocketError, BinaryStar> = awaitState((state) =>
  state === "ACTIVE"
)

/**
 * Waits until this server stands by for its peer. Fails when the member has ended.
 *
 * @since 0.1.0
 * @category combinators
 */
export const awaitPassive: Effect.Effect<void, MemberError | SocketError, BinaryStar> = awaitState(
  StateMachine.standsBy
)

/**
 * Lets the event loop turn every 2 milliseconds, so that no busy fiber of the application can delay a heartbeat.
 * Effect's default scheduler was seen to delay timers by over 400 ms. The command `bstar` uses it; an application that
 * shares its process with a member should too.
 *
 * @since 0.1.0
 * @category layers
 */
export { layer as layerScheduler } from "../internal/Scheduler.ts"

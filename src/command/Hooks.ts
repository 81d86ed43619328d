/** Hooks: effects that run when a server becomes active, becomes passive, and stops. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import type { ActiveTerm } from "../member/BinaryStar.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Transition } from "../member/Report.ts"
import type { Role, State } from "../protocol/StateMachine.ts"
import { standsBy } from "../protocol/StateMachine.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { DurationInput } from "../settings/Settings.ts"
import { operations } from "../settings/Settings.ts"
import { fieldOf, validate } from "../settings/Validation.ts"

/**
 * Effect that runs because of a transition.
 *
 * @category models
 */
export type Hook<R = never> = (transition: Transition) => Effect.Effect<unknown, unknown, R>

/**
 * Hooks of a server.
 *
 * @category models
 */
export interface Options<R = never> {
  /** Runs once the server is active. Requests are served meanwhile. */
  readonly onActive?: Hook<R> | undefined
  /**
   * Runs when the server stands by, at first and after each term. A server that was active reports its new state only after this
   * hook has ended.
   */
  readonly onPassive?: Hook<R> | undefined
  /** Runs when the server stops, before its final heartbeat, or has failed; instead of `onPassive`. */
  readonly onStop?: Hook<R> | undefined
  /** Timeout of each hook, after which it is interrupted. Defaults to `10 seconds`. */
  readonly timeout?: DurationInput | undefined
}

/**
 * Default options.
 *
 * @category constants
 */
export const defaults = { timeout: operations.hookTimeout.default } as const

const Settings = Schema.Struct({ timeout: fieldOf(operations.hookTimeout) })

const names = { onActive: "on-active", onPassive: "on-passive", onStop: "on-stop" } as const

type Name = keyof typeof names

const initialState = { primary: "PRIMARY", backup: "BACKUP" } as const satisfies { readonly [R in Role]: State }

/** The hook of a transition that ends a term. A term that ends in the state `ACTIVE` ends with the member. */
const hookOfEnd = ({ cause, to }: Transition): Name => cause === "Stopping" || to === "ACTIVE" ? "onStop" : "onPassive"

/** The hook of a transition, if any, after the last hook. */
const hookOf = (last: Name | undefined, transition: Transition): Name | undefined => {
  if (transition.to === "ACTIVE") {
    return "onActive"
  }
  if (last === "onActive") {
    return hookOfEnd(transition)
  }
  return last === undefined && standsBy(transition.to) ? "onPassive" : undefined
}

type Call = (name: Name, transition: Transition) => Effect.Effect<void>

/** Logs a failure in one line; a defect with its stack, which shows where it is. */
const logFailure = (hook: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => Effect.logError(`the hook ${hook} has failed`, cause),
    onSome: (error) =>
      Effect.logError(`the hook ${hook} has failed: ${error instanceof Error ? error.message : String(error)}`)
  })

/** Runs a hook. Its failure is logged. */
const makeCall =
  <R>(options: Options<R>, timeout: Duration.Duration, context: Context.Context<R>): Call => (name, transition) => {
    const hook = options[name]
    return hook === undefined ? Effect.void : Effect.suspend(() => hook(transition)).pipe(
      Effect.provide(context),
      // Called in an uninterruptible region, where the timeout would not end it.
      Effect.interruptible,
      Effect.timeoutFail({
        duration: timeout,
        onTimeout: () => `it took longer than ${Duration.format(timeout)}`
      }),
      Effect.catchAllCause((cause) => logFailure(names[name], cause)),
      // Forked as daemon: an interrupted parent would interrupt the hook even in an uninterruptible region.
      Effect.forkDaemon,
      Effect.flatMap(Fiber.join)
    )
  }

/** The hooks of one member, one at a time and in the order of its transitions. */
const makeSession = (member: BinaryStar["Type"], now: () => number, run: Call) => {
  const state: { latest?: Transition; last?: Name; isOver: boolean } = { isOver: false }
  // Open while `onActive` has run in the current term, and once the transitions have ended.
  const isActivated = Effect.unsafeMakeLatch()

  const call: Call = (name, transition) =>
    Effect.suspend(() => {
      state.last = name
      return run(name, transition)
    })

  const onTransition = (transition: Transition) =>
    Effect.suspend(() => {
      state.latest = transition
      const { last } = state
      const name = hookOf(last, transition)
      if (name === undefined) {
        return Effect.void
      }
      if (name === "onActive") {
        return Effect.zipRight(call(name, transition), isActivated.open)
      }
      // After `onActive`, the term was over before `untilTermEnds` could run in it.
      return Effect.zipRight(last === "onActive" ? isActivated.close : Effect.void, call(name, transition))
    })

  return {
    /** Runs the hooks of transitions. */
    follow: Stream.runForEach(member.transitions, (transition) => Effect.uninterruptible(onTransition(transition)))
      .pipe(
        Effect.ensuring(Effect.suspend(() => {
          state.isOver = true
          return isActivated.open
        }))
      ),
    /** Runs in each term: the end of a term for which `onActive` has run waits for the next hook. */
    untilTermEnds: (active: ActiveTerm) =>
      Effect.onExit(Effect.never, () =>
        Effect.gen(function*() {
          const ending = yield* Deferred.poll(active.ending)
          if (Option.isNone(ending)) {
            return
          }
          yield* isActivated.await
          yield* state.isOver ? Effect.void : isActivated.close
          const transition = yield* ending.value
          state.latest = transition
          yield* state.last === "onActive" ? call(hookOfEnd(transition), transition) : Effect.void
        })),
    /** Runs `onStop`, unless it has run. */
    stop: Effect.flatMap(Effect.option(member.term), (term) => {
      const { last, latest } = state
      const to = initialState[member.role]
      const transition: Transition = latest?.cause === "Stopping"
        ? latest
        : {
          from: latest?.to ?? to,
          to,
          cause: "Stopping",
          message: "stopping",
          term: Option.getOrUndefined(term),
          at: now()
        }
      return last === "onStop" ? Effect.void : call("onStop", transition)
    })
  }
}

/**
 * Runs hooks strictly in order and one at a time: `onActive` and `onPassive` alternate, `onStop` is the last. A hook that fails,
 * dies or times out is logged, and has no other effect.
 *
 * @category layers
 */
export const layer = <R = never>(options: Options<R>): Layer.Layer<never, InvalidConfig, BinaryStar | R> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const { timeout } = yield* validate(Settings, { timeout: options.timeout ?? defaults.timeout })
    const member = yield* BinaryStar
    const call = makeCall(options, timeout, yield* Effect.context<R>())
    const { follow, stop, untilTermEnds } = makeSession(member, yield* monotonicReader, call)
    // The layer closes before the member stops, and so before its final heartbeat.
    yield* Effect.addFinalizer(() => stop)
    yield* Effect.all([follow, member.whileActive(untilTermEnds)], { concurrency: "unbounded", discard: true }).pipe(
      // The member may fail before the layer is closed. Its `join` reports the failure.
      Effect.exit,
      Effect.zipRight(Effect.uninterruptible(stop)),
      Effect.interruptible,
      Effect.forkScoped
    )
  }))

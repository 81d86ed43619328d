/**
 * What is done when a server becomes active, stands by, and stops.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import type { Term } from "../member/BinaryStar.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Transition } from "../member/Report.ts"
import type { Role, State } from "../protocol/StateMachine.ts"
import { standsBy } from "../protocol/StateMachine.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { DurationInput } from "../settings/Settings.ts"
import { operations } from "../settings/Settings.ts"
import { fieldOf, validate } from "../settings/Validation.ts"

/**
 * Something to be done because of a transition.
 *
 * @since 0.1.0
 * @category models
 */
export type Hook<R = never> = (transition: Transition) => Effect.Effect<unknown, unknown, R>

/**
 * What is to be done when.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> {
  /** When the server has become active. It answers meanwhile. */
  readonly onActive?: Hook<R> | undefined
  /**
   * When the server stands by, for the first time or again. A server that was active says so only when this is done or has
   * taken its time.
   */
  readonly onPassive?: Hook<R> | undefined
  /** When the server stops, or has ended because of its peer: instead of `onPassive`, and before it says goodbye. */
  readonly onStop?: Hook<R> | undefined
  /** How long each may take before it is interrupted. Defaults to `10 seconds`. */
  readonly timeout?: DurationInput | undefined
}

/**
 * What is not said otherwise.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = { timeout: operations.hookTimeout.default } as const

const Settings = Schema.Struct({ timeout: fieldOf(operations.hookTimeout) })

const names = { onActive: "on-active", onPassive: "on-passive", onStop: "on-stop" } as const

const start = { primary: "PRIMARY", backup: "BACKUP" } as const satisfies { readonly [R in Role]: State }

/**
 * Does it, strictly in order and one at a time: `onActive` and `onPassive` in turns, `onStop` at the end, exactly one for
 * each transition that means one of them. One that fails, dies or takes too long is logged and changes nothing else.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <R = never>(options: Options<R>): Layer.Layer<never, InvalidConfig, BinaryStar | R> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const { timeout } = yield* validate(Settings, { timeout: options.timeout ?? defaults.timeout })
    const context = yield* Effect.context<R>()
    const member = yield* BinaryStar
    const now = yield* monotonicReader
    let latest: Transition | undefined
    let last: keyof typeof names | undefined
    // Open once onActive has been told of the term that is live, and for good when nobody tells it any more.
    const told = yield* Effect.makeLatch()
    let isOver = false

    const call = (name: keyof typeof names, transition: Transition) =>
      Effect.suspend(() => {
        const hook = options[name]
        last = name
        if (hook === undefined) {
          return Effect.void
        }
        return Effect.suspend(() => hook(transition)).pipe(
          Effect.provide(context),
          // It is called where interruption is off, and must not hold up its server for ever.
          Effect.interruptible,
          Effect.timeoutFail({
            duration: timeout,
            onTimeout: () => `it took longer than ${Duration.format(timeout)}`
          }),
          Effect.catchAllCause((cause) => Effect.logError(`the hook ${names[name]} has failed`, cause)),
          // As nobody's child: who is interrupted interrupts its children at once, also where it is not to be interrupted.
          Effect.forkDaemon,
          Effect.flatMap(Fiber.join)
        )
      })

    const stop = (transition: Transition) => last === "onStop" ? Effect.void : call("onStop", transition)

    const leave = (why: Transition) =>
      why.cause === "Stopping" || why.to === "ACTIVE" ? stop(why) : call("onPassive", why)

    // With the layer the server stops, which is about to be told to the peer.
    const stopNow = Effect.suspend(() => {
      const to = start[member.role]
      return stop(
        latest?.cause === "Stopping"
          ? latest
          : { from: latest?.to ?? to, to, cause: "Stopping", message: "stopping", at: now() }
      )
    })
    yield* Effect.addFinalizer(() => stopNow)

    const follow = Stream.runForEach(member.transitions, (transition) =>
      Effect.suspend(() => {
        latest = transition
        if (transition.to === "ACTIVE") {
          return Effect.zipRight(call("onActive", transition), told.open)
        }
        if (last === "onActive") {
          // The term was over before anything could run in it.
          return Effect.zipRight(told.close, leave(transition))
        }
        return last === undefined && standsBy(transition.to) ? call("onPassive", transition) : Effect.void
      }).pipe(Effect.uninterruptible)).pipe(
        Effect.ensuring(Effect.suspend(() => {
          isOver = true
          return told.open
        }))
      )

    /** When a term ends that onActive has been told of, the server waits for what is next. */
    const untilTermEnds = (term: Term) =>
      Effect.onExit(Effect.never, () =>
        Effect.gen(function*() {
          const ending = yield* Deferred.poll(term.ending)
          if (Option.isNone(ending)) {
            return
          }
          yield* told.await
          yield* isOver ? Effect.void : told.close
          const why = yield* ending.value
          latest = why
          yield* last === "onActive" ? leave(why) : Effect.void
        }))

    yield* Effect.all([follow, member.whileActive(untilTermEnds)], { concurrency: "unbounded", discard: true }).pipe(
      // The end of the member is told by its `join`. It may come without that of this layer.
      Effect.exit,
      Effect.zipRight(Effect.uninterruptible(stopNow)),
      Effect.interruptible,
      Effect.forkScoped
    )
  }))

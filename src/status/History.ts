/**
 * The history of a server: its latest transitions, with wall clock times.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicMillis } from "../internal/Clock.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import * as Status from "./Status.ts"

/**
 * The number of transitions that are kept.
 *
 * @category constants
 */
export const capacity = 1000

/** Transitions that wait for a slow reader; older ones are dropped. */
const backlog = 64

/**
 * The latest transitions of a server since it was started.
 *
 * @category tags
 */
export class History extends Context.Tag("effect-binary-star/History")<History, {
  /** The latest transitions, newest first. */
  readonly latest: (limit: number) => Effect.Effect<ReadonlyArray<Status.HistoryEntry>>
  /** Each transition from now on. */
  readonly changes: Stream.Stream<Status.HistoryEntry>
}>() {}

/**
 * Records the transitions of the member as long as the scope.
 *
 * @category constructors
 */
export const make: Effect.Effect<History["Type"], never, BinaryStar | Scope.Scope> = Effect.gen(function*() {
  const member = yield* BinaryStar
  const changes = yield* PubSub.sliding<Status.HistoryEntry>(backlog)
  let entries: ReadonlyArray<Status.HistoryEntry> = []
  yield* Stream.runForEach(member.transitions, (transition) =>
    Effect.gen(function*() {
      const entry = Status.entryOf(transition, yield* Status.wallClock(yield* monotonicMillis))
      entries = [entry, ...entries.slice(0, capacity - 1)]
      yield* changes.publish(entry)
    })).pipe(
      // The end of the member is reported by its `join`.
      Effect.exit,
      Effect.interruptible,
      Effect.forkScoped
    )
  return {
    latest: (limit) => Effect.sync(() => entries.slice(0, limit)),
    changes: Stream.fromPubSub(changes)
  }
})

/**
 * The history as a service.
 *
 * @category layers
 */
export const layer: Layer.Layer<History, never, BinaryStar> = Layer.scoped(History, make)

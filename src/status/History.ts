/**
 * What has become of a server: its latest transitions, with the time of the wall clock.
 *
 * @since 0.1.0
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
 * How many transitions are kept.
 *
 * @since 0.1.0
 * @category constants
 */
export const capacity = 1000

/** How many transitions wait for a reader that is slow; older ones are dropped. */
const backlog = 64

/**
 * The transitions of a server since it was started, as long as there are not too many.
 *
 * @since 0.1.0
 * @category tags
 */
export class History extends Context.Tag("effect-binary-star/History")<History, {
  /** The latest transitions, newest first. */
  readonly latest: (limit: number) => Effect.Effect<ReadonlyArray<Status.HistoryEntry>>
  /** Each transition from now on. */
  readonly changes: Stream.Stream<Status.HistoryEntry>
}>() {}

/**
 * Follows the member as long as the scope.
 *
 * @since 0.1.0
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
      // The end of the member is told by its `join`.
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
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<History, never, BinaryStar> = Layer.scoped(History, make)

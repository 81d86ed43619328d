/** Server-sent events: one producer for all who listen, which works only while somebody does. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import type { Role } from "../Fsm.ts"
import { withMonotonicTime } from "../internal/clock.ts"
import type { History } from "./History.ts"
import type { Pair } from "./pair.ts"
import type * as Status from "./Status.ts"
import { Busy } from "./statusApi.ts"

export interface Events {
  /** Listens as long as the scope. */
  readonly listen: Effect.Effect<Readable, Busy, Scope.Scope>
}

/** More than these are sent away. */
const maxListeners = 200

/** Who is further behind does not read, and is cut off: a browser connects again by itself and loses nothing. */
const maxBytesBehind = 64 * 1024

/** A comment, and after how many milliseconds to connect again. */
const hello = ": events of a Binary Star pair\nretry: 1000\n\n"

const encode = (event: "pair" | "transition", data: unknown): Buffer =>
  Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)

export const make = (
  role: Role,
  history: History["Type"],
  pair: Pair
): Effect.Effect<Events, never, Scope.Scope> =>
  Effect.gen(function*() {
    const listeners = new Set<Readable>()
    const fork = yield* FiberSet.makeRuntime<never, void>()
    let producer: Fiber.RuntimeFiber<void> | undefined
    let latest: Buffer | undefined

    const tell = (message: Buffer) => {
      for (const listener of listeners) {
        if (listener.readableLength > maxBytesBehind) {
          listeners.delete(listener)
          listener.destroy()
        } else {
          listener.push(message)
        }
      }
    }
    const tellPair = (status: Status.PairStatus) =>
      Effect.sync(() => {
        latest = encode("pair", status)
        tell(latest)
      })
    const tellTransition = (entry: Status.HistoryEntry) =>
      Effect.suspend(() => {
        if (listeners.size === 0) {
          return Effect.void
        }
        tell(encode("transition", { role, ...entry } satisfies Status.TransitionEvent))
        return Effect.flatMap(pair.known, tellPair)
      })
    const produce = Effect.flatMap(pair.asked, tellPair).pipe(
      Effect.repeat(Schedule.fixed("1 second")),
      withMonotonicTime,
      Effect.asVoid
    )

    yield* Stream.runForEach(history.changes, tellTransition).pipe(Effect.interruptible, Effect.forkScoped)
    const join = Effect.gen(function*() {
      if (listeners.size >= maxListeners) {
        return yield* new Busy({ error: `${maxListeners} listen already` })
      }
      const listener = new Readable({ read: () => {} })
      listener.push(hello)
      if (latest !== undefined) {
        listener.push(latest)
      }
      listeners.add(listener)
      producer ??= fork(Effect.interruptible(produce))
      return listener
    })
    const leave = (listener: Readable) =>
      Effect.sync(() => {
        listeners.delete(listener)
        listener.destroy()
        if (listeners.size === 0) {
          producer?.unsafeInterruptAsFork(FiberId.none)
          producer = undefined
          latest = undefined
        }
      })
    return { listen: Effect.acquireRelease(join, leave) }
  })

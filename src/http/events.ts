/** Server-sent events: one producer for all who listen, which works only while somebody does. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import { withMonotonicTime } from "../internal/Clock.ts"
import type { Role } from "../protocol/StateMachine.ts"
import type { History } from "../status/History.ts"
import type * as Status from "../status/Status.ts"
import { Busy } from "./api.ts"
import type { Pair } from "./pair.ts"
import * as Turns from "./turns.ts"

export interface Events {
  /** Listens as long as the scope. */
  readonly listen: Effect.Effect<Readable, Busy, Scope.Scope>
}

/** More than these are sent away. */
const maxListeners = 200

/** Who is further behind does not read, and is cut off: a browser connects again by itself and loses nothing. */
const maxBytesBehind = 64 * 1024

/** A message is sent to so many in a turn of the event loop: heartbeats are sent in between. */
const listenersPerTurn = 10

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

    const inTurns = Turns.makeCounted(listenersPerTurn)

    const send = (listener: Readable, message: Buffer) => {
      // It may have left since the message was made.
      if (!listeners.has(listener)) {
        return
      }
      if (listener.readableLength > maxBytesBehind) {
        listeners.delete(listener)
        listener.destroy()
      } else {
        listener.push(message)
      }
    }
    /** Sends to those that listen now. Done when all have it, so that messages do not pile up in a process that is slow. */
    const tell = (message: Buffer) =>
      Effect.async<void>((resume) => {
        for (const listener of listeners) {
          inTurns(() => send(listener, message))
        }
        inTurns(() => resume(Effect.void))
      })
    const tellPair = (status: Status.PairStatus) =>
      Effect.suspend(() => {
        latest = encode("pair", status)
        return tell(latest)
      })
    const tellTransition = (entry: Status.HistoryEntry) =>
      Effect.suspend(() => {
        if (listeners.size === 0) {
          return Effect.void
        }
        return Effect.zipRight(
          tell(encode("transition", { role, ...entry } satisfies Status.TransitionEvent)),
          Effect.flatMap(pair.known, tellPair)
        )
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

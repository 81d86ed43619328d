/** Server-sent events: one producer for all clients, which runs while there is a client. */
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
  /** A client's events, as long as the scope. */
  readonly listen: Effect.Effect<Readable, Busy, Scope.Scope>
}

const maxListeners = 200

/** Clients that are further behind do not read, and are disconnected: a browser connects again by itself. */
const maxBytesBehind = 64 * 1024

/** Listeners per turn of the event loop: heartbeats are sent between two turns. */
const listenersPerTurn = 10

/** A comment, and the delay in milliseconds before a client connects again. */
const hello = ": events of a Binary Star pair\nretry: 1000\n\n"

const encode = (event: "pair" | "transition", data: unknown): Buffer =>
  Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)

interface Broadcast {
  readonly listeners: Set<Readable>
  readonly inTurns: (job: () => void) => void
  /** The latest `pair` event, the first one of a new listener. */
  latest: Buffer | undefined
  producer: Fiber.RuntimeFiber<void> | undefined
}

const send = ({ listeners }: Broadcast, listener: Readable, message: Buffer): void => {
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

/** Sends to all listeners. It completes after the last one, so that messages do not pile up in a slow process. */
const sendToAll = (broadcast: Broadcast, message: Buffer): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    for (const listener of broadcast.listeners) {
      broadcast.inTurns(() => send(broadcast, listener, message))
    }
    broadcast.inTurns(() => resume(Effect.void))
  })

const sendPair = (broadcast: Broadcast, status: Status.PairStatus): Effect.Effect<void> =>
  Effect.suspend(() => {
    broadcast.latest = encode("pair", status)
    return sendToAll(broadcast, broadcast.latest)
  })

const join = (broadcast: Broadcast, produce: () => Fiber.RuntimeFiber<void>): Effect.Effect<Readable, Busy> =>
  Effect.suspend(() => {
    if (broadcast.listeners.size >= maxListeners) {
      return new Busy({ error: `there are ${maxListeners} listeners already` })
    }
    const listener = new Readable({ read: () => {} })
    listener.push(hello)
    if (broadcast.latest !== undefined) {
      listener.push(broadcast.latest)
    }
    broadcast.listeners.add(listener)
    broadcast.producer ??= produce()
    return Effect.succeed(listener)
  })

const leave = (broadcast: Broadcast, listener: Readable): Effect.Effect<void> =>
  Effect.sync(() => {
    broadcast.listeners.delete(listener)
    listener.destroy()
    if (broadcast.listeners.size === 0) {
      broadcast.producer?.unsafeInterruptAsFork(FiberId.none)
      broadcast.producer = undefined
      broadcast.latest = undefined
    }
  })

export const make = (
  role: Role,
  history: History["Type"],
  pair: Pair
): Effect.Effect<Events, never, Scope.Scope> =>
  Effect.gen(function*() {
    const broadcast: Broadcast = {
      listeners: new Set(),
      inTurns: Turns.makeCounted(listenersPerTurn),
      latest: undefined,
      producer: undefined
    }
    const fork = yield* FiberSet.makeRuntime<never, void>()
    const produce = Effect.flatMap(pair.requested, (status) => sendPair(broadcast, status)).pipe(
      Effect.repeat(Schedule.fixed("1 second")),
      withMonotonicTime,
      Effect.asVoid,
      Effect.interruptible
    )
    const sendTransition = (entry: Status.HistoryEntry) =>
      Effect.gen(function*() {
        if (broadcast.listeners.size > 0) {
          yield* sendToAll(broadcast, encode("transition", { role, ...entry } satisfies Status.TransitionEvent))
          yield* sendPair(broadcast, yield* pair.known)
        }
      })
    yield* Stream.runForEach(history.changes, sendTransition).pipe(Effect.interruptible, Effect.forkScoped)
    return {
      listen: Effect.acquireRelease(
        join(broadcast, () => fork(produce)),
        (listener) => leave(broadcast, listener)
      )
    }
  })

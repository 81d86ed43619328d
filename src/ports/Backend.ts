/**
 * The port to the workers: where requests are handed on to and where their replies come from.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Batches from "../internal/Batches.ts"
import type * as Frames from "../wire/Frames.ts"
import type { SocketError } from "./SocketError.ts"

/**
 * Carries messages to whatever workers there are, to each in its turn, and what they say in return. Which worker has got a
 * message is not known, and what a worker had when it was lost is lost.
 *
 * @since 0.1.0
 * @category tags
 */
export class Backend extends Context.Tag("effect-binary-star/Backend")<Backend, {
  /** Hands on messages in order, as many as there are workers with room for; tells how many these were. */
  readonly send: (messages: ReadonlyArray<Frames.Frames>) => Effect.Effect<number, SocketError>
  /**
   * Hands what the workers say to `take` in batches, and goes on when the promise that `take` gave is fulfilled. Never ends
   * by itself. To be run once.
   */
  readonly run: (take: (messages: ReadonlyArray<Frames.Frames>) => Promise<void>) => Effect.Effect<never, SocketError>
}>() {}

/**
 * A worker's end of a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Worker {
  readonly send: (message: Frames.Frames) => Effect.Effect<void>
  /** What the worker is given, in order. To be run once. */
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>>
}

/**
 * A backend in memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Memory {
  readonly layer: Layer.Layer<Backend>
  /** A worker, as long as the scope lasts. */
  readonly connect: Effect.Effect<Worker, never, Scope.Scope>
}

/** Messages that wait for a worker that does not read, at the most. */
const capacity = 16

/** What workers say that a server has not read yet, at the most; of more the latest is dropped. */
const repliesKept = 1000

/**
 * Makes a backend in memory.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory: Effect.Effect<Memory> = Effect.sync(() => {
  // The one whose turn it is comes first.
  const workers: Array<Mailbox.Mailbox<Frames.Frames>> = []
  let server: Mailbox.Mailbox<Frames.Frames> | undefined

  const sendOne = (message: Frames.Frames): boolean => {
    const turn = workers.findIndex((worker) => worker.unsafeOffer(message))
    workers.push(...workers.splice(0, turn + 1))
    return turn >= 0
  }

  return {
    layer: Layer.scoped(
      Backend,
      Effect.gen(function*() {
        const inbox = yield* Effect.acquireRelease(
          Mailbox.make<Frames.Frames>({ capacity: repliesKept, strategy: "dropping" }),
          (inbox) => inbox.shutdown
        )
        server = inbox
        return Backend.of({
          send: (messages) =>
            Effect.sync(() => {
              const refused = messages.findIndex((message) => !sendOne(message))
              return refused < 0 ? messages.length : refused
            }),
          run: (take) => Batches.run(inbox, take)
        })
      })
    ),
    connect: Effect.map(
      Effect.acquireRelease(
        Effect.tap(
          Mailbox.make<Frames.Frames>({ capacity, strategy: "dropping" }),
          (inbox) => Effect.sync(() => workers.push(inbox))
        ),
        (inbox) =>
          Effect.suspend(() => {
            workers.splice(workers.indexOf(inbox), 1)
            return inbox.shutdown
          })
      ),
      (inbox) => ({
        send: (message) => Effect.sync(() => server?.unsafeOffer(message)),
        messages: Batches.batches(inbox)
      })
    )
  }
})

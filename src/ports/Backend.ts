/** The port to the workers of a proxy. */
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
 * Carries messages to the connected workers, in turns, and their replies. It is not known which worker has received a message, and
 * the messages of a lost worker are lost.
 *
 * @category tags
 */
export class Backend extends Context.Tag("effect-binary-star/Backend")<Backend, {
  /**
   * Sends messages in order, as many as workers have capacity for. Succeeds with the indexes of the others, in ascending order:
   * workers may gain capacity meanwhile, so that messages behind an unsent one may be sent. Rejects with a `SocketError`.
   */
  readonly send: (messages: ReadonlyArray<Frames.Frames>) => Promise<ReadonlyArray<number>>
  /**
   * Passes replies to `onBatch` in batches, the next one when the returned promise is fulfilled. Never ends by itself. To be run
   * once.
   */
  readonly run: (
    onBatch: (messages: ReadonlyArray<Frames.Frames>) => Promise<void>
  ) => Effect.Effect<never, SocketError>
}>() {}

/**
 * The worker's end of a connection.
 *
 * @category models
 */
export interface Worker {
  /** Sends a message to the server. */
  readonly send: (message: Frames.Frames) => Effect.Effect<void>
  /** Received messages, in order. To be run once. */
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>>
}

/**
 * A backend in memory.
 *
 * @category models
 */
export interface Memory {
  readonly layer: Layer.Layer<Backend>
  /** Connects a worker, for the lifetime of the scope. */
  readonly connect: Effect.Effect<Worker, never, Scope.Scope>
}

/** Messages queued for a worker that does not read. */
const capacity = 16

/** Replies queued for a server that does not read. Further ones are dropped. */
const replyCapacity = 1000

/**
 * Makes a backend in memory.
 *
 * @category constructors
 */
export const makeMemory: Effect.Effect<Memory> = Effect.sync(() => {
  // In the order of their turns.
  const workers: Array<Mailbox.Mailbox<Frames.Frames>> = []
  let server: Mailbox.Mailbox<Frames.Frames> | undefined

  const sendOne = (message: Frames.Frames): boolean => {
    const index = workers.findIndex((worker) => worker.unsafeOffer(message))
    workers.push(...workers.splice(0, index + 1))
    return index >= 0
  }

  return {
    layer: Layer.scoped(
      Backend,
      Effect.gen(function*() {
        const replies = yield* Effect.acquireRelease(
          Mailbox.make<Frames.Frames>({ capacity: replyCapacity, strategy: "dropping" }),
          (replies) => replies.shutdown
        )
        server = replies
        return Backend.of({
          send: async (messages) => messages.flatMap((message, index) => sendOne(message) ? [] : [index]),
          run: (onBatch) => Batches.run(replies, onBatch)
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

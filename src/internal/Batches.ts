import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"

/** What has come into a mailbox, each time all of it at once. Ends with the mailbox. */
export const batches = <A>(mailbox: Mailbox.ReadonlyMailbox<A>): Stream.Stream<ReadonlyArray<A>> =>
  Stream.map(Stream.chunks(Mailbox.toStream(mailbox)), Chunk.toReadonlyArray)

/**
 * Serves `batches`: sends the replies that `onBatch` returns, or goes on when the promise that it returns instead is fulfilled.
 * Does not end with the mailbox.
 */
export const serve = <A, E>(
  mailbox: Mailbox.ReadonlyMailbox<A>,
  onBatch: (batch: ReadonlyArray<A>) => ReadonlyArray<A> | Promise<void>,
  reply: (replies: ReadonlyArray<A>) => Effect.Effect<void, E>
): Effect.Effect<never, E> =>
  Effect.zipRight(
    Stream.runForEach(batches(mailbox), (batch) =>
      Effect.suspend(() => {
        const result = onBatch(batch)
        return result instanceof Promise ? Effect.promise(() => result) : reply(result)
      })),
    Effect.never
  )

/**
 * Hands `batches` to `take`, and goes on when the promise that it gave is fulfilled. Does not end with the mailbox.
 */
export const run = <A>(
  mailbox: Mailbox.ReadonlyMailbox<A>,
  take: (batch: ReadonlyArray<A>) => Promise<void>
): Effect.Effect<never> => serve(mailbox, take, () => Effect.void)

import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"

/** The contents of a mailbox, batch by batch. Ends with the mailbox. */
export const batches = <A>(mailbox: Mailbox.ReadonlyMailbox<A>): Stream.Stream<ReadonlyArray<A>> =>
  Stream.map(Stream.chunks(Mailbox.toStream(mailbox)), Chunk.toReadonlyArray)

/**
 * Serves batches: sends the replies that `onBatch` returns, or waits for the promise that it returns instead. Does not end with the
 * mailbox.
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

const noReplies: ReadonlyArray<never> = []

/** Passes batches to `onBatch`, and waits for its promise, if any. Does not end with the mailbox. */
export const run = <A>(
  mailbox: Mailbox.ReadonlyMailbox<A>,
  onBatch: (batch: ReadonlyArray<A>) => Promise<void> | void
): Effect.Effect<never> => serve(mailbox, (batch) => onBatch(batch) ?? noReplies, () => Effect.void)

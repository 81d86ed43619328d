import * as Chunk from "effect/Chunk"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"

/**
 * What has come into a mailbox, each time all of it at once. Ends with the mailbox.
 *
 * @internal
 */
export const batches = <A, B>(
  mailbox: Mailbox.ReadonlyMailbox<A>,
  f: (a: A) => B
): Stream.Stream<ReadonlyArray<B>> =>
  Stream.map(Stream.chunks(Mailbox.toStream(mailbox)), (chunk) => Chunk.toReadonlyArray(chunk).map(f))

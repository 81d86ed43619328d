import * as Chunk from "effect/Chunk"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"

/**
 * What has come into a mailbox, each time all of it at once. Ends with the mailbox.
 *
 * @internal
 */
export const batches = <A>(mailbox: Mailbox.ReadonlyMailbox<A>): Stream.Stream<ReadonlyArray<A>> =>
  Stream.map(Stream.chunks(Mailbox.toStream(mailbox)), Chunk.toReadonlyArray)

/**
 * Replies of the RPC server's protocol: given at once, or as soon as the RPC server responds. Neither costs a fiber, since
 * that of the handler is enough.
 */
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import { DeferredReply, RequestFailure } from "../member/Handler.ts"
import * as Frames from "../wire/Frames.ts"

export type Reply = Frames.Input | DeferredReply

/** Receives a reply. */
export type Waiter = Parameters<DeferredReply["start"]>[0]

/** Reply to a request that cannot be read. */
export const malformed = new DeferredReply((waiter) => {
  waiter(Exit.fail(new RequestFailure({ body: "not a message of an RPC client" })))
  return constVoid
})

/** Gives a reply to a waiter, now or later, and returns what cancels that. */
export const forward = (reply: Reply, waiter: Waiter): () => void => {
  if (reply instanceof DeferredReply) {
    return reply.start(waiter)
  }
  waiter(Exit.succeed(reply))
  return constVoid
}

/** Combines replies once all are known. Each that fails is empty. */
export const combine = (
  replies: ReadonlyArray<Reply>,
  f: (replies: ReadonlyArray<Frames.Frames>) => Frames.Frames
): DeferredReply =>
  new DeferredReply((waiter) => {
    const known: Array<Frames.Frames> = []
    let missing = replies.length
    const cancels = replies.map((reply, i) =>
      forward(reply, (exit) => {
        known[i] = Exit.isSuccess(exit) ? Frames.make(exit.value) : []
        if (--missing === 0) {
          waiter(Exit.succeed(f(known)))
        }
      })
    )
    return () => cancels.forEach((cancel) => cancel())
  })

/**
 * What a message of the RPC client is answered with: at once, or when the RPC server has something to say.
 */
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import { DeferredReply, RequestFailure } from "../member/Handler.ts"
import * as Frames from "../wire/Frames.ts"

/**
 * An answer, now or later. No request costs a fiber here; that of its handler is enough.
 *
 * @internal
 */
export type Answer = Frames.Input | DeferredReply

/**
 * Takes an answer.
 *
 * @internal
 */
export type Settle = Parameters<DeferredReply["start"]>[0]

/**
 * What is answered to what cannot be understood.
 *
 * @internal
 */
export const malformed = new DeferredReply((settle) => {
  settle(Exit.fail(new RequestFailure({ body: "not a message of an RPC client" })))
  return constVoid
})

/**
 * Gives an answer to who takes it, and what is to be called when he does not want it any more.
 *
 * @internal
 */
export const pass = (answer: Answer, settle: Settle): () => void => {
  if (answer instanceof DeferredReply) {
    return answer.start(settle)
  }
  settle(Exit.succeed(answer))
  return constVoid
}

/**
 * Waits for several answers and makes one of them.
 *
 * @internal
 */
export const combine = (
  answers: ReadonlyArray<Answer>,
  make: (answers: ReadonlyArray<Frames.Frames>) => Frames.Frames
) =>
  new DeferredReply((settle) => {
    const known: Array<Frames.Frames> = []
    let missing = answers.length
    const cancels = answers.map((answer, i) =>
      pass(answer, (exit) => {
        known[i] = Exit.isSuccess(exit) ? Frames.make(exit.value) : []
        if (--missing === 0) {
          settle(Exit.succeed(make(known)))
        }
      })
    )
    return () => cancels.forEach((cancel) => cancel())
  })

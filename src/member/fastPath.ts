/**
 * The fast path: answers a batch of requests within the call that delivers it, without the fiber of the member, where nothing
 * else has to come first. No Effect, no generator and no closure.
 */
import * as Effect from "effect/Effect"
import { sliceMillis } from "../internal/Scheduler.ts"
import type { OnBatch } from "../ports/Frontend.ts"
import type * as Frames from "../wire/Frames.ts"
import type { Event, Runtime } from "./context.ts"
import * as Member from "./Member.ts"
import { unlessStalled } from "./outputs.ts"

const pending: Event = { _tag: "Pending" }
const taken = Promise.resolve()
const none: ReadonlyArray<never> = []

/** The link is read again after this share of a slice, so that a server with a request in flight all the time is always fresh. */
const refreshMillis = 0.7 * sliceMillis

/**
 * Reads the link beside the fiber of the member.
 *
 * Everything that had reached the socket of the link when the read began is delivered when it ends, or it finds something waiting: the
 * receive loop of the link always has a receive pending, unless the member has yet to take what it received, and then its queue is
 * not empty. A read lasts until the event loop has polled once from the beginning, which calls that receive back, and the loop
 * puts what it received into the member's queue within the same turn. So a request that is accepted while the queue is empty comes after
 * everything that the peer had sent by `linkReadAt` (H6).
 */
const makeRefresh = ({ fork, link, now, state }: Runtime): () => void => {
  let isReading = false
  let at = 0
  const onPolled = (isWaiting: boolean) => {
    isReading = false
    if (!isWaiting) {
      state.linkReadAt = Math.max(state.linkReadAt, at)
    }
  }
  const read = Effect.map(link.poll, onPolled)
  return () => {
    if (!isReading) {
      isReading = true
      at = now()
      fork(read)
    }
  }
}

/** Whether a batch that is received now may be answered at once. */
const isFree = ({ queue, requests, rules, state }: Runtime, at: number): boolean =>
  state.isIdle && queue.isAwaited() && at - state.linkReadAt <= sliceMillis && requests.isFree() &&
  Member.acceptsAtOnce(rules, state.member, at)

/** Leaves a batch to the fiber of the member. A function of its own: closures cost the function around them, made or not. */
const enqueue = ({ queue, requests }: Runtime, batch: ReadonlyArray<Frames.Frames>, at: number): Promise<void> =>
  new Promise((resolve) => {
    requests.offer(batch, at, resolve)
    queue.offer(pending)
  })

export const make = (runtime: Runtime): OnBatch => {
  const { now, queue, requests, state } = runtime
  const refresh = makeRefresh(runtime)
  return (batch) => {
    const at = now()
    if (!isFree(runtime, at)) {
      return enqueue(runtime, batch, at)
    }
    if (!requests.serveNow(batch, at, state.member.protocol.state, now, state.linkReadAt + sliceMillis)) {
      queue.offer(pending)
      return taken
    }
    if (at - state.linkReadAt > refreshMillis) {
      refresh()
    }
    const outbox = requests.takeOutbox()
    return outbox === undefined ? none : unlessStalled(runtime, outbox.replies)
  }
}

/**
 * The fast path: serves a batch of requests within the call that delivers it, without the fiber of the member, if nothing else
 * has to be processed first. No Effect, no generator and no closure.
 */
import * as Effect from "effect/Effect"
import { sliceMillis } from "../internal/Scheduler.ts"
import type { OnBatch } from "../ports/Frontend.ts"
import type * as Frames from "../wire/Frames.ts"
import type { Event, Runtime } from "./context.ts"
import * as Member from "./Member.ts"
import { unlessStalled } from "./outputs.ts"

const pending: Event = { _tag: "Pending" }
const done = Promise.resolve()
const none: ReadonlyArray<never> = []

/** The link is read again after this share of a slice, so that a continuously loaded server stays on the fast path. */
const refreshMillis = 0.7 * sliceMillis

/**
 * Reads the link concurrently with the fiber of the member.
 *
 * At the end of a read, everything that had reached the socket of the link when the read began is delivered, or the read reports
 * that more is waiting. The receive loop of the link always has a pending receive, unless the member has yet to take what it
 * received; then the member's queue is not empty. A read lasts for one complete poll of the event loop, which completes that
 * receive, and the loop offers the result to the queue in the same turn. A request that is accepted while the queue is empty is
 * therefore decided after everything that the peer had sent by `linkReadAt` (H6).
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

/** Whether a batch that is received now may be served at once. */
const isFree = ({ queue, requests, rules, state }: Runtime, at: number): boolean =>
  state.isIdle && queue.isAwaited() && at - state.linkReadAt <= sliceMillis && requests.isFree() &&
  Member.acceptsAtOnce(rules, state.member, at)

/** Passes a batch to the fiber of the member. A separate function: a closure slows its function down even where it is not created. */
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
      return done
    }
    if (at - state.linkReadAt > refreshMillis) {
      refresh()
    }
    const outbox = requests.takeOutbox()
    return outbox === undefined ? none : unlessStalled(runtime, outbox.replies)
  }
}

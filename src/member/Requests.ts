/**
 * The data plane: serves requests as the core has decided. Plain and synchronous: a request whose handler replies at once costs
 * no Effect, no generator and no closure.
 */
import type { State } from "../protocol/StateMachine.ts"
import type * as Frames from "../wire/Frames.ts"
import type { Counters } from "./Counters.ts"
import * as FairQueue from "./fairQueue.ts"
import type { Completion, Excess, Outbox, Responder } from "./Responder.ts"

/** Maximum batch if requests are served at once. Smaller batches wake libzmq's thread more often. */
const batchSize = 256

/** Maximum batch if one client sends more than all others together, so that they do not wait for its requests. */
const smallBatchSize = 16

export interface Limits {
  readonly concurrency: number
  readonly maxFrames: number
  readonly maxPerClient: number
}

/** The core's decision about requests, and the state in which they are accepted. */
export interface Verdict {
  readonly isAccepted: boolean
  readonly state: State
}

interface Batch {
  readonly requests: ReadonlyArray<Frames.Frames>
  readonly at: number
  /** Taken while the member was draining: to be rejected. */
  readonly isLate: boolean
  next: number
}

const noRequests: Batch = { requests: [], at: 0, isLate: false, next: 0 }

/** Requests between the frontend and the handler, with back-pressure. */
export class Requests {
  readonly #limits: Limits
  readonly #responder: Omit<Responder, "endTerm">
  readonly #counters: Counters
  readonly #queueCapacity: number
  readonly #queue = FairQueue.make()
  #outbox: Outbox = { replies: [], logs: [] }
  #batch = noRequests
  #offered: { readonly batch: Batch; readonly onTaken: () => void } | undefined
  #batchSize = batchSize
  #isClosed = false

  constructor(limits: Limits, responder: Omit<Responder, "endTerm">, counters: Counters) {
    this.#limits = limits
    this.#responder = responder
    this.#counters = counters
    // Short, so that a client's first request does not wait for many others.
    this.#queueCapacity = Math.min(batchSize, 2 * limits.concurrency)
  }

  /** Maximum number of requests that the frontend may read now. */
  demand(): number {
    return this.#responder.running() + this.#queue.size() === 0
      ? this.#batchSize
      : Math.max(1, this.#queueCapacity - this.#queue.size())
  }

  /** Offers a batch of the frontend, which offers the next one after `onTaken`. */
  offer(requests: ReadonlyArray<Frames.Frames>, at: number, onTaken: () => void): void {
    this.#measure(requests)
    this.#offered = { batch: { requests, at, isLate: false, next: 0 }, onTaken }
  }

  /** Whether a batch that arrives now may be served at once: nothing is queued, and no handler slot is missing. */
  isFree(): boolean {
    return !this.#isClosed && this.#offered === undefined && !this.#isWaiting() && !this.#isBusy()
  }

  /**
   * Serves a batch of accepted requests at once, until a time. Only while the data plane is free. Returns whether the batch is
   * complete and its replies may be sent at once; otherwise the fiber of the member has to continue, or to log.
   */
  serveNow(
    requests: ReadonlyArray<Frames.Frames>,
    at: number,
    state: State,
    now: () => number,
    until: number
  ): boolean {
    this.#measure(requests)
    this.#batch = { requests, at, isLate: false, next: 0 }
    this.serve({ isAccepted: true, state }, now, until)
    return this.#isBatchTaken() && this.#outbox.logs.length === 0
  }

  /** Closes the data plane to new requests, which are rejected, or opens it again. */
  close(isClosed: boolean): void {
    this.#isClosed = isClosed
    if (!isClosed && this.#batch.isLate) {
      this.#batch = { ...this.#batch, isLate: false }
    }
  }

  /** Moves received batches into the fair queue while it has capacity; back-pressure holds the rest at the clients. */
  gather(): void {
    while (!this.#isBatchLate() && (this.#isBatchTaken() || this.#queue.size() > 0 || this.#isBusy())) {
      const { at, requests } = this.#batch
      while (!this.#isBatchTaken()) {
        const request = requests[this.#batch.next++]!
        const excess = this.#excessOf(request)
        if (excess === undefined) {
          this.#queue.add({ request, at })
        } else {
          this.#limit(request, excess)
        }
      }
      if (this.#queue.size() >= this.#queueCapacity || !this.#takeBatch()) {
        break
      }
    }
  }

  /** Whether a request can be served or rejected now, without waiting for a handler to complete. */
  isReady(isAccepted: boolean): boolean {
    return this.#isBatchLate() || (this.#isWaiting() && (!isAccepted || !this.#isBusy()))
  }

  /** Whether no request is queued or being handled. Offered batches do not count: once closed, they are rejected. */
  isIdle(): boolean {
    return !this.#isWaiting() && this.#responder.running() === 0
  }

  /** Routing id of the next request's client. */
  nextClient(): Uint8Array | undefined {
    const queued = this.#isBatchLate() ? undefined : this.#queue.first()
    return (queued?.request ?? this.#batch.requests[this.#batch.next])?.[0]
  }

  /** Serves or rejects requests until a time. */
  serve({ isAccepted, state }: Verdict, now: () => number, until: number): void {
    let answered = 0
    let time = 0
    const { at } = this.#batch
    while (this.isReady(isAccepted)) {
      const isLate = this.#isBatchLate()
      const queued = isLate ? undefined : this.#queue.first()
      const request = queued?.request ?? this.#batch.requests[this.#batch.next]!
      if (queued === undefined) {
        this.#batch.next++
      } else {
        this.#queue.shift()
      }
      if (!isAccepted || isLate) {
        this.#reject(request)
      } else if (queued === undefined) {
        answered += this.#accept(request, state, at)
      } else {
        this.#counters.accepted++
        this.#responder.handle(request, state, queued.at, this.#outbox)
      }
      time = now()
      if (time > until) {
        break
      }
    }
    if (answered > 0) {
      this.#counters.latency.add(time - at, answered)
    }
  }

  /** Rejects all queued and offered requests. */
  rejectAll(state: State): void {
    do {
      while (this.isReady(false)) {
        this.serve({ isAccepted: false, state }, zero, Number.POSITIVE_INFINITY)
      }
    } while (this.#takeBatch())
  }

  complete(completions: ReadonlyArray<Completion>): void {
    for (const completion of completions) {
      this.#responder.complete(completion, this.#outbox)
    }
  }

  /** Removes the replies and logs that have accumulated. */
  takeOutbox(): Outbox | undefined {
    const outbox = this.#outbox
    if (outbox.replies.length + outbox.logs.length === 0) {
      return undefined
    }
    this.#outbox = { replies: [], logs: [] }
    return outbox
  }

  #measure(requests: ReadonlyArray<Frames.Frames>): void {
    // A smaller batch is too small a sample to detect a dominant client.
    if (requests.length >= smallBatchSize) {
      this.#batchSize = FairQueue.hasDominantClient(requests) ? smallBatchSize : batchSize
    }
  }

  #accept(request: Frames.Frames, state: State, at: number): number {
    const excess = this.#excessOf(request)
    if (excess !== undefined) {
      this.#limit(request, excess)
      return 0
    }
    this.#counters.accepted++
    const before = this.#outbox.replies.length
    this.#responder.handle(request, state, at, this.#outbox)
    return this.#outbox.replies.length - before
  }

  #reject(request: Frames.Frames): void {
    this.#counters.rejected++
    this.#responder.reject(request, this.#outbox)
  }

  #limit(request: Frames.Frames, excess: Excess): void {
    this.#counters.limited++
    this.#responder.limit(request, excess, this.#outbox)
  }

  #takeBatch(): boolean {
    const offered = this.#offered
    if (offered === undefined) {
      return false
    }
    this.#offered = undefined
    this.#batch = this.#isClosed ? { ...offered.batch, isLate: true } : offered.batch
    offered.onTaken()
    return true
  }

  #isBatchTaken(): boolean {
    return this.#batch.next >= this.#batch.requests.length
  }

  #isBatchLate(): boolean {
    return this.#batch.isLate && !this.#isBatchTaken()
  }

  #isWaiting(): boolean {
    return !this.#isBatchTaken() || this.#queue.size() > 0
  }

  #isBusy(): boolean {
    return this.#responder.running() >= this.#limits.concurrency
  }

  #excessOf(request: Frames.Frames): Excess | undefined {
    const { maxFrames, maxPerClient } = this.#limits
    const frames = request.length - 1
    if (frames > maxFrames) {
      return { status: "Failed", message: `${frames} frames, more than the limit of ${maxFrames} per request` }
    }
    const isOver = this.#responder.running() + this.#queue.size() >= maxPerClient &&
      this.#responder.runningOf(request) + this.#queue.sizeOf(request) >= maxPerClient
    return isOver
      ? { status: "Busy", message: `${maxPerClient} requests in progress, the limit per client` }
      : undefined
  }
}

const zero = () => 0

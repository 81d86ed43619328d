/**
 * Requests of a proxy: which wait for a worker, and which are with one. Plain data without Effect, clock or sockets;
 * instants are parameters, in milliseconds.
 */
import type { Linked } from "../internal/LinkedList.ts"
import { LinkedList } from "../internal/LinkedList.ts"
import * as Frames from "../wire/Frames.ts"

/** A place in the table, and which of the requests that had it one after the other this is. */
interface Id {
  readonly slot: number
  readonly serial: number
}

/**
 * - `Queued`: no worker has it.
 * - `Sending`: the backend has it, and has not reported yet whether a worker had room.
 * - `AtWorker`: some worker has it. Which one is known to ZeroMQ alone.
 */
export type Phase = "Queued" | "Sending" | "AtWorker"

export interface Request<Waiter> extends Linked<Request<Waiter>> {
  readonly id: Id
  /** For the worker: envelope, empty frame, body. No frames once a worker has it: many requests are with workers at a time. */
  message: Frames.Frames
  /** Instant until which it may be queued. */
  readonly queuedUntil: number
  /** Receives the reply. */
  readonly waiter: Waiter
  phase: Phase
}

/**
 * Reply of a worker, or why there is none: its request has ended or is that of another proxy, or it has no envelope.
 */
export type Received<Waiter> =
  | { readonly _tag: "Reply"; readonly waiter: Waiter; readonly body: Frames.Frames }
  | { readonly _tag: "Late" | "Malformed" }

const noFrames: Frames.Frames = []

const late = { _tag: "Late" } as const
const malformed = { _tag: "Malformed" } as const

/** Largest number of requests that are sent together. */
const batchSize = 256

/** Length of the random prefix and of the whole id, in bytes. */
const prefixLength = 8
const idLength = 16

/** Makes the prefix of a proxy's ids. */
export const makePrefix = (): Uint8Array => crypto.getRandomValues(new Uint8Array(prefixLength))

/**
 * Encodes ids, many of them in common memory: that of a small array is in the heap of V8, and would be allocated a second time when the
 * array is sent.
 */
const makeEncoder = (prefix: Uint8Array): (id: Id) => Uint8Array => {
  let memory = new Uint8Array(batchSize * idLength)
  let used = 0
  return ({ serial, slot }) => {
    if (used === memory.length) {
      memory = new Uint8Array(batchSize * idLength)
      used = 0
    }
    const frame = memory.subarray(used, used + idLength)
    used += idLength
    frame.set(prefix)
    setUint32(frame, prefixLength, serial)
    setUint32(frame, prefixLength + 4, slot)
    return frame
  }
}

const setUint32 = (frame: Uint8Array, at: number, value: number): void => {
  for (let i = 0; i < 4; i++) {
    frame[at + i] = value >>> (24 - 8 * i)
  }
}

const decodeId = (prefix: Uint8Array, frame: Uint8Array): Id | undefined => {
  for (let i = 0; i < prefixLength; i++) {
    if (frame[i] !== prefix[i]) {
      return undefined
    }
  }
  return { serial: uint32(frame, prefixLength), slot: uint32(frame, prefixLength + 4) }
}

const uint32 = (frame: Uint8Array, at: number): number =>
  ((frame[at]! << 24) | (frame[at + 1]! << 16) | (frame[at + 2]! << 8) | frame[at + 3]!) >>> 0

/**
 * `prefix` makes ids unique among all proxies at an endpoint, this one before a restart included: a worker may hold replies
 * for any of them. `queueMillis` is how long a request may be queued.
 */
export class RequestTable<Waiter> {
  readonly counters = { forwarded: 0, replied: 0, busy: 0, late: 0, malformed: 0 }
  readonly #prefix: Uint8Array
  readonly #queueMillis: number
  readonly #encodeId: (id: Id) => Uint8Array
  /** In order of arrival, which is that of `queuedUntil`. */
  readonly #queue = new LinkedList<Request<Waiter>>()
  /** Not a Map, for the same reason as in {@link LinkedList}. */
  readonly #slots: Array<Request<Waiter> | undefined> = []
  readonly #freeSlots: Array<number> = []
  #serial = 0

  constructor(prefix: Uint8Array, queueMillis: number) {
    this.#prefix = prefix
    this.#queueMillis = queueMillis
    this.#encodeId = makeEncoder(prefix)
  }

  get queuedCount(): number {
    return this.#queue.size
  }

  get atWorkersCount(): number {
    return this.#slots.length - this.#freeSlots.length - this.#queue.size
  }

  add(body: Frames.Frames, waiter: Waiter, now: number): Request<Waiter> {
    this.#serial = (this.#serial + 1) % 2 ** 32
    const id = { serial: this.#serial, slot: this.#freeSlots.pop() ?? this.#slots.length }
    const request: Request<Waiter> = {
      id,
      // A REP socket drops an envelope without a body.
      message: [this.#encodeId(id), Frames.delimiter, ...(body.length === 0 ? [Frames.delimiter] : body)],
      queuedUntil: now + this.#queueMillis,
      waiter,
      phase: "Queued",
      previous: undefined,
      next: undefined
    }
    this.#slots[id.slot] = request
    this.#queue.add(request)
    return request
  }

  /** The oldest queued requests, which the backend is given now. `onSent` has to follow before the next batch. */
  nextBatch(): ReadonlyArray<Request<Waiter>> {
    const batch: Array<Request<Waiter>> = []
    for (let request = this.#queue.first; request !== undefined && batch.length < batchSize; request = request.next) {
      request.phase = "Sending"
      batch.push(request)
    }
    return batch
  }

  /** Workers had room for the requests of a batch, except those at `unsent` indexes, which keep their place in the queue. */
  onSent(batch: ReadonlyArray<Request<Waiter>>, unsent: ReadonlyArray<number>): void {
    this.counters.forwarded += batch.length - unsent.length
    for (const index of unsent) {
      batch[index]!.phase = "Queued"
    }
    for (const request of batch) {
      if (request.phase === "Sending") {
        request.phase = "AtWorker"
        request.message = noFrames
        this.#queue.delete(request)
      }
    }
  }

  onMessage(message: Frames.Frames): Received<Waiter> {
    const id = message[0]
    if (id?.length !== idLength || message[1]?.length !== 0) {
      this.counters.malformed++
      return malformed
    }
    const request = this.#find(decodeId(this.#prefix, id))
    if (request === undefined) {
      this.counters.late++
      return late
    }
    this.#delete(request)
    this.counters.replied++
    return { _tag: "Reply", waiter: request.waiter, body: message.slice(2) }
  }

  /** Removes the requests that were queued for too long. Not to be called between `nextBatch` and `onSent`. */
  expire(now: number): ReadonlyArray<Request<Waiter>> {
    const expired: Array<Request<Waiter>> = []
    while (this.#queue.first !== undefined && this.#queue.first.queuedUntil <= now) {
      const request = this.#queue.first
      this.#delete(request)
      expired.push(request)
    }
    this.counters.busy += expired.length
    return expired
  }

  /**
   * Removes a request whose reply is not wanted any more. `NotSent`: no worker has seen it, so that it may be sent to the other
   * server. `Expired`: the same, and it was queued for too long.
   */
  cancel(request: Request<Waiter>, now: number): "NotSent" | "Expired" | "MaybeSent" {
    this.#delete(request)
    if (request.phase !== "Queued") {
      return "MaybeSent"
    }
    if (now < request.queuedUntil) {
      return "NotSent"
    }
    this.counters.busy++
    return "Expired"
  }

  #find(id: Id | undefined): Request<Waiter> | undefined {
    const request = id && this.#slots[id.slot]
    return request?.id.serial === id?.serial ? request : undefined
  }

  #delete(request: Request<Waiter>): void {
    const { slot } = request.id
    if (this.#slots[slot] === request) {
      this.#slots[slot] = undefined
      this.#freeSlots.push(slot)
    }
    this.#queue.delete(request)
  }
}

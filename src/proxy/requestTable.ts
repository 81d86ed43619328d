/**
 * Requests of a proxy: which wait for a worker, and which are with one. Plain data without Effect, clock or sockets;
 * instants are parameters, in milliseconds.
 */
import * as Frames from "../wire/Frames.ts"

/**
 * - `Queued`: no worker has it.
 * - `Sending`: the backend has it, and has not reported yet whether a worker had room.
 * - `AtWorker`: some worker has it. Which one is known to ZeroMQ alone.
 */
export type Phase = "Queued" | "Sending" | "AtWorker"

export interface Request<Waiter> {
  readonly id: number
  /** For the worker: envelope, empty frame, body. */
  readonly message: Frames.Frames
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

const late = { _tag: "Late" } as const
const malformed = { _tag: "Malformed" } as const

/** Largest number of requests that are sent together. */
const batchSize = 256

/** Length of the random prefix and of the whole id, in bytes. */
const prefixLength = 8
const idLength = 16

/** Makes the prefix of a proxy's ids. */
export const makePrefix = (): Uint8Array => crypto.getRandomValues(new Uint8Array(prefixLength))

const encodeId = (prefix: Uint8Array, id: number): Uint8Array => {
  const frame = new Uint8Array(idLength)
  frame.set(prefix)
  const view = new DataView(frame.buffer)
  view.setUint32(prefixLength, Math.floor(id / 2 ** 32))
  view.setUint32(prefixLength + 4, id)
  return frame
}

const decodeId = (prefix: Uint8Array, frame: Uint8Array): number | undefined => {
  if (prefix.some((byte, i) => frame[i] !== byte)) {
    return undefined
  }
  const view = new DataView(frame.buffer, frame.byteOffset, idLength)
  return view.getUint32(prefixLength) * 2 ** 32 + view.getUint32(prefixLength + 4)
}

/**
 * `prefix` makes ids unique among all proxies at an endpoint, this one before a restart included: a worker may hold replies
 * for any of them. `queueMillis` is how long a request may be queued.
 */
export class RequestTable<Waiter> {
  readonly counters = { forwarded: 0, replied: 0, busy: 0, late: 0, malformed: 0 }
  readonly #prefix: Uint8Array
  readonly #queueMillis: number
  /** In order of arrival, which is that of `queuedUntil`. */
  readonly #queue = new Set<Request<Waiter>>()
  readonly #requests = new Map<number, Request<Waiter>>()
  #lastId = 0

  constructor(prefix: Uint8Array, queueMillis: number) {
    this.#prefix = prefix
    this.#queueMillis = queueMillis
  }

  get queuedCount(): number {
    return this.#queue.size
  }

  get atWorkersCount(): number {
    return this.#requests.size - this.#queue.size
  }

  add(body: Frames.Frames, waiter: Waiter, now: number): Request<Waiter> {
    const id = ++this.#lastId
    const request: Request<Waiter> = {
      id,
      // A REP socket drops an envelope without a body.
      message: [encodeId(this.#prefix, id), Frames.delimiter, ...(body.length === 0 ? [Frames.delimiter] : body)],
      queuedUntil: now + this.#queueMillis,
      waiter,
      phase: "Queued"
    }
    this.#requests.set(id, request)
    this.#queue.add(request)
    return request
  }

  /** The oldest queued requests, which the backend is given now. `onSent` has to follow before the next batch. */
  nextBatch(): ReadonlyArray<Request<Waiter>> {
    const batch: Array<Request<Waiter>> = []
    for (const request of this.#queue) {
      if (batch.length === batchSize) {
        break
      }
      request.phase = "Sending"
      batch.push(request)
    }
    return batch
  }

  /** Workers had room for the first `count` requests of a batch. The others keep their place in the queue. */
  onSent(batch: ReadonlyArray<Request<Waiter>>, count: number): void {
    this.counters.forwarded += count
    batch.forEach((request, i) => {
      if (i < count) {
        request.phase = "AtWorker"
        this.#queue.delete(request)
      } else {
        request.phase = "Queued"
      }
    })
  }

  onMessage(message: Frames.Frames): Received<Waiter> {
    const id = message[0]
    if (id?.length !== idLength || message[1]?.length !== 0) {
      this.counters.malformed++
      return malformed
    }
    const request = this.#requests.get(decodeId(this.#prefix, id) ?? 0)
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
    for (const request of this.#queue) {
      if (request.queuedUntil > now) {
        break
      }
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

  #delete(request: Request<Waiter>): void {
    this.#requests.delete(request.id)
    this.#queue.delete(request)
  }
}

/**
 * The receive loop of a socket. A pending `receive` of the binding cannot be cancelled: it would take the next message. So there is
 * one at a time, and its messages go to the next consumer.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as zmq from "zeromq"
import * as AsyncLoop from "../internal/AsyncLoop.ts"
import { beginSlice, isSliceOver, nextPoll, onNextTurn } from "../internal/Scheduler.ts"
import { SocketError } from "../ports/SocketError.ts"
import type * as Frames from "../wire/Frames.ts"
import { reasonOf } from "./failure.ts"
import type { Handle } from "./handle.ts"
import type { Receiver, Runnable } from "./models.ts"

/** A socket of the binding that receives. */
export type Receiving = zmq.Socket & { receiveTimeout: number; readonly receive: () => Promise<Array<Uint8Array>> }

type Batch = ReadonlyArray<Frames.Frames>

/** Messages in one batch at most. 16 gain nothing over single messages, and more than 256 nothing over 256. */
export const batchSize = 256

/**
 * After a batch of this size the next one is read until a receive fails. `readable` is a system call for each message; a receive
 * that fails costs as much as 8 of them.
 */
const burstSize = 16

const fullBatch = () => batchSize

/** Waits for the next turn of the event loop. */
const turn = () => new Promise<void>((resolve) => onNextTurn(resolve))

class Batches {
  /** Whether messages have arrived that were not taken. */
  hasArrived = false
  readonly #socket: Receiving
  readonly #size: number
  /** Whether messages are sent several at a time, so that more can be expected after the first. */
  readonly #areTogether: boolean
  #pending: Promise<Batch> | undefined
  #lastSize = 0
  #timeoutMillis = Number.NaN

  constructor(socket: Receiving, size: number, areTogether: boolean) {
    this.#socket = socket
    this.#size = size
    this.#areTogether = areTogether
  }

  /** The next batch, the same one until it is taken. */
  next(demand: () => number): Promise<Batch> {
    return this.#pending ??= this.#read(demand)
  }

  taken(): void {
    this.#pending = undefined
    this.hasArrived = false
  }

  /** A socket call that is worth avoiding. */
  #setTimeout(millis: number): void {
    if (this.#timeoutMillis !== millis) {
      this.#socket.receiveTimeout = this.#timeoutMillis = millis
    }
  }

  async #read(demand: () => number): Promise<Batch> {
    // No receive is pending here, so that `readable` cannot swallow the signal for one.
    const isIdle = !this.#socket.readable
    this.hasArrived = !isIdle
    const isTurnDue = !isIdle && isSliceOver()
    if (isTurnDue) {
      await turn()
    }
    // With a timeout of 0 a receive that must succeed takes no detour through the event loop. A REQ may be readable and then discard
    // the message.
    this.#setTimeout(isIdle || isTurnDue || this.#size === 1 ? -1 : 0)
    const first: Frames.Frames = await this.#socket.receive()
    this.hasArrived = true
    if (isIdle) {
      beginSlice()
      // Asking for more costs as much as a receive. Single messages are no burst.
      if (this.#lastSize < 2 && !this.#areTogether) {
        return [first]
      }
    }
    return this.#readMore([first], Math.min(this.#size, demand()))
  }

  async #readMore(batch: Array<Frames.Frames>, limit: number): Promise<Batch> {
    const isBurst = this.#lastSize >= burstSize
    while (batch.length < limit && (isBurst || this.#socket.readable)) {
      this.#setTimeout(0)
      try {
        batch.push(await this.#socket.receive())
      } catch (cause) {
        if (isBurst && reasonOf(cause) === "Full") {
          break
        }
        throw cause
      }
    }
    this.#lastSize = batch.length
    return batch
  }
}

/** What ends a run. An error without a code does not come from the binding: it is a defect of the consumer. */
const toEffect = (cause: unknown, failed: Handle<zmq.Socket>["failed"]): Effect.Effect<never, SocketError> => {
  if (cause instanceof SocketError) {
    return Effect.fail(cause)
  }
  return cause instanceof Error && "code" in cause ? Effect.fail(failed("receive", cause)) : Effect.die(cause)
}

/**
 * Reads a socket in batches of at most `size` messages. A `size` of 1 never reads ahead. `areTogether` is whether messages are sent
 * several at a time. Defaults to `false`.
 */
export const receiver = (
  { failed, socket }: Handle<Receiving>,
  size: number,
  { areTogether = false } = {}
): Receiver & Runnable => {
  const batches = new Batches(socket, size, areTogether)
  const receive = Effect.tap(
    Effect.tryPromise({ try: () => batches.next(fullBatch), catch: (cause) => failed("receive", cause) }),
    () => Effect.sync(() => batches.taken())
  )
  const run: Runnable["run"] = (onBatch, demand = fullBatch) =>
    Effect.zipRight(
      AsyncLoop.run(async (isRunning) => {
        while (isRunning()) {
          const batch = await batches.next(demand)
          if (isRunning()) {
            batches.taken()
            const isTaken = onBatch(batch)
            if (isTaken !== undefined) {
              await isTaken
            }
          }
        }
      }, (cause) => toEffect(cause, failed)),
      Effect.never
    )
  return {
    receive,
    messages: Stream.repeatEffect(receive),
    run,
    // `readable` while a receive is pending would swallow the signal for it, and it would never return.
    poll: Effect.map(nextPoll, () => batches.hasArrived)
  }
}

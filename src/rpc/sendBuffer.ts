import type * as Frames from "../wire/Frames.ts"

/** Largest number of messages that are sent together. */
const batchSize = 32

/** Size, in bytes, of the largest message that is sent with others; a larger one would delay them. */
const smallBytes = 4096

/** A message for the server. */
export interface PendingMessage {
  readonly body: Frames.Frames
  /** Whether it may be sent again if there is no reply. */
  readonly resend: boolean
}

export const isSmall = ({ body }: PendingMessage): boolean => body.length === 1 && body[0]!.length <= smallBytes

/** Messages of one turn of the event loop, which are sent together. Plain data, without Effect or sockets. */
export class SendBuffer<M extends PendingMessage> {
  #messages: Array<M> = []

  /** Adds a message. `First` has to be followed by a flush at the end of this turn, `Full` by one at once. */
  add(message: M): "First" | "Full" | "Added" {
    const count = this.#messages.push(message)
    if (count === batchSize) {
      return "Full"
    }
    return count === 1 ? "First" : "Added"
  }

  delete(message: M): void {
    this.#messages = this.#messages.filter((other) => other !== message)
  }

  /** Removes all messages. Those of a batch have the same `resend`, since they are sent as one request of the pair. */
  takeBatches(): ReadonlyArray<ReadonlyArray<M>> {
    const messages = this.#messages
    this.#messages = []
    const batches: Array<ReadonlyArray<M>> = []
    for (const resend of [false, true]) {
      const group = messages.filter((message) => message.resend === resend)
      for (let i = 0; i < group.length; i += batchSize) {
        batches.push(group.slice(i, i + batchSize))
      }
    }
    return batches
  }
}

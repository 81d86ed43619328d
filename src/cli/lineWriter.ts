/**
 * A queue of lines in front of a channel: whatever the channel does, a line is accepted at once and without waiting.
 */
import { setTimeout } from "node:timers"
import type { Channel } from "./channel.ts"

/** How soon, in milliseconds, a stream that cannot take more is tried again. */
const fullMillis = 10

/** How soon, in milliseconds, a stream that has failed is tried again. */
const failedMillis = 1000

/** What happens to lines that cannot be written. */
export interface Policy {
  /** How many bytes may be queued. */
  readonly capacity: number
  /** A write has failed. Its lines are lost, and so are all further lines until the stream is tried again. */
  readonly onFailure: (error: NodeJS.ErrnoException) => void
  /** So many more lines are lost. */
  readonly onLost: (count: number) => void
  /** The queue is empty, or the stream is tried again: writes a line about the lines that were lost. */
  readonly onRoom: (lost: number) => void
}

interface Item {
  readonly bytes: Uint8Array
  /** How many lines are lost with it. */
  readonly lines: number
  /** Whether it is the line about lost lines, which are counted already. */
  readonly isNotice: boolean
}

const countOf = (items: ReadonlyArray<Item>): number => items.reduce((sum, { lines }) => sum + lines, 0)

/** Takes items from the front of a queue: at least one, and no more than fit into a batch. */
const takeBatch = (queue: Array<Item>, batchBytes: number): ReadonlyArray<Item> => {
  let bytes = 0
  let count = 0
  while (count < queue.length && (count === 0 || bytes + queue[count]!.bytes.length <= batchBytes)) {
    bytes += queue[count++]!.bytes.length
  }
  return queue.splice(0, count)
}

const bytesOf = (items: ReadonlyArray<Item>): number => items.reduce((sum, { bytes }) => sum + bytes.length, 0)

export class LineWriter {
  private readonly channel: Channel
  private readonly policy: Policy
  private readonly queue: Array<Item> = []
  private queuedBytes = 0
  /** The items that are being written, their bytes, and how many of these are written. */
  private batch: { readonly items: ReadonlyArray<Item>; readonly bytes: Uint8Array; written: number } | undefined
  private isBusy = false
  private isPumping = false
  private hasFailed = false
  /** Whether the last line was cut off in the middle. */
  private isCut = false
  /** Lost lines that no notice counts yet. */
  private lost = 0
  /** Lost lines that the next line is about. */
  private noticed = 0
  private onIdle: Array<() => void> = []

  constructor(channel: Channel, policy: Policy) {
    this.channel = channel
    this.policy = policy
  }

  /** Accepts a line, with its end. Once one is lost all are, until a notice can be written in their place. */
  write(line: string): void {
    const isNotice = this.noticed > 0
    const item = { bytes: Buffer.from(line), lines: isNotice ? this.noticed : 1, isNotice }
    this.noticed = 0
    if (this.lost > 0 || this.queuedBytes + item.bytes.length > this.policy.capacity) {
      return this.lose([item])
    }
    this.queue.push(item)
    this.queuedBytes += item.bytes.length
    this.pump()
  }

  /** Calls back once all accepted lines are written or lost. */
  whenIdle(done: () => void): void {
    this.onIdle.push(done)
    this.pump()
  }

  private lose(items: ReadonlyArray<Item>): void {
    this.lost += countOf(items)
    this.policy.onLost(countOf(items.filter(({ isNotice }) => !isNotice)))
  }

  /** Writes the notice. It goes through `write`, which takes the count from `noticed`. */
  private notice(): void {
    this.noticed = this.lost
    this.lost = 0
    this.policy.onRoom(this.noticed)
    this.noticed = 0
  }

  /** Writes until the channel is busy or nothing is queued. Channels may complete a write at once. */
  private pump(): void {
    if (this.isPumping) {
      return
    }
    this.isPumping = true
    while (!this.isBusy && (this.batch !== undefined || this.queue.length > 0)) {
      this.batch ??= this.nextBatch()
      this.isBusy = true
      this.channel.write(this.batch.bytes.subarray(this.batch.written), (error, count) => this.complete(error, count))
    }
    this.isPumping = false
    if (!this.isBusy) {
      this.settle()
    }
  }

  private nextBatch() {
    const items = takeBatch(this.queue, this.channel.batchBytes)
    this.queuedBytes -= bytesOf(items)
    const start = this.isCut ? [Buffer.from("\n")] : []
    this.isCut = false
    return { items, bytes: Buffer.concat([...start, ...items.map(({ bytes }) => bytes)]), written: 0 }
  }

  /** Nothing is queued. */
  private settle(): void {
    if (this.lost > 0 && !this.hasFailed) {
      return this.notice()
    }
    const done = this.onIdle
    this.onIdle = []
    done.forEach((done) => done())
  }

  private complete(error: NodeJS.ErrnoException | null, count: number): void {
    if (error?.code === "EAGAIN") {
      setTimeout(() => {
        this.isBusy = false
        this.pump()
      }, fullMillis).unref()
      return
    }
    this.isBusy = false
    if (error !== null) {
      this.fail(error)
    } else {
      this.batch!.written += count
      if (this.batch!.written === this.batch!.bytes.length) {
        this.batch = undefined
      }
    }
    this.pump()
  }

  private fail(error: NodeJS.ErrnoException): void {
    this.hasFailed = true
    this.isCut = this.batch!.written > 0
    this.lose([...this.batch!.items, ...this.queue.splice(0)])
    this.queuedBytes = 0
    this.batch = undefined
    this.policy.onFailure(error)
    setTimeout(() => {
      this.hasFailed = false
      this.notice()
    }, failedMillis).unref()
  }
}

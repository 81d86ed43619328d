/**
 * A queue of lines in front of a channel: whatever the channel does, a line is accepted at once and without waiting.
 */
import { setTimeout } from "node:timers"
import type { Channel } from "./channel.ts"

/** How soon, in milliseconds, a stream that takes nothing more is tried again. */
const fullMillis = 10

/** How soon, in milliseconds, a stream that has failed is tried again. */
const failedMillis = 1000

/** What becomes of lines that cannot be written. */
export interface Policy {
  /** How many bytes may wait. */
  readonly capacity: number
  /** A write has failed. Its lines are lost, and so are all that follow until the stream is tried again. */
  readonly onFailure: (error: NodeJS.ErrnoException) => void
  /** So many more lines are lost. */
  readonly onLost: (count: number) => void
  /** Nothing waits any more, or the stream is tried again: writes a line about those that were lost. */
  readonly onRoom: (lost: number) => void
}

export interface LineWriter {
  /** Accepts a line, with its end. Once one was lost all are, until a line about them can be written in their place. */
  readonly write: (line: string) => void
  readonly isIdle: () => boolean
  /** Calls back once nothing waits to be written any more. */
  readonly whenIdle: (done: () => void) => void
}

interface Item {
  readonly bytes: Uint8Array
  /** How many lines are lost with it. */
  readonly lines: number
  /** Whether it is the line about lines that were lost, which are counted already. */
  readonly isNotice: boolean
}

export const make = (channel: Channel, policy: Policy): LineWriter => {
  const waiting: Array<Item> = []
  let waitingBytes = 0
  let batch: { readonly items: ReadonlyArray<Item>; readonly bytes: Uint8Array } | undefined
  let written = 0
  let isBusy = false
  let isPumping = false
  let hasFailed = false
  /** Whether the last line was cut off in the middle. */
  let isCut = false
  /** Lines about which nothing is written yet. */
  let lost = 0
  /** Lines about which the next line is. */
  let noticed = 0
  let onIdle: Array<() => void> = []

  const lose = (items: ReadonlyArray<Item>) => {
    const count = (some: ReadonlyArray<Item>) => some.reduce((sum, { lines }) => sum + lines, 0)
    lost += count(items)
    policy.onLost(count(items.filter(({ isNotice }) => !isNotice)))
  }

  const notice = () => {
    noticed = lost
    lost = 0
    policy.onRoom(noticed)
    noticed = 0
  }

  const later = (millis: number, action: () => void) => setTimeout(action, millis).unref()

  const takeBatch = () => {
    let bytes = 0
    let count = 0
    while (count < waiting.length && (count === 0 || bytes + waiting[count]!.bytes.length <= channel.batchBytes)) {
      bytes += waiting[count++]!.bytes.length
    }
    const items = waiting.splice(0, count)
    waitingBytes -= bytes
    const start = isCut ? [Buffer.from("\n")] : []
    isCut = false
    return { items, bytes: Buffer.concat([...start, ...items.map((item) => item.bytes)]) }
  }

  const fail = (error: NodeJS.ErrnoException) => {
    hasFailed = true
    isCut = written > 0
    lose([...batch!.items, ...waiting.splice(0)])
    waitingBytes = 0
    batch = undefined
    policy.onFailure(error)
    later(failedMillis, () => {
      hasFailed = false
      notice()
    })
  }

  const settle = (error: NodeJS.ErrnoException | null, count: number) => {
    if (error?.code === "EAGAIN") {
      later(fullMillis, () => {
        isBusy = false
        pump()
      })
      return
    }
    isBusy = false
    if (error !== null) {
      fail(error)
    } else {
      written += count
      if (written === batch!.bytes.length) {
        batch = undefined
      }
    }
    pump()
  }

  const pump = () => {
    if (isPumping) {
      return
    }
    isPumping = true
    while (!isBusy && (batch !== undefined || waiting.length > 0)) {
      if (batch === undefined) {
        batch = takeBatch()
        written = 0
      }
      isBusy = true
      channel.write(batch.bytes.subarray(written), settle)
    }
    isPumping = false
    if (isIdle()) {
      if (lost > 0 && !hasFailed) {
        return notice()
      }
      const done = onIdle
      onIdle = []
      done.forEach((done) => done())
    }
  }

  const isIdle = () => !isBusy && batch === undefined && waiting.length === 0

  return {
    isIdle,
    whenIdle: (done) => {
      onIdle.push(done)
      pump()
    },
    write: (line) => {
      const isNotice = noticed > 0
      const item = { bytes: Buffer.from(line), lines: isNotice ? noticed : 1, isNotice }
      noticed = 0
      if (lost > 0 || waitingBytes + item.bytes.length > policy.capacity) {
        return lose([item])
      }
      waiting.push(item)
      waitingBytes += item.bytes.length
      pump()
    }
  }
}

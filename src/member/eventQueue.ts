import * as Effect from "effect/Effect"

/**
 * Queue of events, with many writers and one reader.
 *
 * Not a `Mailbox`: that takes two more steps of the scheduler from an event to its reader, which is a twentieth of a round trip
 * over a socket. Streams use `put`, which waits, so that each holds at most one item.
 */
export interface EventQueue<A> {
  /** Adds an item. */
  readonly offer: (item: A) => void
  /** Adds an item and waits until the reader has taken it. */
  readonly put: (item: A) => Effect.Effect<void>
  /** Removes all items; waits for one if the queue is empty. */
  readonly takeAll: Effect.Effect<ReadonlyArray<A>>
  /** Removes all items, of which there may be none. */
  readonly poll: () => ReadonlyArray<A>
  /** Whether the reader is waiting, so the queue is empty. */
  readonly isAwaited: () => boolean
}

export const make = <A>(): EventQueue<A> => {
  let items: Array<A> = []
  let writers: Array<() => void> = []
  let reader: (() => void) | undefined

  const offer = (item: A) => {
    items.push(item)
    const wake = reader
    reader = undefined
    wake?.()
  }
  const poll = () => {
    const taken = items
    items = []
    if (writers.length > 0) {
      const waiting = writers
      writers = []
      for (const resume of waiting) {
        resume()
      }
    }
    return taken
  }
  const arrival = Effect.async<void>((resume) => {
    if (items.length > 0) {
      return resume(Effect.void)
    }
    reader = () => resume(Effect.void)
    return Effect.sync(() => {
      reader = undefined
    })
  })

  return {
    offer,
    put: (item) =>
      Effect.async((resume) => {
        writers.push(() => resume(Effect.void))
        offer(item)
      }),
    takeAll: Effect.suspend(() => items.length > 0 ? Effect.sync(poll) : Effect.map(arrival, poll)),
    poll,
    isAwaited: () => reader !== undefined
  }
}

import * as Effect from "effect/Effect"

/**
 * Where several streams of events come together for one fiber.
 *
 * A `Mailbox` would do; it takes two more steps of the scheduler from an event to its reader, which is a twentieth of a
 * round trip over a socket. This one holds no more than those who fill it have in hand: whoever puts waits.
 *
 * @internal
 */
export interface Inbox<A> {
  /** Leaves an item. */
  readonly offer: (item: A) => void
  /** Leaves an item and waits until the reader has taken it. */
  readonly put: (item: A) => Effect.Effect<void>
  /** All that has come in, waiting for something where nothing has. There may be one reader. */
  readonly takeAll: Effect.Effect<ReadonlyArray<A>>
  /** All that has come in, be it nothing. */
  readonly poll: () => ReadonlyArray<A>
}

/** @internal */
export const make = <A>(): Inbox<A> => {
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
    poll
  }
}

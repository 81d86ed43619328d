import type * as Frames from "../Frames.ts"

/**
 * A request that waits for others to end.
 *
 * @internal
 */
export interface Waiting {
  readonly request: Frames.Frames
  /** When it came. */
  readonly at: number
}

/**
 * Requests that wait, in which each client has its turn: who asks a lot waits for himself.
 *
 * @internal
 */
export interface Line {
  /** How many wait. */
  readonly size: () => number
  /** How many of the client of a request wait. */
  readonly sizeOf: (request: Frames.Frames) => number
  readonly add: (waiting: Waiting) => void
  /** The one whose turn it is. */
  readonly first: () => Waiting | undefined
  /** Takes away the one whose turn it is. */
  readonly shift: () => void
}

/**
 * The client of a request as a key.
 *
 * @internal
 */
export const clientOf = (request: Frames.Frames): string => String.fromCharCode(...request[0]!)

/**
 * Whether one client asks for more than all others together.
 *
 * @internal
 */
export const isOneMost = (requests: ReadonlyArray<Frames.Frames>): boolean => {
  const counts = new Map<string, number>()
  let most = 0
  for (const request of requests) {
    const client = clientOf(request)
    const count = (counts.get(client) ?? 0) + 1
    counts.set(client, count)
    most = Math.max(most, count)
  }
  return 2 * most > requests.length
}

/** @internal */
export const make = (): Line => {
  // The client whose turn it is comes first; a Map keeps the order.
  const lines = new Map<string, Array<Waiting>>()
  let size = 0
  const next = () => {
    for (const entry of lines) {
      return entry
    }
    return undefined
  }
  return {
    size: () => size,
    sizeOf: (request) => size === 0 ? 0 : lines.get(clientOf(request))?.length ?? 0,
    add: (waiting) => {
      const client = clientOf(waiting.request)
      const line = lines.get(client)
      if (line === undefined) {
        lines.set(client, [waiting])
      } else {
        line.push(waiting)
      }
      size++
    },
    first: () => next()?.[1][0],
    shift: () => {
      const entry = next()
      if (entry !== undefined) {
        const [client, line] = entry
        line.shift()
        size--
        lines.delete(client)
        if (line.length > 0) {
          lines.set(client, line)
        }
      }
    }
  }
}

import type * as Frames from "../wire/Frames.ts"

/** A queued request. */
export interface QueuedRequest {
  readonly request: Frames.Frames
  /** When it was received, in monotonic milliseconds. */
  readonly at: number
}

/** Fair queue: round robin over clients, first in first out within one. */
export interface FairQueue {
  readonly size: () => number
  /** Number of queued requests of the same client. */
  readonly sizeOf: (request: Frames.Frames) => number
  readonly add: (queued: QueuedRequest) => void
  /** The next request. */
  readonly first: () => QueuedRequest | undefined
  /** Removes the next request. */
  readonly shift: () => void
}

/** The client of a request as a key. */
export const clientOf = (request: Frames.Frames): string => String.fromCharCode(...request[0]!)

/** Whether one client sends more than all others together. */
export const hasDominantClient = (requests: ReadonlyArray<Frames.Frames>): boolean => {
  // Boyer-Moore majority vote: only the last candidate can have a majority.
  let candidate = requests[0]
  let lead = 0
  for (const request of requests) {
    candidate = lead === 0 ? request : candidate
    lead += isSameClient(request, candidate!) ? 1 : -1
  }
  return 2 * requests.filter((request) => isSameClient(request, candidate!)).length > requests.length
}

const isSameClient = ([one]: Frames.Frames, [other]: Frames.Frames): boolean => {
  let i = one!.length
  if (i !== other!.length) {
    return false
  }
  // Routing ids differ in their last bytes.
  while (i > 0 && one![i - 1] === other![i - 1]) {
    i--
  }
  return i === 0
}

export const make = (): FairQueue => {
  // A Map keeps the order: the client that is served next comes first.
  const clients = new Map<string, Array<QueuedRequest>>()
  let size = 0
  return {
    size: () => size,
    sizeOf: (request) => size === 0 ? 0 : clients.get(clientOf(request))?.length ?? 0,
    add: (queued) => {
      const client = clientOf(queued.request)
      const own = clients.get(client)
      if (own === undefined) {
        clients.set(client, [queued])
      } else {
        own.push(queued)
      }
      size++
    },
    first: () => clients.values().next().value?.[0],
    shift: () => {
      const next = clients.entries().next().value
      if (next !== undefined) {
        const [client, own] = next
        own.shift()
        size--
        clients.delete(client)
        if (own.length > 0) {
          clients.set(client, own)
        }
      }
    }
  }
}

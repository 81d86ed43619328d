import type { Linked } from "../internal/LinkedList.ts"
import { LinkedList } from "../internal/LinkedList.ts"
import type * as Frames from "../wire/Frames.ts"
import { ClientTable } from "./clientTable.ts"

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

/** A client and its queued requests. */
interface Client extends Linked<Client> {
  readonly requests: Array<QueuedRequest>
}

export const make = (): FairQueue => {
  const clients = new ClientTable<Client>(
    () => ({ requests: [], previous: undefined, next: undefined }),
    ({ requests }) => requests.length === 0
  )
  /** Those with requests, in the order of their turns. */
  const turns = new LinkedList<Client>()
  let size = 0
  return {
    size: () => size,
    sizeOf: (request) => size === 0 ? 0 : clients.find(request)?.requests.length ?? 0,
    add: (queued) => {
      const client = clients.get(queued.request)
      if (client.requests.push(queued) === 1) {
        turns.add(client)
      }
      size++
    },
    first: () => turns.first?.requests[0],
    shift: () => {
      const client = turns.first
      if (client !== undefined) {
        client.requests.shift()
        size--
        turns.delete(client)
        if (client.requests.length > 0) {
          turns.add(client)
        }
      }
    }
  }
}

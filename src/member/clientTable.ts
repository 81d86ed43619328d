import type * as Frames from "../wire/Frames.ts"

/** Clients that are kept at least, also those that are idle. */
const minSize = 256

/** The routing id of a request's client as a key. To spread the bytes over parameters would take four times as long. */
const keyOf = ([routingId]: Frames.Frames): string => {
  let key = ""
  for (let i = 0; i < routingId!.length; i++) {
    key += String.fromCharCode(routingId![i]!)
  }
  return key
}

/**
 * What is known of clients. Those that are idle stay until there are twice as many as at the last look: to remove and add them with
 * each request would cost what `internal/LinkedList.ts` avoids.
 */
export class ClientTable<A> {
  readonly #make: (request: Frames.Frames) => A
  readonly #isIdle: (client: A) => boolean
  #clients = new Map<string, A>()
  #maxSize = minSize

  constructor(make: (request: Frames.Frames) => A, isIdle: (client: A) => boolean) {
    this.#make = make
    this.#isIdle = isIdle
  }

  /** The client of a request, if it is known. */
  find(request: Frames.Frames): A | undefined {
    return this.#clients.get(keyOf(request))
  }

  /** The client of a request. */
  get(request: Frames.Frames): A {
    const key = keyOf(request)
    const known = this.#clients.get(key)
    if (known !== undefined) {
      return known
    }
    if (this.#clients.size >= this.#maxSize) {
      this.#clients = new Map([...this.#clients].filter(([, client]) => !this.#isIdle(client)))
      this.#maxSize = Math.max(minSize, 2 * this.#clients.size)
    }
    const client = this.#make(request)
    this.#clients.set(key, client)
    return client
  }
}

import type { Linked } from "../internal/LinkedList.ts"
import { LinkedList } from "../internal/LinkedList.ts"

const initialSlots = 256

/**
 * Requests without a reply, by their ids and in the order in which they vote. An id is a number; its place is its remainder.
 *
 * Not a Map, for the reason of {@link LinkedList}.
 */
export class Pending<R extends Linked<R> & { readonly id: string }> {
  readonly #order = new LinkedList<R>()
  #slots = new Array<R | undefined>(initialSlots).fill(undefined)
  #lastId = 0

  get size(): number {
    return this.#order.size
  }

  get first(): R | undefined {
    return this.#order.first
  }

  toArray(): Array<R> {
    return this.#order.toArray()
  }

  has(request: R): boolean {
    return this.#order.has(request)
  }

  /** `id` is that of a message: it may be anything. */
  find(id: string): R | undefined {
    const request = this.#slots[this.#slotOf(id)]
    return request?.id === id ? request : undefined
  }

  /** The id for the next request. */
  nextId(): string {
    if (2 * this.size >= this.#slots.length) {
      this.#grow()
    }
    do {
      this.#lastId++
    } while (this.#slots[this.#lastId % this.#slots.length] !== undefined)
    return String(this.#lastId)
  }

  /** Adds a request with the next id. */
  add(request: R): void {
    this.#slots[this.#slotOf(request.id)] = request
    this.#order.add(request)
  }

  delete(request: R): void {
    if (this.#order.delete(request)) {
      this.#slots[this.#slotOf(request.id)] = undefined
    }
  }

  /** Lets a request vote after all others. */
  moveToEnd(request: R): void {
    if (this.#order.delete(request)) {
      this.#order.add(request)
    }
  }

  #slotOf(id: string): number {
    return Number(id) % this.#slots.length
  }

  #grow(): void {
    // Different remainders stay different.
    this.#slots = new Array<R | undefined>(2 * this.#slots.length).fill(undefined)
    for (const request of this.toArray()) {
      this.#slots[this.#slotOf(request.id)] = request
    }
  }
}

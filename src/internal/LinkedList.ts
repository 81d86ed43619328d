/** An item of a list, which refers to its neighbours itself. */
export interface Linked<A> {
  previous: A | undefined
  next: A | undefined
}

/**
 * A list of items that are removed in any order.
 *
 * Not a Set or a Map: whenever one of those has had as many changes as it has room, V8 replaces its table, and the old table refers to
 * the new one. Once a table has been promoted to the old generation, all later ones are promoted as well, with all that they contain,
 * until the next full garbage collection. With items that come and go, that is ten times the cost of the Set itself.
 */
export class LinkedList<A extends Linked<A>> {
  size = 0
  first: A | undefined
  #last: A | undefined

  add(item: A): void {
    item.previous = this.#last
    if (this.#last === undefined) {
      this.first = item
    } else {
      this.#last.next = item
    }
    this.#last = item
    this.size++
  }

  has(item: A): boolean {
    return item.previous !== undefined || this.first === item
  }

  toArray(): Array<A> {
    const items: Array<A> = []
    for (let item = this.first; item !== undefined; item = item.next) {
      items.push(item)
    }
    return items
  }

  /** Removes an item. Returns whether it was in the list. */
  delete(item: A): boolean {
    if (!this.has(item)) {
      return false
    }
    const { next, previous } = item
    if (previous === undefined) {
      this.first = next
    } else {
      previous.next = next
    }
    if (next === undefined) {
      this.#last = previous
    } else {
      next.previous = previous
    }
    // An item that was promoted must not keep its neighbours.
    item.previous = item.next = undefined
    this.size--
    return true
  }
}

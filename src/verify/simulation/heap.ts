/** A binary heap of planned events: the earliest is at 0, and of two at one instant the one that was planned first. */

/** An event at a time. */
export interface Planned {
  readonly at: number
  readonly order: number
}

const isBefore = (a: Planned, b: Planned) => a.at < b.at || (a.at === b.at && a.order < b.order)

export const push = <A extends Planned>(heap: Array<A>, item: A): void => {
  let i = heap.length
  heap.push(item)
  while (i > 0) {
    const parent = (i - 1) >> 1
    if (!isBefore(item, heap[parent]!)) {
      break
    }
    heap[i] = heap[parent]!
    i = parent
  }
  heap[i] = item
}

/** Removes the earliest. The heap must not be empty. */
export const pop = <A extends Planned>(heap: Array<A>): A => {
  const first = heap[0]!
  const item = heap.pop()!
  if (heap.length > 0) {
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) {
        child++
      }
      if (child >= heap.length || !isBefore(heap[child]!, item)) {
        break
      }
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = item
  }
  return first
}

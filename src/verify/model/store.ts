/** The states that were found, packed, each with the move that led to it. */
import * as Packing from "./packing.ts"

const width = Packing.length
const last = width - 1

/** States that differ in their budgets alone have the same hash. */
const hash = (states: Uint32Array, offset: number): number => {
  let h = 0
  for (let i = 0; i < width; i++) {
    h = Math.imul(h ^ (i < last ? states[offset + i]! : states[offset + i]! & ~Packing.budgetBits), 0x9e3779b1)
    h ^= h >>> 15
  }
  h = Math.imul(h, 0x85ebca77)
  return h ^ (h >>> 13)
}

const tagOf = (hash: number, lastInteger: number): number =>
  (hash & ~Packing.budgetBits) | (lastInteger & Packing.budgetBits)

/** Whether everything that can follow from the state with the tag `added` can follow from a known one, if they are equal. */
const covers = (known: number, added: number): boolean =>
  ((known ^ added) & ~Packing.budgetBits) === 0 && Packing.allowsAsMuch(known, added)

export class Store {
  /** Where a state is packed before it is added. */
  readonly scratch = new Uint32Array(width)
  #size = 0
  #capacity = 1 << 14
  #packed = new Uint32Array(this.#capacity * width)
  #parents = new Uint32Array(this.#capacity)
  #depths = new Uint16Array(this.#capacity)
  #moves = new Uint8Array(this.#capacity)
  /**
   * A hash table with twice as many places as states. A place is two integers: one more than the index of a state, or 0 if it is
   * free; and the state's budgets with bits of its hash, so that most comparisons need no access to the state itself.
   */
  #places = new Uint32Array(this.#capacity * 4)

  get size(): number {
    return this.#size
  }

  get packed(): Uint32Array {
    return this.#packed
  }

  /** The number of moves from the first state. */
  depth(index: number): number {
    return this.#depths[index]!
  }

  /** Whether a state that covers the one in the scratch is the same. */
  isSame(index: number): boolean {
    return this.#packed[index * width + last] === this.scratch[last]
  }

  /**
   * The index of the state in the scratch, or of one that was found before and is the same but for larger budgets. It is the
   * size before if the state is new.
   */
  add(): number {
    if (this.#size === this.#capacity) {
      this.#grow()
    }
    const places = this.#places
    const mask = places.length - 1
    const h = hash(this.scratch, 0)
    const tag = tagOf(h, this.scratch[last]!)
    let place = (h << 1) & mask
    while (places[place] !== 0) {
      if (covers(places[place + 1]!, tag) && this.#isEqual(places[place]! - 1)) {
        return places[place]! - 1
      }
      place = (place + 2) & mask
    }
    places[place] = this.#size + 1
    places[place + 1] = tag
    this.#packed.set(this.scratch, this.#size * width)
    return this.#size++
  }

  link(index: number, parent: number, move: number): void {
    this.#parents[index] = parent
    this.#depths[index] = this.#depths[parent]! + 1
    this.#moves[index] = move
  }

  /** The moves from the first state. */
  trace(index: number): ReadonlyArray<number> {
    const moves: Array<number> = []
    for (let at = index; at !== 0; at = this.#parents[at]!) {
      moves.push(this.#moves[at]!)
    }
    return moves.reverse()
  }

  /** Whether the state in the scratch is the same as a known one but for its budgets. */
  #isEqual(index: number): boolean {
    const packed = this.#packed
    const { scratch } = this
    const offset = index * width
    for (let i = 0; i < last; i++) {
      if (packed[offset + i] !== scratch[i]) {
        return false
      }
    }
    return ((packed[offset + last]! ^ scratch[last]!) & ~Packing.budgetBits) === 0
  }

  #grow(): void {
    this.#capacity *= 2
    this.#packed = enlarge(this.#packed, this.#capacity * width)
    this.#parents = enlarge(this.#parents, this.#capacity)
    this.#depths = enlarge(this.#depths, this.#capacity)
    this.#moves = enlarge(this.#moves, this.#capacity)
    const places = this.#places = new Uint32Array(this.#capacity * 4)
    const mask = places.length - 1
    for (let index = 0; index < this.#size; index++) {
      const h = hash(this.#packed, index * width)
      let place = (h << 1) & mask
      while (places[place] !== 0) {
        place = (place + 2) & mask
      }
      places[place] = index + 1
      places[place + 1] = tagOf(h, this.#packed[index * width + last]!)
    }
  }
}

const enlarge = <A extends Uint32Array | Uint16Array | Uint8Array>(array: A, length: number): A => {
  const larger = new (array.constructor as new(length: number) => A)(length)
  larger.set(array)
  return larger
}

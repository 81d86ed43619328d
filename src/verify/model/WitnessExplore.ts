/** Breadth-first search through the states of two members with a witness, each once. */
import * as World from "./witnessWorld.ts"

const width = World.packedLength

const hash = (states: Uint32Array, offset: number): number => {
  let h = 0
  for (let i = 0; i < width; i++) {
    h = Math.imul(h ^ states[offset + i]!, 0x9e3779b1)
    h ^= h >>> 15
  }
  h = Math.imul(h, 0x85ebca77)
  return h ^ (h >>> 13)
}

/** The states that were found, each with the move that led to it. */
class Store {
  readonly scratch = new Uint32Array(width)
  size = 0
  #capacity = 1 << 16
  packed = new Uint32Array(this.#capacity * width)
  parents = new Uint32Array(this.#capacity)
  moves = new Uint8Array(this.#capacity)
  #places = new Uint32Array(this.#capacity * 2)

  /** Adds the state in the scratch. Returns whether it is new. */
  add(parent: number, move: number): boolean {
    if (this.size === this.#capacity) {
      this.#grow()
    }
    const places = this.#places
    const mask = places.length - 1
    const { packed, scratch } = this
    let place = hash(scratch, 0) & mask
    for (let index = places[place]!; index !== 0; index = places[place]!) {
      const offset = (index - 1) * width
      let i = 0
      while (i < width && packed[offset + i] === scratch[i]) {
        i++
      }
      if (i === width) {
        return false
      }
      place = (place + 1) & mask
    }
    places[place] = this.size + 1
    packed.set(scratch, this.size * width)
    this.parents[this.size] = parent
    this.moves[this.size] = move
    this.size++
    return true
  }

  #grow(): void {
    this.#capacity *= 2
    const packed = new Uint32Array(this.#capacity * width)
    packed.set(this.packed)
    this.packed = packed
    const parents = new Uint32Array(this.#capacity)
    parents.set(this.parents)
    this.parents = parents
    const moves = new Uint8Array(this.#capacity)
    moves.set(this.moves)
    this.moves = moves
    const places = this.#places = new Uint32Array(this.#capacity * 2)
    const mask = places.length - 1
    for (let index = 0; index < this.size; index++) {
      let place = hash(packed, index * width) & mask
      while (places[place] !== 0) {
        place = (place + 1) & mask
      }
      places[place] = index + 1
    }
  }
}

export type Move = { readonly name: World.MoveName; readonly side: World.Side } | { readonly name: "tick" }

export interface Violation {
  readonly problem: World.Problem
  readonly steps: number
  readonly trace: ReadonlyArray<Move>
}

export interface Progress {
  readonly states: number
  readonly expanded: number
  readonly transitions: number
  /** Moves from the first state to those that are visited now. */
  readonly steps: number
  /** Whether all states were visited. */
  readonly isWhole: boolean
  readonly violations: ReadonlyArray<Violation>
}

const allMoves: ReadonlyArray<Move> = [
  ...World.moveNames.flatMap((name) => World.sides.map((side): Move => ({ name, side }))),
  { name: "tick" }
]

export const apply = (setup: World.Setup, state: World.State, move: Move): boolean => {
  if (move.name === "tick") {
    World.tick(setup, state)
    return true
  }
  return World.moves[move.name](setup, state, move.side)
}

export class Search {
  readonly setup: World.Setup
  readonly #maxStates: number
  readonly store = new Store()
  readonly #violations: Array<Violation> = []
  #expanded = 0
  #transitions = 0
  #depth = 0
  #depthEnd = 1
  readonly #base = World.initial()
  readonly #work = World.initial()

  constructor(setup: World.Setup, maxStates: number) {
    this.setup = setup
    this.#maxStates = maxStates
    World.pack(setup, this.#base, this.store.scratch)
    this.store.add(0, 0)
  }

  get progress(): Progress {
    return {
      states: this.store.size,
      expanded: this.#expanded,
      transitions: this.#transitions,
      steps: this.#depth,
      isWhole: this.#expanded === this.store.size,
      violations: this.#violations
    }
  }

  /** Visits states. Returns whether there are more, within the limit. */
  visit(count: number): boolean {
    const { setup, store } = this
    for (let i = 0; i < count; i++) {
      if (this.#expanded >= store.size || store.size >= this.#maxStates) {
        return false
      }
      const index = this.#expanded++
      if (index === this.#depthEnd) {
        this.#depth++
        this.#depthEnd = store.size
      }
      World.unpack(store.packed, index * width, this.#base)
      for (let m = 0; m < allMoves.length; m++) {
        this.#work.set(this.#base)
        if (!apply(setup, this.#work, allMoves[m]!)) {
          continue
        }
        this.#transitions++
        const problem = World.check(setup, this.#work)
        World.pack(setup, this.#work, store.scratch)
        const isNew = store.add(index, m)
        if (problem !== undefined && isNew && !this.#violations.some((violation) => violation.problem === problem)) {
          this.#violations.push({ problem, steps: this.#depth + 1, trace: this.#trace(store.size - 1) })
        }
      }
    }
    return true
  }

  /** The moves to a state, by the names that the sides have at the start. */
  #trace(index: number): ReadonlyArray<Move> {
    const path: Array<number> = []
    for (let i = index; i !== 0; i = this.store.parents[i]!) {
      path.push(this.store.moves[i]!)
    }
    const state = World.initial()
    const scratch = new Uint32Array(width)
    let isSwapped = false
    return path.reverse().map((m) => {
      const move = allMoves[m]!
      apply(this.setup, state, move)
      World.check(this.setup, state)
      const named: Move = move.name === "tick" || !isSwapped ? move : { ...move, side: move.side === 0 ? 1 : 0 }
      isSwapped = World.pack(this.setup, state, scratch) !== isSwapped
      World.unpack(scratch, 0, state)
      return named
    })
  }
}

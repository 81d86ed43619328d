/** Breadth-first search through the states of two members with a witness, each once. */
import { type Property, propertyOf, serviceTicks } from "./WitnessModel.ts"
import * as Situations from "./witnessService.ts"
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

/** The states that were found, packed, each with the move that led to it. */
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

/**
 * Something that may happen: to one side, or the passing of half a heartbeat.
 *
 * @category models
 */
export type Move = { readonly name: World.MoveName; readonly side: World.Side } | { readonly name: "tick" }

/**
 * A violated property, and a shortest way there. `situation` is what worked after it, for a violation by what follows.
 *
 * @category models
 */
export interface Violation {
  readonly property: Property
  readonly steps: number
  readonly trace: ReadonlyArray<Move>
  readonly situation?: string
}

/**
 * Service in a situation: from how many states it was tried, the longest time until there was, and how often a server refused as a
 * minority.
 *
 * @category models
 */
export interface Service {
  readonly situation: string
  readonly starts: number
  readonly worstTicks: number
  readonly refusals: number
}

/**
 * How far an exploration has come.
 *
 * @category models
 */
export interface Progress {
  /** States found so far. */
  readonly states: number
  /** States found whose moves have not been tried. At the end: none, or there are more states than were to be explored. */
  readonly frontier: number
  /** Moves made so far. */
  readonly transitions: number
  /** Moves from the first state to those that are visited now. */
  readonly steps: number
  readonly violations: ReadonlyArray<Violation>
  /** Of a sample of all states, once they are explored. */
  readonly services: ReadonlyArray<Service>
}

const allMoves: ReadonlyArray<Move> = [
  ...World.moveNames.flatMap((name) => World.sides.map((side): Move => ({ name, side }))),
  { name: "tick" }
]

/** Makes a move. Returns whether it was possible. */
export const apply = (setup: World.Setup, state: World.State, move: Move): boolean => {
  if (move.name === "tick") {
    World.tick(setup, state)
    return true
  }
  return World.moves[move.name](setup, state, move.side)
}

/**
 * Options of {@link explore}.
 *
 * @category models
 */
export interface Options {
  /** How many states are explored at most. */
  readonly maxStates: number
  /** From how many states service is tried. Defaults to `5000`. */
  readonly samples?: number | undefined
  /** Moves that are made first: only what follows from them is explored. Defaults to none. */
  readonly first?: ReadonlyArray<Move> | undefined
  /** Yields after each so many states. Defaults to `10000`. */
  readonly yieldEvery?: number | undefined
}

/**
 * Explores a model, breadth first, then tries from a sample of the states whether there is service soon.
 *
 * @category constructors
 */
export function* explore(setup: World.Setup, options: Options): Generator<Progress, Progress> {
  const search = new Search(setup, options)
  while (search.visit(options.yieldEvery ?? 10_000)) {
    yield search.progress
  }
  for (const situation of Situations.situations) {
    yield search.progress
    search.tryService(situation, options.samples ?? 5000)
  }
  return search.progress
}

class Search {
  readonly #setup: World.Setup
  readonly #maxStates: number
  readonly #store = new Store()
  readonly #violations: Array<Violation> = []
  readonly #services: Array<Service> = []
  readonly #first: World.State
  readonly #prefix: ReadonlyArray<Move>
  #expanded = 0
  #transitions = 0
  #depth = 0
  #depthEnd = 1
  readonly #base = World.initial()
  readonly #work = World.initial()

  constructor(setup: World.Setup, { first = [], maxStates }: Options) {
    this.#setup = setup
    this.#maxStates = maxStates
    this.#first = World.initial()
    this.#prefix = first
    first.forEach((move) => {
      if (!apply(setup, this.#first, move)) {
        throw new Error(`${move.name} is not possible`)
      }
      World.check(setup, this.#first)
    })
    World.pack(this.#first, this.#store.scratch)
    this.#store.add(0, 0)
  }

  get progress(): Progress {
    return {
      states: this.#store.size,
      frontier: this.#store.size - this.#expanded,
      transitions: this.#transitions,
      steps: this.#depth,
      violations: this.#violations,
      services: this.#services
    }
  }

  /** Visits states. Returns whether there are more, within the limit. */
  visit(count: number): boolean {
    const setup = this.#setup
    const store = this.#store
    const base = this.#base
    const work = this.#work
    const maxStates = this.#maxStates
    for (let i = 0; i < count; i++) {
      if (this.#expanded >= store.size || store.size >= maxStates) {
        return false
      }
      const index = this.#expanded++
      if (index === this.#depthEnd) {
        this.#depth++
        this.#depthEnd = store.size
      }
      World.unpack(store.packed, index * width, base)
      work.set(base)
      for (let m = 0; m < allMoves.length; m++) {
        if (!apply(setup, work, allMoves[m]!)) {
          continue
        }
        this.#transitions++
        const problem = World.check(setup, work)
        World.pack(work, store.scratch)
        work.set(base)
        if (store.add(index, m) && problem !== undefined) {
          this.#violate(propertyOf(problem), store.size - 1)
        }
      }
    }
    return true
  }

  #violate(property: Property, index: number, situation?: string, isSwapped = false): void {
    if (!this.#violations.some((violation) => violation.property === property)) {
      const trace = this.#trace(index, situation === undefined ? undefined : isSwapped)
      this.#violations.push({
        property,
        steps: trace.length,
        trace,
        ...(situation === undefined ? {} : { situation })
      })
    }
  }

  /** Tries from some states, evenly over all, whether there is service soon. */
  tryService(situation: Situations.Situation, samples: number): void {
    const store = this.#store
    const every = Math.max(1, Math.floor(store.size / samples))
    const result = { situation: situation.name, starts: 0, worstTicks: 0, refusals: 0 }
    for (let index = 0; index < store.size; index += every) {
      World.unpack(store.packed, index * width, this.#base)
      for (const isSwapped of [false, true]) {
        const start = isSwapped ? World.swapSides(this.#base) : this.#base
        const service = Situations.serviceFrom(this.#setup, start, situation, serviceTicks)
        result.starts++
        if (service === "refuses") {
          result.refusals++
        } else if (typeof service === "number") {
          result.worstTicks = Math.max(result.worstTicks, service)
        } else {
          const problem = service === "two" ? "two-serve" : "no-service"
          this.#violate(propertyOf(problem), index, situation.name, isSwapped)
        }
      }
    }
    this.#services.push(result)
  }

  /** The moves to a state: by the names of its sides, or of its sides swapped, if that is given; else of those at the start. */
  #trace(index: number, isEndSwapped: boolean | undefined): ReadonlyArray<Move> {
    const path: Array<number> = []
    for (let i = index; i !== 0; i = this.#store.parents[i]!) {
      path.push(this.#store.moves[i]!)
    }
    const state = this.#first.slice()
    const scratch = new Uint32Array(width)
    let isSwapped = World.pack(state, scratch)
    World.unpack(scratch, 0, state)
    const rename = (move: Move, isOther: boolean): Move =>
      move.name === "tick" || !isOther ? move : { ...move, side: move.side === 0 ? 1 : 0 }
    const trace = path.reverse().map((m) => {
      const move = allMoves[m]!
      apply(this.#setup, state, move)
      World.check(this.#setup, state)
      const named = rename(move, isSwapped)
      isSwapped = World.pack(state, scratch) !== isSwapped
      World.unpack(scratch, 0, state)
      return named
    })
    const isRenamed = isEndSwapped !== undefined && isSwapped !== isEndSwapped
    return [...this.#prefix, ...trace].map((move) => rename(move, isRenamed))
  }
}

/** Breadth-first search: visits every state of the world that can be reached, once. */
import * as Model from "./Model.ts"
import * as Packing from "./packing.ts"
import { properties, type Property } from "./Properties.ts"
import { Store } from "./store.ts"

/**
 * How far an exploration has come.
 *
 * @category models
 */
export interface Progress {
  /** States found so far. */
  readonly states: number
  /** States found whose moves have not been tried yet. */
  readonly frontier: number
  /** Moves made so far. */
  readonly transitions: number
  /** Ticks from the first state to those that are visited now. */
  readonly ticks: number
  /** All violations so far, in the order of depth. */
  readonly violations: ReadonlyArray<Violation>
}

/**
 * A violated property, and the moves that lead there: of those with the fewest ticks one with the fewest moves.
 *
 * @category models
 */
export interface Violation {
  readonly property: Property
  readonly ticks: number
  readonly trace: ReadonlyArray<Model.Move>
}

/**
 * Explores all of a model, tick by tick, and within a tick by the number of moves from the start. Yields after each `yieldEvery`
 * states. It explores nothing that follows from a violation, nor a state that was found with larger budgets before: everything
 * that can follow from it follows from that one, too.
 *
 * @category constructors
 */
export function* explore(model: Model.Model, yieldEvery = 10_000): Generator<Progress, Progress> {
  const search = new Search(model)
  for (let visited = 0;;) {
    while (search.visitNext()) {
      if (++visited % yieldEvery === 0) {
        yield search.progress()
      }
    }
    if (!search.tick()) {
      return search.progress()
    }
  }
}

class Search {
  readonly #model: Model.Model
  readonly #packing = new Packing.Packing()
  readonly #store = new Store()
  readonly #violations: Array<Violation> = []
  #transitions = 0
  #ticks = 0
  /** The states that the last tick has led to, from `#next` on not visited yet. */
  #seeds = { first: 0, next: 0, end: 1 }
  /** For each seed whether it was visited: a shorter way may lead to it before its turn. */
  #isVisited = new Uint8Array(1)
  /** The states that were reached from the seeds without a tick; like the seeds in the order of their depths. */
  #reached: Array<number> = []
  #nextReached = 0
  #visited: Array<number> = []

  constructor(model: Model.Model) {
    this.#model = model
    this.#packing.pack(model.initial, this.#store.scratch)
    this.#store.add()
  }

  progress(): Progress {
    return {
      states: this.#store.size,
      frontier: this.#seeds.end - this.#seeds.next + this.#reached.length - this.#nextReached,
      transitions: this.#transitions,
      ticks: this.#ticks,
      violations: this.#violations
    }
  }

  /** Visits the next state of this tick. Returns whether there was one. */
  visitNext(): boolean {
    const at = this.#takeNext()
    if (at === undefined) {
      return false
    }
    const world = this.#worldAt(at)
    if (this.#mayGoOn(at, world)) {
      this.#visited.push(at)
      this.#tryMoves(at, world)
    }
    return true
  }

  /** Lets a tick pass in all states that were visited. Returns whether that leads to new ones. */
  tick(): boolean {
    const first = this.#store.size
    const index = this.#model.moves.length
    for (const at of this.#visited) {
      const after = this.#model.after(this.#worldAt(at), Model.tick)
      if (after !== undefined) {
        const size = this.#store.size
        if (this.#add(after) === size) {
          this.#store.link(size, at, index)
        }
      }
    }
    const end = this.#store.size
    this.#visited = []
    this.#reached = []
    this.#nextReached = 0
    this.#seeds = { first, next: first, end }
    if (first === end) {
      return false
    }
    this.#isVisited = new Uint8Array(end - first)
    this.#ticks++
    return true
  }

  #worldAt(at: number): Model.World {
    return this.#packing.unpack(this.#store.packed, at * Packing.length)
  }

  /** Of the next seed and the next state that was reached, the one with fewer moves from the start. */
  #takeNext(): number | undefined {
    const { end, first } = this.#seeds
    while (true) {
      const reached = this.#reached[this.#nextReached]
      const seed = this.#seeds.next < end ? this.#seeds.next : undefined
      if (reached === undefined && seed === undefined) {
        return undefined
      }
      const isSeed = reached === undefined ||
        (seed !== undefined && this.#store.depth(seed) <= this.#store.depth(reached))
      const at = isSeed ? this.#seeds.next++ : this.#reached[this.#nextReached++]!
      if (at >= end) {
        return at
      }
      if (this.#isVisited[at - first] === 0) {
        this.#isVisited[at - first] = 1
        return at
      }
    }
  }

  /** Records violated properties. Returns whether all of them are informative. */
  #mayGoOn(at: number, world: Model.World): boolean {
    let mayGoOn = true
    for (const property of properties) {
      if (property.isViolated(this.#model.setup, world)) {
        mayGoOn &&= property.isInformative
        if (!this.#violations.some((violation) => violation.property === property)) {
          const trace = this.#store.trace(at).map((index) => this.#model.moves[index] ?? Model.tick)
          this.#violations.push({ property, ticks: this.#ticks, trace })
        }
      }
    }
    return mayGoOn
  }

  #tryMoves(at: number, world: Model.World): void {
    const moves = this.#model.movesFrom(world)
    for (let i = 0; i < moves.length; i++) {
      const after = this.#model.after(world, moves[i]!)
      if (after !== undefined) {
        this.#reach(after, at, i)
      }
    }
  }

  #reach(world: Model.World, from: number, move: number): void {
    const store = this.#store
    const { end, first } = this.#seeds
    const size = store.size
    const to = this.#add(world)
    // A shorter way to a state where a longer one has led over the tick.
    const isShorter = to >= first && to < end && store.depth(to) > store.depth(from) + 1 && store.isSame(to)
    if (to === size || isShorter) {
      store.link(to, from, move)
      this.#reached.push(to)
    }
  }

  #add(world: Model.World): number {
    this.#packing.pack(world, this.#store.scratch)
    this.#transitions++
    return this.#store.add()
  }
}

/**
 * Goes through every world that can be reached, once.
 *
 * @since 0.1.0
 */
import * as Model from "./Model.ts"
import * as Packing from "./packing.ts"

/**
 * How far an exploration has come.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** Worlds seen so far. */
  readonly states: number
  /** Worlds seen but not yet gone on from. */
  readonly frontier: number
  /** Moves made so far. */
  readonly transitions: number
  /** The ticks that the worlds looked at now are away from the first. */
  readonly ticks: number
  /** What was found so far, in the order of depth. */
  readonly violations: ReadonlyArray<Violation>
}

/**
 * A property that does not hold, and the moves that lead there: of those with the fewest ticks one with the fewest moves.
 *
 * @since 0.1.0
 * @category models
 */
export interface Violation {
  readonly property: Model.Property
  readonly ticks: number
  readonly trace: ReadonlyArray<Model.Move>
}

/**
 * Explores all of a model, tick by tick, and within a tick by the number of moves from the start. Takes a rest after every
 * so many worlds. Nothing that follows upon a violation is explored, nor a world that was found with larger budgets before:
 * all that can follow on it follows on that one, too.
 *
 * @since 0.1.0
 * @category constructors
 */
export function* explore(model: Model.Model, restEvery = 10_000): Generator<Progress, Progress> {
  const packing = Packing.make()
  const tickIndex = model.moves.length
  const store = makeStore((index) => model.moves[index] ?? Model.tick)
  const violations: Array<Violation> = []
  let transitions = 0

  const visit = (world: Model.World): number => {
    packing.pack(world, store.scratch)
    transitions++
    return store.add()
  }

  const look = (at: number, world: Model.World, ticks: number): boolean => {
    let goOn = true
    for (const property of Model.properties) {
      if (property.isViolated(model, world)) {
        goOn &&= property.isInformative
        if (!violations.some((violation) => violation.property === property)) {
          violations.push({ property, ticks, trace: store.trace(at) })
        }
      }
    }
    return goOn
  }

  packing.pack(model.initial, store.scratch)
  store.add()
  let firstSeed = 0
  for (let ticks = 0;; ticks++) {
    // What the tick left, and what is reached from there without another. Both are sorted by the number of moves.
    const lastSeed = store.size()
    const isSettled = new Uint8Array(lastSeed - firstSeed)
    const reached: Array<number> = []
    const settled: Array<number> = []
    const progress = (frontier: number): Progress => ({
      states: store.size(),
      frontier,
      transitions,
      ticks,
      violations
    })
    let seed = firstSeed
    let next = 0
    while (seed < lastSeed || next < reached.length) {
      const at = next === reached.length || (seed < lastSeed && store.depth(seed) <= store.depth(reached[next]!))
        ? seed++
        : reached[next++]!
      if (at < lastSeed) {
        if (isSettled[at - firstSeed] === 1) {
          continue
        }
        isSettled[at - firstSeed] = 1
      }
      const world = packing.unpack(store.packed(), at * Packing.length)
      if (!look(at, world, ticks)) {
        continue
      }
      settled.push(at)
      const moves = model.movesFrom(world)
      for (let i = 0; i < moves.length; i++) {
        const after = model.after(world, moves[i]!)
        if (after === undefined) {
          continue
        }
        const size = store.size()
        const to = visit(after)
        const isNew = to === size
        // A shorter way to a world where a longer one has led over the tick.
        if (isNew || (to >= firstSeed && to < lastSeed && store.depth(to) > store.depth(at) + 1 && store.isSame(to))) {
          store.link(to, at, i)
          reached.push(to)
        }
      }
      if (settled.length % restEvery === 0) {
        yield progress(lastSeed - seed + reached.length - next)
      }
    }
    firstSeed = store.size()
    for (const at of settled) {
      const after = model.after(packing.unpack(store.packed(), at * Packing.length), Model.tick)
      if (after !== undefined) {
        const size = store.size()
        if (visit(after) === size) {
          store.link(size, at, tickIndex)
        }
      }
    }
    if (store.size() === firstSeed) {
      return progress(0)
    }
  }
}

/** Worlds as integers, each with the move that led to it: 24 bytes and a place in a hash table. */
const makeStore = (moveAt: (index: number) => Model.Move) => {
  const width = Packing.length
  const last = width - 1
  const scratch = new Uint32Array(width)
  let size = 0
  let capacity = 1 << 14
  let packed = new Uint32Array(capacity * width)
  let parents = new Uint32Array(capacity)
  let depths = new Uint16Array(capacity)
  let via = new Uint8Array(capacity)
  // Twice as many places as worlds; 0 is free, otherwise one more than the index of a world.
  let places = new Uint32Array(capacity * 2)

  /** Worlds that differ in their budgets alone are in one chain. */
  const hash = (of: Uint32Array, offset: number): number => {
    let h = 0
    for (let i = 0; i < width; i++) {
      h = Math.imul(h ^ (i < last ? of[offset + i]! : of[offset + i]! & ~Packing.budgetBits), 0x9e3779b1)
      h ^= h >>> 15
    }
    h = Math.imul(h, 0x85ebca77)
    return (h ^ (h >>> 13)) & (places.length - 1)
  }

  /** Whether all that can follow on the world in the scratch can follow on a world that is known. */
  const isCovered = (index: number): boolean => {
    for (let i = 0; i < last; i++) {
      if (packed[index * width + i] !== scratch[i]) {
        return false
      }
    }
    const [known, added] = [packed[index * width + last]!, scratch[last]!]
    return known === added || (((known ^ added) & ~Packing.budgetBits) === 0 && Packing.allowsAsMuch(known, added))
  }

  const grow = () => {
    capacity *= 2
    packed = enlarge(packed, capacity * width)
    parents = enlarge(parents, capacity)
    depths = enlarge(depths, capacity)
    via = enlarge(via, capacity)
    places = new Uint32Array(capacity * 2)
    for (let index = 0; index < size; index++) {
      let place = hash(packed, index * width)
      while (places[place] !== 0) {
        place = (place + 1) & (places.length - 1)
      }
      places[place] = index + 1
    }
  }

  return {
    /** Where a world is written before it is added. */
    scratch,
    size: () => size,
    packed: () => packed,
    /** How many moves a world is away from the first. */
    depth: (index: number): number => depths[index]!,
    /** Whether a world that covers the one in the scratch is the same. */
    isSame: (index: number): boolean => packed[index * width + last] === scratch[last],
    /**
     * The index of the world in the scratch, or of one that is the same but for larger budgets, found before. It is the size
     * that was if there is none.
     */
    add: (): number => {
      if (size === capacity) {
        grow()
      }
      let place = hash(scratch, 0)
      while (places[place] !== 0) {
        const index = places[place]! - 1
        if (isCovered(index)) {
          return index
        }
        place = (place + 1) & (places.length - 1)
      }
      places[place] = size + 1
      packed.set(scratch, size * width)
      return size++
    },
    link: (index: number, parent: number, move: number): void => {
      parents[index] = parent
      depths[index] = depths[parent]! + 1
      via[index] = move
    },
    trace: (index: number): ReadonlyArray<Model.Move> => {
      const trace: Array<Model.Move> = []
      for (let at = index; at !== 0; at = parents[at]!) {
        trace.push(moveAt(via[at]!))
      }
      return trace.reverse()
    }
  }
}

const enlarge = <A extends Uint32Array | Uint16Array | Uint8Array>(array: A, length: number): A => {
  const larger = new (array.constructor as new(length: number) => A)(length)
  larger.set(array)
  return larger
}

/**
 * Worlds as a few integers. The parts of worlds that differ are few, so that each gets a number, and a world is the
 * numbers of its parts.
 *
 * @since 0.1.0
 */
import * as Model from "./Model.ts"

/**
 * How many 32-bit integers hold a world.
 *
 * @since 0.1.0
 * @category constants
 */
export const length = 6

/**
 * Which bits of the last integer are budgets.
 *
 * @since 0.1.0
 * @category constants
 */
export const budgetBits = 0xfffff

/** A bit above each budget. */
const carries = 0x88888

/**
 * Whether each budget in the last integer of a world is at least as large as in that of another.
 *
 * @since 0.1.0
 * @category guards
 */
export const allowsAsMuch = (last: number, other: number): boolean =>
  ((((last & budgetBits) | carries) - (other & budgetBits)) & carries) === carries

/**
 * Packs the worlds of one model. Equal integers mean equal worlds; only who packed them can unpack them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Packing {
  readonly pack: (world: Model.World, into: Uint32Array) => void
  readonly unpack: (packed: Uint32Array, offset: number) => Model.World
}

/**
 * A packing that knows no world yet.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Packing => {
  const processes: [Array<Model.Process>, Array<Model.Process>] = [[], []]
  const processNumbers = [new Map<number, number>(), new Map<number, number>()] as const
  const queues: Array<ReadonlyArray<Model.Flight>> = []
  const queueNumbers = new Map<number, number>()

  const packProcess = (side: Model.Side, process: Model.Process): number => {
    const key = processKey(process)
    const known = processNumbers[side].get(key)
    if (known !== undefined) {
      return known
    }
    processNumbers[side].set(key, processes[side].length)
    return processes[side].push(process) - 1
  }

  const packQueue = (queue: ReadonlyArray<Model.Flight>): number => {
    const key = queueKey(queue)
    const known = queueNumbers.get(key)
    if (known !== undefined) {
      return known
    }
    queueNumbers.set(key, queues.length)
    return queues.push(queue) - 1
  }

  return {
    pack: (world, into) => {
      into[0] = packProcess(0, world.processes[0])
      into[1] = packQueue(world.flights[0])
      into[2] = packQueue(world.flights[1])
      into[3] = restKey(world)
      into[4] = packProcess(1, world.processes[1])
      into[5] = connectionKey(world.connections[0]) << 25 | connectionKey(world.connections[1]) << 20 | budgetKey(world)
    },
    unpack: (packed, offset) => {
      const rest = packed[offset + 3]!
      const last = packed[offset + 5]!
      return {
        processes: [processes[0][packed[offset]!]!, processes[1][packed[offset + 4]!]!],
        connections: [connectionAt(last >>> 25), connectionAt(last >>> 20 & 31)],
        flights: [queues[packed[offset + 1]!]!, queues[packed[offset + 2]!]!],
        kills: last & 7,
        stops: last >>> 4 & 7,
        pauses: last >>> 8 & 7,
        cuts: last >>> 12 & 7,
        handovers: last >>> 16 & 7,
        unanswered: rest & 255,
        unproven: [rest >>> 8 & 15, rest >>> 12 & 15],
        rounds: rest >>> 16 & 3,
        isCut: (rest >>> 18 & 1) === 1,
        hasAborted: (rest >>> 19 & 1) === 1,
        hasKeptStaleTerm: (rest >>> 20 & 1) === 1
      }
    }
  }
}

const connectionKey = ({ age, status }: Model.Connection): number => Model.statuses.indexOf(status) << 2 | age

const connections = Model.statuses.flatMap((status) => [0, 1, 2, 3].map((age): Model.Connection => ({ status, age })))

const connectionAt = (key: number): Model.Connection => connections[key]!

const budgetKey = ({ cuts, handovers, kills, pauses, stops }: Model.World): number =>
  kills | stops << 4 | pauses << 8 | cuts << 12 | handovers << 16

const restKey = (world: Model.World): number =>
  world.unanswered |
  world.unproven[0] << 8 |
  world.unproven[1] << 12 |
  world.rounds << 16 |
  Number(world.isCut) << 18 |
  Number(world.hasAborted) << 19 |
  Number(world.hasKeptStaleTerm) << 20

const processKey = ({ evidence, evidenceAge, isOvertaken, node, status }: Model.Process): number =>
  status === "down"
    ? 0
    : 1 | Number(status === "paused") << 1 | evidenceDigit[evidence] << 2 | evidenceAge << 4 |
      Number(isOvertaken) << 6 |
      node.id << 7

const evidenceDigit = { none: 0, fresh: 1, stale: 2 } as const

/** Sixteen to the power of so many is exact as a number. */
const longestQueue = 12

/** Digits behind a leading 1, which tells how many there are. */
const queueKey = (queue: ReadonlyArray<Model.Flight>): number => {
  if (queue.length > longestQueue) {
    throw new RangeError(`more than ${longestQueue} words are under way to one server`)
  }
  let key = 1
  for (const { age, word } of queue) {
    key = key * 16 + wordDigit[word] * 4 + age
  }
  return key
}

const wordDigit = { PRIMARY: 0, BACKUP: 1, ACTIVE: 2, PASSIVE: 3 } as const

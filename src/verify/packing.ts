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
  const queues: Array<ReadonlyArray<Model.Flight>> = []
  const queueNumbers = new Map<number, number>()

  const packProcess = (side: Model.Side, process: Model.Process): number => {
    const key = processKey(process)
    processes[side][key] ??= process
    return key
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
      into[2] = packQueue(world.flights[1]) << 3 | world.handovers
      into[3] = restKey(world)
      into[4] = packProcess(1, world.processes[1])
      into[5] = connectionKey(world.connections[0]) << 5 | connectionKey(world.connections[1])
    },
    unpack: (packed, offset) => {
      const rest = packed[offset + 3]!
      return {
        processes: [processes[0][packed[offset]!]!, processes[1][packed[offset + 4]!]!],
        connections: [connectionAt(packed[offset + 5]! >>> 5), connectionAt(packed[offset + 5]! & 31)],
        flights: [queues[packed[offset + 1]!]!, queues[packed[offset + 2]! >>> 3]!],
        kills: rest & 7,
        stops: rest >>> 3 & 7,
        pauses: rest >>> 6 & 7,
        cuts: rest >>> 9 & 7,
        handovers: packed[offset + 2]! & 7,
        unanswered: rest >>> 12 & 255,
        unproven: [rest >>> 20 & 15, rest >>> 24 & 15],
        rounds: rest >>> 28 & 3,
        isCut: (rest >>> 30 & 1) === 1,
        hasAborted: rest >>> 31 === 1
      }
    }
  }
}

const connectionKey = ({ age, status }: Model.Connection): number => Model.statuses.indexOf(status) << 2 | age

const connections = Model.statuses.flatMap((status) => [0, 1, 2, 3].map((age): Model.Connection => ({ status, age })))

const connectionAt = (key: number): Model.Connection => connections[key]!

const restKey = (world: Model.World): number =>
  world.kills |
  world.stops << 3 |
  world.pauses << 6 |
  world.cuts << 9 |
  world.unanswered << 12 |
  world.unproven[0] << 20 |
  world.unproven[1] << 24 |
  world.rounds << 28 |
  Number(world.isCut) << 30 |
  Number(world.hasAborted) << 31

const processKey = ({ beat, evidence, evidenceAge, member, status }: Model.Process): number =>
  status === "down"
    ? 0
    : 1 | Number(status === "paused") << 1 | evidenceDigit[evidence] << 2 | evidenceAge << 4 | beat << 6 |
      member.id << 9

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

/**
 * States of the world as a few integers. The parts of states that differ are few, so that each part gets a number, and a state is
 * the numbers of its parts.
 */
import * as World from "./world.ts"

/** The number of 32-bit integers that hold a state. */
export const length = 6

/** The bits of the last integer that are budgets. */
export const budgetBits = 0xfffff

/** A bit above each budget. */
const carries = 0x88888

/** Whether each budget in the last integer of a state is at least as large as in that of another. */
export const allowsAsMuch = (last: number, other: number): boolean =>
  ((((last & budgetBits) | carries) - (other & budgetBits)) & carries) === carries

/** Parts of one kind, each with a number. Most states that are packed share parts with the one that was unpacked last. */
class Numbering<A> {
  readonly #keyOf: (value: A) => number
  readonly #numbers = new Map<number, number>()
  readonly #values: Array<A> = []
  #last: A | undefined
  #lastNumber = 0

  constructor(keyOf: (value: A) => number) {
    this.#keyOf = keyOf
  }

  numberOf(value: A): number {
    if (value === this.#last) {
      return this.#lastNumber
    }
    const key = this.#keyOf(value)
    const known = this.#numbers.get(key)
    if (known !== undefined) {
      return known
    }
    this.#numbers.set(key, this.#values.length)
    return this.#values.push(value) - 1
  }

  at(number: number): A {
    this.#lastNumber = number
    return this.#last = this.#values[number]!
  }
}

/** Packs the states of one model: equal integers mean equal states. Only the packing that packed a state can unpack it. */
export class Packing {
  readonly #primaries = new Numbering(processKey)
  readonly #backups = new Numbering(processKey)
  readonly #toPrimary = new Numbering(queueKey)
  readonly #toBackup = new Numbering(queueKey)

  pack(world: World.World, into: Uint32Array): void {
    into[0] = this.#primaries.numberOf(world.processes[0])
    into[1] = this.#toPrimary.numberOf(world.messages[0])
    into[2] = this.#toBackup.numberOf(world.messages[1])
    into[3] = restKey(world)
    into[4] = this.#backups.numberOf(world.processes[1])
    into[5] = connectionKey(world.connections[0]) << 25 | connectionKey(world.connections[1]) << 20 | budgetKey(world)
  }

  unpack(packed: Uint32Array, offset: number): World.World {
    const rest = packed[offset + 3]!
    const last = packed[offset + 5]!
    return {
      processes: [this.#primaries.at(packed[offset]!), this.#backups.at(packed[offset + 4]!)],
      connections: [connections[last >>> 25]!, connections[last >>> 20 & 31]!],
      messages: [this.#toPrimary.at(packed[offset + 1]!), this.#toBackup.at(packed[offset + 2]!)],
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
      hasKeptStaleTerm: (rest >>> 20 & 1) === 1,
      knowsPassive: [(rest >>> 21 & 1) === 1, (rest >>> 22 & 1) === 1]
    }
  }
}

const connectionKey = ({ age, status }: World.Connection): number => World.statuses.indexOf(status) << 2 | age

const connections = World.statuses.flatMap((status) => [0, 1, 2, 3].map((age): World.Connection => ({ status, age })))

const budgetKey = ({ cuts, handovers, kills, pauses, stops }: World.World): number =>
  kills | stops << 4 | pauses << 8 | cuts << 12 | handovers << 16

const restKey = (world: World.World): number =>
  world.unanswered |
  world.unproven[0] << 8 |
  world.unproven[1] << 12 |
  world.rounds << 16 |
  Number(world.isCut) << 18 |
  Number(world.hasAborted) << 19 |
  Number(world.hasKeptStaleTerm) << 20 |
  Number(world.knowsPassive[0]) << 21 |
  Number(world.knowsPassive[1]) << 22

function processKey({ evidence, evidenceAge, isOvertaken, node, status }: World.Process): number {
  return status === "down"
    ? 0
    : 1 | Number(status === "paused") << 1 | evidenceDigit[evidence] << 2 | evidenceAge << 4 |
      Number(isOvertaken) << 6 | node.id << 7
}

const evidenceDigit = { none: 0, fresh: 1, stale: 2 } as const

/** 24 to the power of this length, twice, is exact as a number. */
const longestQueue = 11

/** Digits behind a leading 1, which marks how many there are. */
function queueKey(queue: ReadonlyArray<World.Message>): number {
  if (queue.length > longestQueue) {
    throw new RangeError(`more than ${longestQueue} messages are under way to one server`)
  }
  let key = 1
  for (const { age, kind } of queue) {
    key = key * 24 + kindDigit[kind] * 4 + age
  }
  return key
}

const kindDigit = { PRIMARY: 0, BACKUP: 1, ACTIVE: 2, PASSIVE: 3, HANDS_OVER: 4, HANDS_OVER_LATE: 5 } as const

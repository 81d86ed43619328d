/**
 * A state of two members with a witness as a few integers, and what can happen to it. Everything on the three links may be late by
 * any time, overtake, or be lost: every cut, one way or both, and every slow or dead witness is in here without being named.
 *
 * Reductions, each to the worst for safety: an acknowledgement, a look at the record, a renewal that is not late and a refusal take
 * effect at the earliest moment they could, and their time is counted from then. The roles decide nothing about safety, so the two
 * sides are symmetric.
 */
import type { Question } from "../../protocol/Heartbeat.ts"
import { type Graph, type Node, oldest, type Put, type Reaction, type RelativeRecord, type Said } from "./witnessNode.ts"

export type Side = 0 | 1

/** Fields of one side: its process, its node, the heartbeat that it said last, and its questions to the witness. */
const width = 6
const [ST, N, WORD, ASKED, REPLY, LATE] = [0, 1, 2, 3, 4, 5] as const
/** The record and the largest term that has served; how often each budget was used. */
const [EXISTS, STEP, HOLDER, RELEASED, MAX, KILLS, PAUSES, HANDOVERS, STOPS] = [12, 13, 14, 15, 16, 17, 18, 19, 20] as const

export const length = 21

export type State = Int32Array

const down = 0
const running = 1
const paused = 2

/** The holder of the record if it is no process that exists. */
const dead = 2

/** Questions and replies: one whose version is not that of the record any more, and one whose version is. */
const stale = 1
const current = 2

export interface Budgets {
  readonly kills: number
  readonly pauses: number
  readonly handovers: number
  readonly stops: number
}

/** A model whose options are resolved. */
export interface Setup {
  readonly graph: Graph
  readonly budgets: Budgets
}

export const initial = (): State => new Int32Array(length)

const at = (side: Side, field: number): number => side * width + field
const other = (side: Side): Side => side === 0 ? 1 : 0

// ---- heartbeats under way: 16 bits

const questions: ReadonlyArray<Question> = ["Serve", "Resume", "Stand"]
const present = 1 << 15
const isVoid = 1 << 14
const senderDead = 1 << 13
const handsOver = 1 << 12
const ageBits = 7
const termShift = 5

const termCode = (term: Said["term"]): number => {
  if (term === undefined) {
    return 0
  }
  if (term.step > 15 || term.behind > oldest || term.behind < 0) {
    throw new RangeError("a term is out of the range of the model")
  }
  return 1 + term.behind * 16 + term.step
}

const termOf = (code: number): Said["term"] =>
  code === 0 ? undefined : { behind: (code - 1) >> 4, step: (code - 1) & 15 }

const olderTerm = (code: number): number => code === 0 || code > oldest * 16 ? code : code + 16

const wordOf = (said: Said): number =>
  present | (said.handsOver ? handsOver : 0) |
  (said.question === undefined ? 3 : questions.indexOf(said.question)) << 3 | termCode(said.term) << termShift

const saidOf = (word: number): Said => ({
  question: questions[word >> 3 & 3],
  term: termOf(word >> termShift & 127),
  handsOver: (word & handsOver) !== 0
})

// ---- terms of the record

const lateOf = ({ isReleased, isTake, step }: Put, isDead: boolean): number =>
  1 | Number(isTake) << 1 | step << 2 | Number(isReleased) << 6 | Number(isDead) << 7

/** The record gets another version. */
const change = ({ graph: { nodes } }: Setup, state: State): void => {
  for (const side of sides) {
    state[at(side, N)] = nodes[state[at(side, N)]!]!.stale().id
    outdate(state, side)
  }
}

const outdate = (state: State, side: Side): void => {
  state[at(side, ASKED)] = Math.min(state[at(side, ASKED)]!, stale)
  state[at(side, REPLY)] = Math.min(state[at(side, REPLY)]!, stale)
  state[at(side, LATE)] = 0
}

/** The record gets a larger number. */
const raise = ({ graph: { nodes } }: Setup, state: State): void => {
  for (const side of sides) {
    state[at(side, N)] = nodes[state[at(side, N)]!]!.older().id
    outdate(state, side)
    const word = state[at(side, WORD)]!
    if (word !== 0) {
      const term = olderTerm(word >> termShift & 127)
      state[at(side, WORD)] = word & ~(127 << termShift) | term << termShift
    }
  }
  state[MAX] = olderTerm(state[MAX]!)
}

const swap = (setup: Setup, state: State, holder: number, { isReleased, isTake, step }: Put): void => {
  if (isTake) {
    raise(setup, state)
  } else {
    change(setup, state)
  }
  state[EXISTS] = 1
  state[STEP] = step
  state[HOLDER] = holder
  state[RELEASED] = Number(isReleased)
}

const recordKey = (state: State, side: Side): number =>
  state[EXISTS] === 0 ? 0 : 1 | Number(state[HOLDER] === side) << 1 | state[RELEASED]! << 2 | state[STEP]! << 3

const recordOf = (key: number): RelativeRecord | undefined =>
  key === 0 ? undefined : { isOwn: (key & 2) !== 0, isReleased: (key & 4) !== 0, step: key >> 3 }

// ---- members

const nodeAt = ({ graph: { nodes } }: Setup, state: State, side: Side): Node => nodes[state[at(side, N)]!]!

/** Carries out a reaction. */
const follow = (setup: Setup, state: State, side: Side, reaction: Reaction): void => {
  if (reaction.forgets) {
    const { put } = nodeAt(setup, state, side)
    if (state[at(side, ASKED)] === current) {
      state[at(side, LATE)] = lateOf(put!, false)
    }
    state[at(side, ASKED)] = 0
    state[at(side, REPLY)] = 0
  }
  if (reaction.voids && state[at(side, WORD)] !== 0) {
    state[at(side, WORD)]! |= isVoid
  }
  state[at(side, N)] = reaction.node.id
  if (reaction.asks !== "no") {
    state[at(side, ASKED)] = reaction.asks === "current" ? current : stale
    state[at(side, REPLY)] = 0
  }
  if (reaction.final !== undefined) {
    state[at(side, WORD)] = state[at(other(side), ST)] === down ? 0 : wordOf(reaction.final)
  }
}

/** What only depends on the node, with the key of its reaction. */
const simple = {
  Refused: "R",
  Vote: "V",
  NoAnswer: "N",
  Lapse: "L",
  HandOver: "H",
  Drained: "D",
  TermEnded: "T",
  Leave: "E",
  Bound: "B",
  Stop: "S"
} as const

const on = (node: Node, _tag: keyof typeof simple): Reaction => node.on(simple[_tag], () => ({ _tag }))

const doIfEffective = (setup: Setup, state: State, side: Side, tag: keyof typeof simple): boolean => {
  const reaction = on(nodeAt(setup, state, side), tag)
  if (!reaction.isEffective) {
    return false
  }
  follow(setup, state, side, reaction)
  return true
}

const end = (setup: Setup, state: State, side: Side): void => {
  const { put } = nodeAt(setup, state, side)
  if (state[at(side, ASKED)] === current) {
    state[at(side, LATE)] = lateOf(put!, true)
  } else if (state[at(side, LATE)] !== 0) {
    state[at(side, LATE)]! |= 1 << 7
  }
  state[at(side, ASKED)] = 0
  state[at(side, REPLY)] = 0
  state[at(side, ST)] = down
  state[at(side, N)] = 0
  if (state[at(side, WORD)] !== 0) {
    state[at(side, WORD)]! |= senderDead
  }
  // A heartbeat counts only for the process that it names (R4).
  state[at(other(side), WORD)] = 0
  if (state[HOLDER] === side && state[EXISTS] === 1) {
    state[HOLDER] = dead
  }
}

const say = (setup: Setup, state: State, side: Side, seeks: boolean): boolean => {
  const said = nodeAt(setup, state, side).said(seeks)
  const word = state[at(side, WORD)]!
  if (
    state[at(side, ST)] !== running || state[at(other(side), ST)] === down || said === undefined ||
    (seeks && said.question !== "Stand")
  ) {
    return false
  }
  const next = wordOf(said)
  if (word === next) {
    return false
  }
  state[at(side, WORD)] = next
  return true
}

const hear = (setup: Setup, state: State, side: Side, isAnswered: boolean): boolean => {
  const sender = other(side)
  const word = state[at(sender, WORD)]!
  if (state[at(side, ST)] !== running || word === 0) {
    return false
  }
  const age = word & ageBits
  const content = word & ~(isVoid | senderDead)
  state[at(sender, WORD)] = 0
  const reaction = nodeAt(setup, state, side).on(`h${content}`, () => ({ _tag: "Hear", said: saidOf(content), age }))
  const isAcknowledged = reaction.isPromised && (word & (isVoid | senderDead)) === 0 && state[at(sender, ST)] !== down
  if (isAnswered && !isAcknowledged) {
    return false
  }
  follow(setup, state, side, reaction)
  if (isAnswered) {
    const question = questions[word >> 3 & 3]!
    const node = nodeAt(setup, state, sender)
    if (state[at(sender, ST)] === paused && node.isLapsed) {
      return false
    }
    follow(setup, state, sender, node.on(`p${word & 31}`, () => ({ _tag: "Promised", question, age })))
  }
  return true
}

const isRefusing = (setup: Setup, state: State, side: Side): boolean =>
  state[at(side, ST)] === down || nodeAt(setup, state, side).isClosed

/**
 * What can happen, each to one side, apart from the passing of time. Each changes the state, and returns whether it was possible.
 */
export const moves = {
  say: (setup: Setup, state: State, side: Side) => say(setup, state, side, false),
  stand: (setup: Setup, state: State, side: Side) => say(setup, state, side, true),
  receiveAndAcknowledge: (setup: Setup, state: State, side: Side) => hear(setup, state, side, true),
  receive: (setup: Setup, state: State, side: Side) => hear(setup, state, side, false),
  refused: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && isRefusing(setup, state, other(side)) &&
    nodeAt(setup, state, side).evidenceTicks < setup.graph.rightTicks &&
    doIfEffective(setup, state, side, "Refused"),
  vote: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && doIfEffective(setup, state, side, "Vote"),
  beat: (setup: Setup, state: State, side: Side) => {
    if (state[at(side, ST)] !== running) {
      return false
    }
    const key = recordKey(state, side)
    const reaction = nodeAt(setup, state, side).on(`b${key}`, () => ({ _tag: "Beat", record: recordOf(key) }))
    if (!reaction.isEffective) {
      return false
    }
    follow(setup, state, side, reaction)
    return true
  },
  giveUp: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).put?.isTake === true &&
    doIfEffective(setup, state, side, "NoAnswer"),
  execute: (setup: Setup, state: State, side: Side) => {
    if (state[at(side, ASKED)] !== current) {
      return false
    }
    state[at(side, ASKED)] = 0
    swap(setup, state, side, nodeAt(setup, state, side).put!)
    state[at(side, REPLY)] = current
    return true
  },
  conflict: (setup: Setup, state: State, side: Side) => {
    if (state[at(side, ASKED)] !== stale || state[at(side, ST)] !== running) {
      return false
    }
    state[at(side, ASKED)] = 0
    const key = recordKey(state, side)
    follow(
      setup,
      state,
      side,
      nodeAt(setup, state, side).on(`c${key}`, () => ({ _tag: "Conflict", record: recordOf(key) }))
    )
    return true
  },
  executeLate: (setup: Setup, state: State, side: Side) => {
    const late = state[at(side, LATE)]!
    if (late === 0) {
      return false
    }
    const put = { isTake: (late & 2) !== 0, step: late >> 2 & 15, isReleased: (late >> 6 & 1) !== 0 }
    swap(setup, state, (late >> 7) === 1 ? dead : side, put)
    return true
  },
  answered: (setup: Setup, state: State, side: Side) => {
    const reply = state[at(side, REPLY)]!
    if (reply === 0 || state[at(side, ST)] !== running) {
      return false
    }
    state[at(side, REPLY)] = 0
    const isCurrent = reply === current
    follow(setup, state, side, nodeAt(setup, state, side).on(`s${reply}`, () => ({ _tag: "Swapped", isCurrent })))
    return true
  },
  bound: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).isClosed && doIfEffective(setup, state, side, "Bound"),
  leave: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).member.protocol.state === "HANDING_OVER" &&
    doIfEffective(setup, state, side, "Leave"),
  drained: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).member.phase._tag === "Draining" &&
    doIfEffective(setup, state, side, "Drained"),
  termEnded: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).member.phase._tag === "EndingTerm" &&
    doIfEffective(setup, state, side, "TermEnded"),
  handOver: (setup: Setup, state: State, side: Side) => {
    if (
      state[HANDOVERS]! >= setup.budgets.handovers || state[at(side, ST)] !== running ||
      !doIfEffective(setup, state, side, "HandOver")
    ) {
      return false
    }
    state[HANDOVERS]!++
    return true
  },
  stop: (setup: Setup, state: State, side: Side) => {
    if (state[STOPS]! >= setup.budgets.stops || state[at(side, ST)] !== running) {
      return false
    }
    state[STOPS]!++
    follow(setup, state, side, on(nodeAt(setup, state, side), "Stop"))
    end(setup, state, side)
    return true
  },
  kill: (setup: Setup, state: State, side: Side) => {
    if (state[KILLS]! >= setup.budgets.kills || state[at(side, ST)] === down) {
      return false
    }
    state[KILLS]!++
    end(setup, state, side)
    return true
  },
  start: (setup: Setup, state: State, side: Side) => {
    if (state[at(side, ST)] !== down) {
      return false
    }
    state[at(side, ST)] = running
    state[at(side, N)] = setup.graph.started.id
    return true
  },
  pause: (setup: Setup, state: State, side: Side) => {
    if (state[PAUSES]! >= setup.budgets.pauses || state[at(side, ST)] !== running) {
      return false
    }
    state[PAUSES]!++
    state[at(side, ST)] = paused
    return true
  },
  resume: (setup: Setup, state: State, side: Side) => {
    if (state[at(side, ST)] !== paused) {
      return false
    }
    state[at(side, ST)] = running
    lapse(setup, state, side)
    return true
  }
} as const satisfies { readonly [name: string]: (setup: Setup, state: State, side: Side) => boolean }

export type MoveName = keyof typeof moves

export const moveNames = Object.keys(moves) as ReadonlyArray<MoveName>

/** A member whose last right has ended ceases to be active as soon as it runs. */
const lapse = (setup: Setup, state: State, side: Side): void => {
  const node = nodeAt(setup, state, side)
  if (node.isLapsed) {
    follow(setup, state, side, on(node, "Lapse"))
  }
}

/** Half a heartbeat passes. */
export const tick = (setup: Setup, state: State): void => {
  for (const side of sides) {
    if (state[at(side, ST)] !== down) {
      state[at(side, N)] = nodeAt(setup, state, side).afterTick().id
    }
    const word = state[at(side, WORD)]!
    if (word !== 0) {
      state[at(side, WORD)] = (word & ageBits) + 1 >= setup.graph.guardTicks ? 0 : word + 1
    }
  }
  for (const side of sides) {
    if (state[at(side, ST)] === running) {
      lapse(setup, state, side)
    }
  }
}

export const sides = [0, 1] as const

export const serves = (setup: Setup, state: State, side: Side): boolean =>
  state[at(side, ST)] === running && nodeAt(setup, state, side).serves

export type Problem = "two-serve" | "old-term"

/** Negative if the first of two codes of terms is the smaller one. */
const compareTerms = (a: number, b: number): number => {
  if (a === 0 || b === 0) {
    return a - b
  }
  return ((b - 1) >> 4) - ((a - 1) >> 4) || ((a - 1) & 15) - ((b - 1) & 15)
}

const isOldest = (code: number): boolean => code > oldest * 16

/** What is wrong in a state, and keeps the largest term that has served. */
export const check = (setup: Setup, state: State): Problem | undefined => {
  let problem: Problem | undefined = serves(setup, state, 0) && serves(setup, state, 1) ? "two-serve" : undefined
  for (const side of sides) {
    if (!serves(setup, state, side)) {
      continue
    }
    const code = termCode(nodeAt(setup, state, side).term)
    // Terms of the oldest number are not told apart.
    if (code === 0 || (isOldest(code) && isOldest(state[MAX]!))) {
      continue
    }
    const order = compareTerms(code, state[MAX]!)
    problem ??= order < 0 ? "old-term" : undefined
    if (order > 0) {
      state[MAX] = code
    }
  }
  return problem
}

// ---- packing: five integers

export const packedLength = 5

const maxNodes = 1 << 20

const packSides = (state: State, first: Side, into: Uint32Array, offset: number): void => {
  const a = first * width
  const b = other(first) * width
  const requests = (i: number) => state[i + LATE]! | state[i + ASKED]! << 8 | state[i + REPLY]! << 10
  const holder = state[HOLDER] === dead || state[EXISTS] === 0 ? state[HOLDER]! : state[HOLDER]! ^ first
  into[offset] = state[a + N]! | state[a + ST]! << 20
  into[offset + 1] = state[b + N]! | state[b + ST]! << 20
  into[offset + 2] = state[a + WORD]! | state[b + WORD]! << 16
  into[offset + 3] = requests(a) | requests(b) << 12
  into[offset + 4] = state[EXISTS]! | holder << 1 | state[RELEASED]! << 3 | state[STEP]! << 4 | state[MAX]! << 8 |
    state[KILLS]! << 15 | state[PAUSES]! << 18 | state[HANDOVERS]! << 21 | state[STOPS]! << 24
}

const swapped = new Uint32Array(packedLength)

/** Packs a state; of it and the one with its sides swapped, the smaller. Returns whether they were swapped. */
export const pack = (setup: Setup, state: State, into: Uint32Array): boolean => {
  if (setup.graph.nodes.length > maxNodes) {
    throw new RangeError("the members of this model have too many states")
  }
  packSides(state, 0, into, 0)
  packSides(state, 1, swapped, 0)
  for (let i = 0; i < packedLength; i++) {
    if (swapped[i]! !== into[i]!) {
      if (swapped[i]! < into[i]!) {
        into.set(swapped)
        return true
      }
      return false
    }
  }
  return false
}

export const unpack = (packed: Uint32Array, offset: number, state: State): void => {
  for (const side of sides) {
    const i = side * width
    const first = packed[offset + side]!
    const words = packed[offset + 2]!
    const requests = packed[offset + 3]! >>> (12 * side)
    state[i + N] = first & 0xfffff
    state[i + ST] = first >>> 20
    state[i + WORD] = side === 0 ? words & 0xffff : words >>> 16
    state[i + LATE] = requests & 255
    state[i + ASKED] = requests >>> 8 & 3
    state[i + REPLY] = requests >>> 10 & 3
  }
  const rest = packed[offset + 4]!
  state[EXISTS] = rest & 1
  state[HOLDER] = rest >>> 1 & 3
  state[RELEASED] = rest >>> 3 & 1
  state[STEP] = rest >>> 4 & 15
  state[MAX] = rest >>> 8 & 127
  state[KILLS] = rest >>> 15 & 7
  state[PAUSES] = rest >>> 18 & 7
  state[HANDOVERS] = rest >>> 21 & 7
  state[STOPS] = rest >>> 24 & 7
}

/** The state with its sides swapped. */
export const swapSides = (state: State): State => {
  const result = state.slice()
  result.set(state.subarray(0, width), width)
  result.set(state.subarray(width, 2 * width), 0)
  if (state[HOLDER] !== dead && state[EXISTS] === 1) {
    result[HOLDER] = state[HOLDER]! ^ 1
  }
  return result
}

/** A state for people. */
export const describe = (setup: Setup, state: State): ReadonlyArray<string> =>
  sides.map((side) => {
    const status = state[at(side, ST)]!
    if (status === down) {
      return "down"
    }
    const { rights, member } = nodeAt(setup, state, side)
    const ticks = (until: number) => until === Number.POSITIVE_INFINITY ? "∞" : Math.max(0, until / 500)
    const { evidence, peer, witness } = rights.until
    return `${status === paused ? "PAUSED " : ""}${member.protocol.state}${serves(setup, state, side) ? " SERVES" : ""} ${
      member.phase._tag === "Serving" ? "" : `${member.phase._tag} `
    }term ${rights.term === undefined ? "?" : `${rights.term.number}.${rights.term.step}`}${rights.isOwn ? " own" : ""} right ${
      ticks(Math.max(witness, peer))
    } evidence ${ticks(evidence)} guard ${ticks(rights.guardUntil)} follows ${ticks(rights.followsUntil)} observed ${
      rights.observed === undefined ? "-" : `${rights.observed.seen?.version ?? "none"} ${-rights.observed.since / 500}`
    }${rights.request === undefined ? "" : ` asks${rights.request.swap!.isTake ? " TAKE" : ""}${-rights.request.askedAt / 500}`}${
      ["", " (stale)", " (under way)"][state[at(side, ASKED)]!]
    }${state[at(side, REPLY)] === 0 ? "" : " reply under way"}${state[at(side, LATE)] === 0 ? "" : " late swap"}${
      state[at(side, WORD)] === 0 ? "" : ` says ${JSON.stringify(saidOf(state[at(side, WORD)]!))} age ${state[at(side, WORD)]! & 7}`
    }`
  })

/**
 * A state of two members with a witness as a few integers, and what can happen to it. Everything on the three links may be late by
 * any time, overtake, or be lost: every cut, one way or both, and every slow or dead witness is in here without being named.
 *
 * Reductions, each to the worst for safety: an acknowledgement, a look at the record, a renewal that is not late and a refusal take
 * effect at the earliest moment they could, and their time is counted from then. The roles decide nothing about safety, so the two
 * sides are symmetric.
 */
import type { Graph, Node, Put, Reaction } from "./witnessNode.ts"
import * as Stimuli from "./witnessStimuli.ts"
import * as Words from "./witnessWords.ts"

export type Side = 0 | 1

export const sides = [0, 1] as const

/** Fields of one side: its process, its node, the heartbeat that it said last, and its questions to the witness. */
const width = 6
const [ST, N, WORD, ASKED, REPLY, LATE] = [0, 1, 2, 3, 4, 5] as const
/** The record and the largest term that has served; how often each budget was used. */
const [EXISTS, STEP, HOLDER, RELEASED, MAX, KILLS, PAUSES, HANDOVERS, STOPS] = [
  12,
  13,
  14,
  15,
  16,
  17,
  18,
  19,
  20
] as const

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
export const other = (side: Side): Side => side === 0 ? 1 : 0

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
    state[at(side, WORD)] = Words.older(state[at(side, WORD)]!)
  }
  state[MAX] = Words.olderTerm(state[MAX]!)
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

const recordCode = (state: State, side: Side): number =>
  state[EXISTS] === 0 ? 0 : Stimuli.recordCode(state[STEP]!, state[HOLDER] === side, state[RELEASED]!)

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
    state[at(side, WORD)]! |= Words.isVoid
  }
  state[at(side, N)] = reaction.node.id
  if (reaction.asks !== "no") {
    state[at(side, ASKED)] = reaction.asks === "current" ? current : stale
    state[at(side, REPLY)] = 0
  }
  if (reaction.final !== 0) {
    state[at(side, WORD)] = state[at(other(side), ST)] === down ? 0 : reaction.final
  }
}

const doIfEffective = (setup: Setup, state: State, side: Side, code: number): boolean => {
  const reaction = nodeAt(setup, state, side).on(code)
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
    state[at(side, WORD)]! |= Words.isSenderDead
  }
  // A heartbeat counts only for the process that it names (R4).
  state[at(other(side), WORD)] = 0
  if (state[HOLDER] === side && state[EXISTS] === 1) {
    state[HOLDER] = dead
  }
}

const say = (state: State, side: Side, word: number): boolean => {
  if (
    word === 0 || state[at(side, ST)] !== running || state[at(other(side), ST)] === down ||
    state[at(side, WORD)] === word
  ) {
    return false
  }
  state[at(side, WORD)] = word
  return true
}

const hear = (setup: Setup, state: State, side: Side, isAnswered: boolean): boolean => {
  const sender = other(side)
  const word = state[at(sender, WORD)]!
  if (state[at(side, ST)] !== running || word === 0) {
    return false
  }
  const reaction = nodeAt(setup, state, side).on(Stimuli.hear(word))
  if (isAnswered && !(reaction.isPromised && isListening(setup, state, sender, word))) {
    return false
  }
  state[at(sender, WORD)] = 0
  follow(setup, state, side, reaction)
  if (isAnswered) {
    follow(setup, state, sender, nodeAt(setup, state, sender).on(Stimuli.promised(word)))
  }
  return true
}

/** Whether a promise of what a side has said counts there. */
const isListening = (setup: Setup, state: State, side: Side, word: number): boolean => {
  const status = state[at(side, ST)]
  return (word & (Words.isVoid | Words.isSenderDead)) === 0 && status !== down &&
    !(status === paused && nodeAt(setup, state, side).isLapsed)
}

const isRefusing = (setup: Setup, state: State, side: Side): boolean =>
  state[at(side, ST)] === down || nodeAt(setup, state, side).isClosed

/**
 * What can happen, each to one side, apart from the passing of time. Each changes the state, unless it returns that it is not possible.
 */
export const moves = {
  say: (setup: Setup, state: State, side: Side) => say(state, side, nodeAt(setup, state, side).word),
  stand: (setup: Setup, state: State, side: Side) => say(state, side, nodeAt(setup, state, side).seekingWord),
  receiveAndAcknowledge: (setup: Setup, state: State, side: Side) => hear(setup, state, side, true),
  receive: (setup: Setup, state: State, side: Side) => hear(setup, state, side, false),
  refused: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && isRefusing(setup, state, other(side)) &&
    nodeAt(setup, state, side).evidenceTicks < setup.graph.rightTicks &&
    doIfEffective(setup, state, side, Stimuli.code.Refused),
  vote: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && doIfEffective(setup, state, side, Stimuli.code.Vote),
  beat: (setup: Setup, state: State, side: Side) => {
    if (state[at(side, ST)] !== running) {
      return false
    }
    const reaction = nodeAt(setup, state, side).on(Stimuli.beat(recordCode(state, side)))
    if (!reaction.isEffective) {
      return false
    }
    follow(setup, state, side, reaction)
    return true
  },
  giveUp: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).put?.isTake === true &&
    doIfEffective(setup, state, side, Stimuli.code.NoAnswer),
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
    follow(setup, state, side, nodeAt(setup, state, side).on(Stimuli.conflict(recordCode(state, side))))
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
    follow(setup, state, side, nodeAt(setup, state, side).on(Stimuli.swapped(reply === current)))
    return true
  },
  bound: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).isClosed &&
    doIfEffective(setup, state, side, Stimuli.code.Bound),
  leave: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).isHandingOver &&
    doIfEffective(setup, state, side, Stimuli.code.Leave),
  drained: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).phase === "Draining" &&
    doIfEffective(setup, state, side, Stimuli.code.Drained),
  termEnded: (setup: Setup, state: State, side: Side) =>
    state[at(side, ST)] === running && nodeAt(setup, state, side).phase === "EndingTerm" &&
    doIfEffective(setup, state, side, Stimuli.code.TermEnded),
  handOver: (setup: Setup, state: State, side: Side) => {
    if (
      state[HANDOVERS]! >= setup.budgets.handovers || state[at(side, ST)] !== running ||
      !doIfEffective(setup, state, side, Stimuli.code.HandOver)
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
    follow(setup, state, side, nodeAt(setup, state, side).on(Stimuli.code.Stop))
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
    follow(setup, state, side, node.on(Stimuli.code.Lapse))
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
      state[at(side, WORD)] = Words.ageOf(word) + 1 >= setup.graph.guardTicks ? 0 : word + 1
    }
  }
  for (const side of sides) {
    if (state[at(side, ST)] === running) {
      lapse(setup, state, side)
    }
  }
}

/** Questions to the witness, and its answers, are lost. */
export const loseQuestions = (state: State, side: Side): void => {
  state[at(side, ASKED)] = 0
  state[at(side, REPLY)] = 0
  state[at(side, LATE)] = 0
}

/** Lets a process run, whatever it did before, or ends it. */
export const setUp = (setup: Setup, state: State, side: Side, isUp: boolean): void => {
  if (!isUp) {
    return state[at(side, ST)] === down ? undefined : end(setup, state, side)
  }
  if (!moves.start(setup, state, side)) {
    moves.resume(setup, state, side)
  }
}

export const serves = (setup: Setup, state: State, side: Side): boolean =>
  state[at(side, ST)] === running && nodeAt(setup, state, side).serves

export type Problem = "two-serve" | "old-term"

/** What is wrong in a state, and keeps the largest term that has served. */
export const check = (setup: Setup, state: State): Problem | undefined => {
  let problem: Problem | undefined = serves(setup, state, 0) && serves(setup, state, 1) ? "two-serve" : undefined
  for (const side of sides) {
    if (!serves(setup, state, side)) {
      continue
    }
    const code = Words.termCode(nodeAt(setup, state, side).term)
    // Terms of the oldest number are not told apart.
    if (code === 0 || (Words.isOldest(code) && Words.isOldest(state[MAX]!))) {
      continue
    }
    const order = Words.compareTerms(code, state[MAX]!)
    problem ??= order < 0 ? "old-term" : undefined
    if (order > 0) {
      state[MAX] = code
    }
  }
  return problem
}

// ---- packing: five integers

export const packedLength = 5

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

/** Whether the second side is to come first. Where that does not show at once, the packed states are compared. */
const isSecondFirst = (state: State): boolean => {
  const first = state[N]! | state[ST]! << 20
  const second = state[width + N]! | state[width + ST]! << 20
  return first > second
}

/** Packs a state; of it and the one with its sides swapped, always the same. Returns whether they were swapped. */
export const pack = (state: State, into: Uint32Array): boolean => {
  if (isSecondFirst(state)) {
    packSides(state, 1, into, 0)
    return true
  }
  packSides(state, 0, into, 0)
  if (into[0] !== into[1]) {
    return false
  }
  packSides(state, 1, swapped, 0)
  for (let i = 2; i < packedLength; i++) {
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

/** The member of a side, unless it has no process. */
export const nodeOf = (setup: Setup, state: State, side: Side): Node | undefined =>
  state[at(side, ST)] === down ? undefined : nodeAt(setup, state, side)

/** The heartbeat of a side that is under way. */
export const saidBy = (state: State, side: Side): Words.Said | undefined =>
  state[at(side, WORD)] === 0 ? undefined : Words.saidOf(state[at(side, WORD)]!)

/** The term of the record. */
export const recorded = (state: State): Words.RelativeTerm | undefined =>
  state[EXISTS] === 0 ? undefined : { behind: 0, step: state[STEP]! }

/** Whether a move is the execution of a swap with a larger number. */
export const willRaise = (
  setup: Setup,
  state: State,
  move: { readonly name: string; readonly side?: Side }
): boolean => {
  const { name, side } = move
  if (side === undefined) {
    return false
  }
  return name === "execute"
    ? nodeAt(setup, state, side).put?.isTake === true
    : name === "executeLate" && (state[at(side, LATE)]! & 2) !== 0
}

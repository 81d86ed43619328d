/** Heartbeats under way, as 16 bits each. */
import type { Question } from "../../protocol/Heartbeat.ts"

/** Terms of this many numbers before that of the record are told apart. */
export const oldest = 2

/** A term relative to the record: how many numbers it is behind. */
export interface RelativeTerm {
  readonly behind: number
  readonly step: number
}

/** A heartbeat that asks something, or hands over. */
export interface Said {
  readonly question: Question | undefined
  readonly term: RelativeTerm | undefined
  readonly handsOver: boolean
}

const questions: ReadonlyArray<Question> = ["Serve", "Resume", "Stand"]
const present = 1 << 15
/** The sender does not count promises of it any more. */
export const isVoid = 1 << 14
export const isSenderDead = 1 << 13
const handsOver = 1 << 12
const ageBits = 7
const questionShift = 3
const termShift = 5
const termBits = 127 << termShift

/** A term as a number below 64; 0 for none. */
export const termCode = (term: RelativeTerm | undefined): number => {
  if (term === undefined) {
    return 0
  }
  if (term.step > 15 || term.behind > oldest || term.behind < 0) {
    throw new RangeError("a term is out of the range of the model")
  }
  return 1 + term.behind * 16 + term.step
}

/** The same term after the number of the record has grown. */
export const olderTerm = (code: number): number => code === 0 || code > oldest * 16 ? code : code + 16

/** Negative if the first of two terms is the smaller one. */
export const compareTerms = (a: number, b: number): number =>
  a === 0 || b === 0 ? a - b : ((b - 1) >> 4) - ((a - 1) >> 4) || ((a - 1) & 15) - ((b - 1) & 15)

export const isOldest = (code: number): boolean => code > oldest * 16

const termOf = (code: number): RelativeTerm | undefined =>
  code === 0 ? undefined : { behind: (code - 1) >> 4, step: (code - 1) & 15 }

export const of = (said: Said): number =>
  present | (said.handsOver ? handsOver : 0) |
  (said.question === undefined ? questions.length : questions.indexOf(said.question)) << questionShift |
  termCode(said.term) << termShift

export const ageOf = (word: number): number => word & ageBits

export const questionOf = (word: number): Question | undefined => questions[word >> questionShift & 3]

export const saidOf = (word: number): Said => ({
  question: questionOf(word),
  term: termOf((word & termBits) >> termShift),
  handsOver: (word & handsOver) !== 0
})

export const older = (word: number): number =>
  word === 0 ? 0 : word & ~termBits | olderTerm((word & termBits) >> termShift) << termShift

/** Age and question. */
export const askedBits = ageBits | 3 << questionShift

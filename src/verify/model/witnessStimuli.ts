/** What can happen to a member with a witness, each as a number. */
import type { Question } from "../../protocol/Heartbeat.ts"
import * as Words from "./witnessWords.ts"

/** The record as one side sees it. */
export interface RelativeRecord {
  readonly step: number
  readonly isOwn: boolean
  readonly isReleased: boolean
}

export type { RelativeTerm, Said } from "./witnessWords.ts"

export type Stimulus =
  | { readonly _tag: "Hear"; readonly said: Words.Said; readonly age: number }
  | { readonly _tag: "Promised"; readonly question: Question; readonly age: number }
  | { readonly _tag: "Beat" | "Conflict"; readonly record: RelativeRecord | undefined }
  | { readonly _tag: "Swapped"; readonly isCurrent: boolean }
  | {
    readonly _tag:
      | "Refused"
      | "Vote"
      | "NoAnswer"
      | "Lapse"
      | "HandOver"
      | "Drained"
      | "TermEnded"
      | "Leave"
      | "Bound"
      | "Stop"
  }

/** Stimuli without details. */
const simple = [
  "Refused",
  "Vote",
  "NoAnswer",
  "Lapse",
  "HandOver",
  "Drained",
  "TermEnded",
  "Leave",
  "Bound",
  "Stop"
] as const

export const code = Object.fromEntries(simple.map((tag, i) => [tag, i])) as {
  readonly [T in (typeof simple)[number]]: number
}

// Above the codes of the simple ones, the kind is in the bits above 16.
const kind = { hear: 1 << 16, promised: 2 << 16, beat: 3 << 16, conflict: 4 << 16, swapped: 5 << 16 } as const

export const hear = (word: number): number => kind.hear | word & ~(Words.isVoid | Words.isSenderDead)
export const promised = (word: number): number => kind.promised | word & Words.askedBits
export const beat = (record: number): number => kind.beat | record
export const conflict = (record: number): number => kind.conflict | record
export const swapped = (isCurrent: boolean): number => kind.swapped | Number(isCurrent)

export const recordCode = (step: number, isOwn: boolean, isReleased: number): number =>
  1 | Number(isOwn) << 1 | isReleased << 2 | step << 3

const recordOf = (code: number): RelativeRecord | undefined =>
  code === 0 ? undefined : { isOwn: (code & 2) !== 0, isReleased: (code & 4) !== 0, step: code >> 3 }

export const of = (code: number): Stimulus => {
  const details = code & 0xffff
  switch (code & ~0xffff) {
    case kind.hear:
      return { _tag: "Hear", said: Words.saidOf(details), age: Words.ageOf(details) }
    case kind.promised:
      return { _tag: "Promised", question: Words.questionOf(details)!, age: Words.ageOf(details) }
    case kind.beat:
      return { _tag: "Beat", record: recordOf(details) }
    case kind.conflict:
      return { _tag: "Conflict", record: recordOf(details) }
    case kind.swapped:
      return { _tag: "Swapped", isCurrent: details === 1 }
    default:
      return { _tag: simple[code]! }
  }
}

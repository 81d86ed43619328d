/**
 * The right to serve clients. A member of a pair with a witness serves only while it holds a right that one of the two others has
 * given it: the witness by a swap, the peer by a promise, or the peer's host by a refused connection. That is a majority of three.
 *
 * A right lasts for `rightMillis` on the holder's own clock, counted from before the question. Whoever gave it does not let
 * another member take over for `guardMillis`, which is longer, counted from when the question was received. So nothing depends on
 * how late a message is.
 *
 * Every function is pure; `now` is monotonic time in milliseconds. The rules `R1` to `R9` are {@link ruleTexts}.
 */
import type { Heartbeat, Question } from "./Heartbeat.ts"
import type { Role } from "./StateMachine.ts"
import * as Term from "./Term.ts"

/**
 * The rules of rights, by their names in comments, tables and tests.
 *
 * @category constants
 */
export const ruleTexts = {
  R1:
    "own clock: a right counts from before the question; a member that promises counts from when it received the question.",
  R2:
    "guard: without evidence no takeover within two heartbeats of binding the state port, of a promise, or of ceasing to be active.",
  R3:
    "observation: without evidence only a record is replaced that was seen unchanged for two heartbeats, or that is this process's " +
    "own or released. Where there is none, only a member that knows no term begins one: otherwise it is not the pair's record.",
  R4:
    "echo and life: a heartbeat counts by the age of the heartbeat that it echoes, and only for the process that it names.",
  R5: "unsure: a member that has asked for a term and promises gives up what it asked for, and ignores the answer.",
  R6:
    "evidence: a refused connection is a right if the attempt began after the last promise, after this member last ceased to be " +
    "active, and after the last heartbeat received. A member that follows its peer then goes on from its term at once.",
  R7:
    "record: an active member that learns of a larger term steps down, and none goes on with a term that the record has overtaken.",
  R8:
    "without the witness: a member outside its guard may stand; the peer's promise makes it active, without a term. One that was " +
    "active last, and whose peer followed that very term, resumes it.",
  R9:
    "port: a member serves only while its state port is bound. Its guard starts once that is so, and has no end before."
} as const

/**
 * What a witness keeps of a pair: the latest term that it has recorded, and who holds it.
 *
 * @category models
 */
export interface TermRecord extends Term.Term {
  readonly holder: Role
  /** Random id of the holder's process. */
  readonly life: string
  /** Whether the holder has given the term up. */
  readonly isReleased: boolean
}

/**
 * A record with its version. Versions are opaque: only equality counts.
 *
 * @category models
 */
export interface Seen {
  readonly version: string
  readonly record: TermRecord
}

/**
 * Configuration.
 *
 * @category models
 */
export interface Rules {
  readonly role: Role
  readonly life: string
  /** How long a right lasts. */
  readonly rightMillis: number
  /** How long a guard and an observation last. Longer than a right. */
  readonly guardMillis: number
}

/**
 * Who gives a right: the witness, the peer by a promise, the peer's host by a refused connection, or an operator who answers for
 * both.
 *
 * @category models
 */
export type Giver = "witness" | "peer" | "evidence" | "operator"

/**
 * A question to the witness that is not answered yet. `Take` asks for a new term.
 *
 * @category models
 */
export interface Request {
  readonly id: number
  readonly askedAt: number
  readonly swap: { readonly record: TermRecord; readonly isTake: boolean } | undefined
}

/**
 * Memory of the rights of a member. Instants are monotonic, in milliseconds.
 *
 * @category models
 */
export interface Rights {
  readonly isActive: boolean
  /** The term of this member while it is active, else the last one that it had or followed. */
  readonly term: Term.Term | undefined
  /** Whether this member was active last, as far as it knows. */
  readonly isOwn: boolean
  /** The end of each right. */
  readonly until: { readonly [G in Giver]: number }
  /** The end of the guard (R2). */
  readonly guardUntil: number
  /** Until when the last active heartbeat of the peer is recent enough to go on from its term (R6). */
  readonly followsUntil: number
  /** Attempts to connect that began earlier are no evidence (R6). */
  readonly evidenceAfter: number
  /** Promises of the peer count only for heartbeats after this one. */
  readonly promisesAfter: number
  /** The record, and since when it was seen unchanged (R3). */
  readonly observed: { readonly seen: Seen | undefined; readonly since: number } | undefined
  readonly request: Request | undefined
  /** Number of requests to the witness so far. */
  readonly requestCount: number
}

const never = Number.NEGATIVE_INFINITY

const none: Rights["until"] = { witness: never, peer: never, evidence: never, operator: never }

/**
 * A process that has just bound its state port (R2, R9).
 *
 * @category constructors
 */
export const start = ({ guardMillis }: Rules, now: number): Rights => ({
  isActive: false,
  term: undefined,
  isOwn: false,
  until: none,
  guardUntil: now + guardMillis,
  followsUntil: never,
  evidenceAfter: never,
  promisesAfter: 0,
  observed: undefined,
  request: undefined,
  requestCount: 0
})

/**
 * The end of the last right.
 *
 * @category getters
 */
export const endOf = ({ until }: Rights): number => Math.max(until.witness, until.peer, until.evidence, until.operator)

/**
 * Whether the witness is known to have recorded the term of this member.
 *
 * @category guards
 */
export const isRecorded = ({ observed, term }: Rights): boolean =>
  term !== undefined && observed?.seen !== undefined && Term.compare(observed.seen.record, term) === 0

/**
 * Whether a member may serve at `now`.
 *
 * @category guards
 */
export const mayServe = (rights: Rights, now: number): boolean => rights.isActive && now < endOf(rights)

const isTaking = ({ request }: Rights): boolean => request?.swap?.isTake === true

/** The answer to a pending question does not count any more (R5). */
const forget = (rights: Rights): Rights => ({ ...rights, request: undefined })

/** A term that was asked for is given up. */
const forgetTake = (rights: Rights): Rights => isTaking(rights) ? forget(rights) : rights

/** While its state port is closed, the guard of a member has no end (R9). */
const closed = Number.POSITIVE_INFINITY

/**
 * Whether the state port is bound, as far as this member knows (R9).
 *
 * @category guards
 */
export const isBound = ({ guardUntil }: Rights): boolean => guardUntil !== closed

/**
 * The member ceases to be active (R2). `sequence` is that of its last heartbeat: promises for it and for earlier ones are void.
 *
 * @category transitions
 */
export const cease = ({ guardMillis }: Rules, rights: Rights, sequence: number, now: number): Rights => ({
  ...forgetTake(rights),
  isActive: false,
  until: none,
  guardUntil: now + guardMillis,
  evidenceAfter: now,
  promisesAfter: sequence
})

/**
 * The state port of a member that is not active is about to be closed (R9).
 *
 * @category transitions
 */
export const close = (rights: Rights): Rights => ({ ...rights, guardUntil: closed })

/**
 * The state port is bound again (R9). That has to be so already: the guard starts now.
 *
 * @category transitions
 */
export const bind = ({ guardMillis }: Rules, rights: Rights, now: number): Rights =>
  isBound(rights) ? rights : { ...rights, guardUntil: now + guardMillis, evidenceAfter: now }

/**
 * A heartbeat of the peer was received that is not for this process, is too old, or has nothing but a digit: it only outdates
 * evidence.
 *
 * @category transitions
 */
export const receive = (rights: Rights, now: number): Rights => ({
  ...rights,
  evidenceAfter: now,
  // An active member keeps its evidence: a peer that has started since then is in its guard (R2).
  until: rights.isActive ? rights.until : { ...rights.until, evidence: never }
})

const isSame = (a: Term.Term, b: Term.Term | undefined): boolean => b !== undefined && Term.compare(a, b) === 0

/**
 * Whether the record is known to have a larger term than this member, which therefore does not go on with its own (R7).
 *
 * @category guards
 */
export const isBehind = ({ observed, term }: Rights): boolean =>
  term !== undefined && observed?.seen !== undefined && Term.compare(observed.seen.record, term) > 0

/** Whether a question may be promised by a member that is not active (R4, R8). */
const mayPromise = ({ isOwn, term }: Rights, question: Question, asked: Term.Term | undefined): boolean => {
  switch (question) {
    case "Serve":
      return asked === undefined || term === undefined || Term.compare(asked, term) >= 0
    case "Resume":
      return !isOwn && asked !== undefined && term !== undefined && Term.compare(asked, term) === 0
    case "Stand":
      return true
  }
}

/**
 * A question of the peer, in a heartbeat that names this process and echoes one that it sent at `echoAt`, less than `guardMillis`
 * ago. Returns the rights after it, and whether it is promised.
 *
 * @category transitions
 */
export const promise = (
  { guardMillis }: Rules,
  rights: Rights,
  { question, term }: Pick<Heartbeat, "question" | "term">,
  { echoAt, now, sequence }: { readonly echoAt: number; readonly now: number; readonly sequence: number }
): { readonly rights: Rights; readonly isPromised: boolean } => {
  if (rights.isActive || question === undefined || !mayPromise(rights, question, term)) {
    return { rights, isPromised: false }
  }
  const follows = question === "Serve"
    ? {
      term,
      isOwn: false,
      followsUntil: term === undefined
        ? never
        : Math.max(isSame(term, rights.term) && !rights.isOwn ? rights.followsUntil : never, echoAt + guardMillis)
    }
    : {}
  return {
    isPromised: true,
    rights: {
      ...forgetTake(rights),
      ...follows,
      until: none,
      guardUntil: Math.max(rights.guardUntil, now + guardMillis),
      evidenceAfter: now,
      promisesAfter: sequence
    }
  }
}

/**
 * Whether an active member has received that another one is active with a larger term (R7).
 *
 * @category guards
 */
export const isSuperseded = ({ isActive, term }: Rights, other: Term.Term | undefined): boolean =>
  isActive && term !== undefined && other !== undefined && Term.compare(other, term) > 0

/**
 * Whether an active member that an operator has made active has received that its peer is active all the same.
 *
 * @category guards
 */
export const isRefuted = ({ isActive, term, until }: Rights, other: Term.Term | undefined): boolean =>
  isActive && term === undefined && until.operator === Number.POSITIVE_INFINITY && other !== undefined

/**
 * Gives up what this member has asked for, unless it is active. `sequence` is that of its last heartbeat.
 *
 * @category transitions
 */
export const withdraw = (rights: Rights, sequence: number): Rights =>
  rights.isActive ? rights : { ...forgetTake(rights), promisesAfter: sequence }

/**
 * The peer has promised what the heartbeat `sequence` asked, which was sent at `at`.
 *
 * @category transitions
 */
export const promised = (
  { rightMillis }: Rules,
  rights: Rights,
  { at, question, sequence }: {
    readonly sequence: number
    readonly at: number
    readonly question: Question | undefined
  },
  now: number
): Rights => {
  const until = at + rightMillis
  if (sequence <= rights.promisesAfter || question === undefined || until <= now || !isBound(rights)) {
    return rights
  }
  const peer = { ...rights.until, peer: Math.max(rights.until.peer, until), operator: never }
  switch (question) {
    case "Stand":
      return rights.isActive || isTaking(rights) || now < rights.guardUntil
        ? rights
        : { ...rights, isActive: true, term: undefined, isOwn: true, until: peer }
    case "Serve":
    case "Resume":
      if (rights.isActive) {
        return { ...rights, until: peer }
      }
      return rights.isOwn && rights.term !== undefined && !isTaking(rights) && !isBehind(rights)
        ? { ...rights, isActive: true, until: peer }
        : rights
  }
}

/** Whether this member follows its peer, and may go on from that term. */
const mayGoOn = (rights: Rights, term: Term.Term | undefined): term is Term.Term =>
  !rights.isActive && !rights.isOwn && isBound(rights) && !isTaking(rights) && !isBehind(rights) &&
  term !== undefined && isSame(term, rights.term)

const goOn = (rights: Rights, until: Partial<Rights["until"]>): Rights => ({
  ...rights,
  isActive: true,
  isOwn: true,
  term: Term.next(rights.term),
  until: { ...rights.until, ...until }
})

/**
 * The peer's final heartbeat: it has ceased to be active and leaves its term to this member, which it names. That is a promise to
 * the heartbeat that it echoes, sent at `echoAt`.
 *
 * @category transitions
 */
export const takeHandedOver = (
  { rightMillis }: Rules,
  rights: Rights,
  term: Term.Term | undefined,
  { echoAt, now }: { readonly echoAt: number; readonly now: number }
): Rights => mayGoOn(rights, term) && now < echoAt + rightMillis ? goOn(rights, { peer: echoAt + rightMillis }) : rights

/**
 * The peer's host has refused a connection that was attempted at `triedAt` (R6).
 *
 * @category transitions
 */
export const witnessRefusal = ({ rightMillis }: Rules, rights: Rights, triedAt: number): Rights =>
  triedAt <= rights.evidenceAfter || !isBound(rights)
    ? rights
    : { ...rights, until: { ...rights.until, evidence: Math.max(rights.until.evidence, triedAt + rightMillis) } }

/**
 * Goes on from the peer's term, by evidence alone (R6); unchanged if that is not possible.
 *
 * @category transitions
 */
export const takeByEvidence = (rights: Rights, now: number): Rights =>
  now < rights.until.evidence && now < rights.followsUntil && mayGoOn(rights, rights.term) ? goOn(rights, {}) : rights

/**
 * An operator answers for the witness and the peer: neither serves. The right lasts until one of them gives one. There is no term
 * before the witness records one: the peer may have had any that this member does not know.
 *
 * @category transitions
 */
export const takeByOperator = (rights: Rights): Rights => ({
  ...forget(rights),
  isActive: true,
  isOwn: true,
  term: undefined,
  until: { ...rights.until, operator: Number.POSITIVE_INFINITY }
})

/** Whether the record may be replaced without evidence (R3). A pair of which a term is known has a record. */
const isReplaceable = ({ guardMillis, life }: Rules, { observed, term }: Rights, now: number): boolean => {
  const record = observed?.seen?.record
  return record === undefined
    ? term === undefined
    : record.isReleased || record.life === life || now - observed!.since >= guardMillis
}

/**
 * Whether the witness may be asked for a term now.
 *
 * @category guards
 */
export const mayTake = (rules: Rules, rights: Rights, now: number): boolean => {
  const { guardUntil, isActive, observed, term, until } = rights
  if (observed === undefined || isTaking(rights)) {
    return false
  }
  if (isActive) {
    return term === undefined
  }
  return now < until.evidence || (now >= guardUntil && isReplaceable(rules, rights, now))
}

/**
 * Whether a member that wants to be active has to wait for nothing but its guard and its observation.
 *
 * @category guards
 */
export const mayStand = (rights: Rights, now: number): boolean =>
  !rights.isActive && !isTaking(rights) && now >= rights.guardUntil

/** Begins a question to the witness; the answer of an earlier one does not count any more. */
const asking = (rights: Rights, swap: Request["swap"], now: number): Rights & { readonly request: Request } => {
  const id = rights.requestCount + 1
  return { ...rights, requestCount: id, request: { id, askedAt: now, swap } }
}

/**
 * Asks the witness for the record.
 *
 * @category transitions
 */
export const look = (rights: Rights, now: number) => asking(rights, undefined, now)

/**
 * Asks the witness for a new term. `sequence` is that of the last heartbeat.
 *
 * @category transitions
 */
export const take = ({ life, role }: Rules, rights: Rights, sequence: number, now: number) => {
  const number = 1 + Math.max(rights.observed?.seen?.record.number ?? 0, rights.term?.number ?? 0)
  const record: TermRecord = { number, step: 0, holder: role, life, isReleased: false }
  const before = rights.isActive
    ? rights
    : { ...rights, until: { ...rights.until, peer: never }, promisesAfter: sequence }
  return asking(before, { record, isTake: true }, now)
}

/**
 * Records the term of an active member, or that a member which was active has given it up.
 *
 * @category transitions
 */
export const renew = ({ life, role }: Rules, rights: Rights, term: Term.Term, now: number) =>
  asking(
    rights,
    { record: { ...term, holder: role, life, isReleased: !rights.isActive }, isTake: false },
    now
  )

const observe = (rights: Rights, seen: Seen | undefined, now: number): Rights =>
  rights.observed !== undefined && rights.observed.seen?.version === seen?.version
    ? rights
    : { ...rights, observed: { seen, since: now } }

/**
 * The witness has answered a question with the record: the answer to a look, or a conflict.
 *
 * @category transitions
 */
export const seen = (rights: Rights, record: Seen | undefined, now: number): Rights =>
  observe(forget(rights), record, now)

/**
 * The witness has swapped what `request` asked.
 *
 * @category transitions
 */
export const swapped = (
  { guardMillis, rightMillis }: Rules,
  before: Rights,
  { askedAt, swap }: Request & { readonly swap: NonNullable<Request["swap"]> },
  { now, version }: { readonly version: string; readonly now: number }
): Rights => {
  const rights = observe(forget(before), { version, record: swap.record }, now)
  const until = askedAt + rightMillis
  const witness = { ...rights.until, witness: Math.max(rights.until.witness, until), operator: never }
  if (!swap.isTake) {
    return rights.isActive && now < until ? { ...rights, until: witness } : rights
  }
  if (rights.isActive && rights.term !== undefined) {
    return rights
  }
  const { number, step } = swap.record
  const owned = { ...rights, term: { number, step }, isOwn: true }
  if (now < until) {
    return { ...owned, isActive: true, until: witness }
  }
  return rights.isActive ? owned : { ...owned, guardUntil: now + guardMillis }
}

/**
 * The witness has not answered in time. A term that was asked for is given up; the engine may still record it (R5).
 *
 * @category transitions
 */
export const unanswered = forget

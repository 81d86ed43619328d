/** Explorations of two members with a witness, and cores without a rule. */
import * as Core from "../../../src/member/Member.ts"
import type * as Rights from "../../../src/protocol/Rights.ts"
import { explore, type Move, type Progress } from "../../../src/verify/model/WitnessExplore.ts"
import * as Model from "../../../src/verify/model/WitnessModel.ts"

export type Name = Model.Property["name"]

type Member = Core.Member

/** The core whose member is changed before each step. */
export const before = (
  change: (member: Member, inputs: ReadonlyArray<Core.Input>, now: number) => Member
): NonNullable<Model.Options["core"]> => ({
  start: Core.start,
  step: (rules, member, inputs, now) => Core.step(rules, change(member, inputs, now), inputs, now)
})

/** The core whose rights are changed after each step. */
export const after = (
  change: (
    rights: Rights.Rights,
    before: Rights.Rights,
    inputs: ReadonlyArray<Core.Input>,
    now: number
  ) => Rights.Rights
): NonNullable<Model.Options["core"]> => ({
  start: Core.start,
  step: (rules, member, inputs, now) => {
    const { member: next, outputs } = Core.step(rules, member, inputs, now)
    return { member: { ...next, rights: change(next.rights!, member.rights!, inputs, now) }, outputs }
  }
})

export const withRights = (member: Member, change: (rights: Rights.Rights) => Rights.Rights): Member => ({
  ...member,
  rights: change(member.rights!)
})

/** One server starts alone, and serves in a term that the witness has recorded. */
export const alone: ReadonlyArray<Move> = [
  { name: "start", side: 0 },
  { name: "refused", side: 0 },
  { name: "beat", side: 0 },
  { name: "vote", side: 0 },
  { name: "execute", side: 0 },
  { name: "answered", side: 0 },
  { name: "execute", side: 0 }
]

/** Then the other one starts, and follows it. */
export const paired: ReadonlyArray<Move> = [
  ...alone,
  { name: "start", side: 1 },
  { name: "say", side: 0 },
  { name: "receiveAndAcknowledge", side: 1 }
]

/** Then its right ends, while its last heartbeat is under way. */
export const lapsed: ReadonlyArray<Move> = [
  ...paired,
  { name: "beat", side: 1 },
  { name: "tick" },
  { name: "say", side: 0 },
  { name: "tick" },
  { name: "tick" }
]

export interface Options extends Model.Options {
  readonly first?: ReadonlyArray<Move>
  readonly maxStates?: number
  readonly samples?: number
}

/** Shorter times, which are kept in the same order, make fewer states. */
export const short = { right: 2, guard: 3 }

/** Explores until a property is violated, or to the end. */
export const search = ({ first = [], maxStates = 1_000_000, samples = 100, ...options }: Options): Progress => {
  const exploration = explore(Model.make(options), { first, maxStates, samples, yieldEvery: 1000 })
  while (true) {
    const { done, value } = exploration.next()
    if (done === true || value.violations.length > 0) {
      return value
    }
  }
}

export const violated = (options: Options): ReadonlyArray<Name> =>
  search(options).violations.map(({ property }) => property.name)

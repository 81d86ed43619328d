/**
 * The events of a round as text.
 */
import type { Answer } from "./history.ts"
import type { Line, UnexpectedExit } from "./nodes.ts"

/** An event of a round. */
export interface Moment {
  readonly at: number
  readonly who: string
  readonly what: string
}

interface Recorded {
  /** The disturbances. */
  readonly moments: ReadonlyArray<Moment>
  readonly lines: ReadonlyArray<Line>
  readonly exits: ReadonlyArray<UnexpectedExit>
  readonly answers: ReadonlyArray<Answer>
}

/** All events of a round in order. The answers of each process are counted before the next event. */
export const timeline = (
  { answers, exits, lines, moments: disturbances }: Recorded,
  origin: number
): ReadonlyArray<string> => {
  const moments: ReadonlyArray<Moment> = [
    ...disturbances,
    ...lines.map(({ at, incarnation, role, text }) => ({ at, who: `${role}#${incarnation}`, what: `log: ${text}` })),
    ...exits.map(({ at, how, incarnation, role }) => ({ at, who: `${role}#${incarnation}`, what: `ended: ${how}` }))
  ].sort((a, b) => a.at - b.at)
  const rows = [...moments, undefined].flatMap((moment, i) => {
    const from = moments[i - 1]?.at ?? Number.NEGATIVE_INFINITY
    const to = moment?.at ?? Number.POSITIVE_INFINITY
    return [
      ...answered(answers.filter(({ received }) => received >= from && received < to), origin),
      ...moment === undefined ? [] : [moment]
    ]
  })
  return rows.map(({ at, what, who }) => `${(at - origin).toFixed(1).padStart(9)}  ${who.padEnd(12)} ${what}`)
}

/** One line for each process that answered. */
const answered = (answers: ReadonlyArray<Answer>, origin: number): ReadonlyArray<Moment> => {
  const rows = new Map<string, { readonly at: number; readonly until: number; readonly count: number }>()
  for (const { incarnation, received, role } of answers) {
    const who = `${role}#${incarnation}`
    const { at, count } = rows.get(who) ?? { at: received, count: 0 }
    rows.set(who, { at, until: received, count: count + 1 })
  }
  return [...rows].map(([who, { at, count, until }]) => ({
    at,
    who,
    what: `answers ${count} of the observers' requests, the last at ${(until - origin).toFixed(1)}`
  }))
}

/**
 * When a pair with a witness has to answer, and the longest time for which it did not: pure functions. All times are milliseconds of
 * one monotonic clock.
 */

/** A host or one direction of a link, which is up or not. */
export type Fact = string

export interface Change {
  readonly at: number
  readonly fact: Fact
  readonly isUp: boolean
}

export interface Span {
  readonly from: number
  readonly to: number
}

/** The times in which all facts are up. All are at `from`. */
export const spansOf = (
  changes: ReadonlyArray<Change>,
  facts: ReadonlyArray<Fact>,
  { from, to }: Span
): Array<Span> => {
  const down = new Set<Fact>()
  const spans: Array<Span> = []
  let start: number | undefined = from
  for (
    const { at, fact, isUp } of [...changes].filter(({ fact }) => facts.includes(fact)).sort((a, b) => a.at - b.at)
  ) {
    if (isUp) {
      down.delete(fact)
    } else {
      down.add(fact)
    }
    if (down.size > 0 && start !== undefined) {
      spans.push({ from: start, to: at })
      start = undefined
    } else if (down.size === 0 && start === undefined) {
      start = at
    }
  }
  return start === undefined ? spans : [...spans, { from: start, to }]
}

const both = (a: string, b: string): ReadonlyArray<Fact> => [`${a}>${b}`, `${b}>${a}`]

/** Any two of the three that can talk, with a server that clients reach: what must be up so that they have to answer. */
const majorities: ReadonlyArray<ReadonlyArray<Fact>> = [
  ["primary", "witness", ...both("primary", "witness"), ...both("primary", "clients")],
  ["backup", "witness", ...both("backup", "witness"), ...both("backup", "clients")],
  [
    "primary",
    "backup",
    ...both("primary", "backup"),
    ...both("primary", "clients"),
    ...both("backup", "clients")
  ]
]

/** How much of a span lies in others, which do not overlap. */
const shared = (span: Span, others: ReadonlyArray<Span>): number =>
  others.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(to, span.to) - Math.max(from, span.from)), 0)

/** A time without an answer, while the same two of the three could talk. `millis` does not count the stalls of this process. */
export interface Gap extends Span {
  readonly millis: number
}

/** The longest time without an answer, while the same two of the three could talk. */
export const longestGap = (
  changes: ReadonlyArray<Change>,
  answeredAt: ReadonlyArray<number>,
  stalls: ReadonlyArray<Span>,
  whole: Span
): Gap => {
  const sorted = [...answeredAt].sort((a, b) => a - b)
  const gaps = majorities.flatMap((facts) =>
    spansOf(changes, facts, whole).flatMap(({ from, to }) => {
      const times = [from, ...sorted.filter((at) => at > from && at < to), to]
      return times.slice(1).map((at, i) => ({ from: times[i]!, to: at }))
    })
  )
  return gaps.reduce<Gap>((longest, gap) => {
    const millis = gap.to - gap.from <= longest.millis ? 0 : gap.to - gap.from - shared(gap, stalls)
    return millis > longest.millis ? { ...gap, millis } : longest
  }, { from: whole.from, to: whole.from, millis: 0 })
}

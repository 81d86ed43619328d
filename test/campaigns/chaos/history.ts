/**
 * Conclusions from a recorded history: pure functions. All times are milliseconds of one monotonic clock.
 */
import type { Role } from "../../support/processes.ts"
import { other, roles } from "../../support/processes.ts"

/** An answer of one process of a server. It was made between `sent` and `received`. */
export interface Answer {
  readonly role: Role
  readonly incarnation: number
  readonly sent: number
  readonly received: number
}

/** A time in which both servers answered. `from` and `to` are the ends of the answers that prove it. */
export interface DualAnswers {
  readonly from: number
  readonly to: number
  /** How many answers of one server were given between two answers of the other. */
  readonly count: number
}

/**
 * Finds the times in which one server, X, answered while the other, Y, was answering.
 *
 * An answer was made between `sent` and `received`. If X was sent after Y1 was received, and Y2 was sent after X was received,
 * the answers were made in the order Y1, X, Y2. That could be two hand-overs, there and back. But a running server loses its
 * role only by silence, for which its peer waits two heartbeats. The fault is certain if both answers of Y are of one process
 * and at most one heartbeat apart, whatever the delays.
 */
export const dualAnswers = (answers: ReadonlyArray<Answer>, heartbeatMillis: number): ReadonlyArray<DualAnswers> =>
  merge(roles.flatMap((x) => {
    const processes = processesOf(answers.filter(({ role }) => role === other(x))).map(neighbours)
    return answers.filter(({ role }) => role === x).flatMap((answer) => {
      const spans = processes.flatMap((around) => {
        const [before, after] = around(answer)
        return before !== undefined && after !== undefined && after.received - before.sent <= heartbeatMillis
          ? [{ from: before.sent, to: after.received, count: 1 }]
          : []
      })
      return spans.slice(0, 1)
    })
  }))

const processesOf = (answers: ReadonlyArray<Answer>): ReadonlyArray<ReadonlyArray<Answer>> => {
  const processes = new Map<number, Array<Answer>>()
  for (const answer of answers) {
    const known = processes.get(answer.incarnation)
    if (known === undefined) {
      processes.set(answer.incarnation, [answer])
    } else {
      known.push(answer)
    }
  }
  return [...processes.values()]
}

/** For an answer, the closest answers of one process that were certainly made before and after it. */
const neighbours = (answers: ReadonlyArray<Answer>) => {
  const byReceived = [...answers].sort((a, b) => a.received - b.received)
  const bySent = [...answers].sort((a, b) => a.sent - b.sent)
  const latestSent = running(byReceived, (a, b) => a.sent > b.sent)
  const earliestReceived = running([...bySent].reverse(), (a, b) => a.received < b.received).reverse()
  return ({ received, sent }: Answer): readonly [Answer | undefined, Answer | undefined] => [
    latestSent[countWhile(byReceived, (answer) => answer.received <= sent) - 1],
    earliestReceived[countWhile(bySent, (answer) => answer.sent < received)]
  ]
}

/** The best answer so far, at each index. */
const running = (answers: ReadonlyArray<Answer>, isBetter: (a: Answer, b: Answer) => boolean): Array<Answer> => {
  let best = answers[0]!
  return answers.map((answer) => best = isBetter(answer, best) ? answer : best)
}

/** The number of leading elements that hold, by binary search. */
const countWhile = <A>(sorted: ReadonlyArray<A>, holds: (a: A) => boolean): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(sorted[middle]!)) {
      low = middle + 1
    } else {
      high = middle
    }
  }
  return low
}

const merge = (spans: ReadonlyArray<DualAnswers>): ReadonlyArray<DualAnswers> => {
  const merged: Array<DualAnswers> = []
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last !== undefined && span.from <= last.to) {
      merged[merged.length - 1] = {
        from: last.from,
        to: Math.max(last.to, span.to),
        count: last.count + span.count
      }
    } else {
      merged.push(span)
    }
  }
  return merged
}

/** The reply to a user's request: its server and time. */
export interface Served {
  readonly role: Role
  readonly incarnation: number
  readonly at: number
}

/** A signal to the active server. A stopped process may answer after `continuesAt`. */
export interface Blow {
  readonly role: Role
  readonly incarnation: number
  readonly at: number
  readonly continuesAt?: number | undefined
}

/** The first reply after a blow, without replies that its victim had sent before. */
export const firstAfter = (blow: Blow, served: ReadonlyArray<Served>): Served | undefined =>
  served
    .filter(({ at, incarnation, role }) =>
      at > blow.at &&
      (role !== blow.role || incarnation !== blow.incarnation || at > (blow.continuesAt ?? Number.POSITIVE_INFINITY))
    )
    .reduce<Served | undefined>((first, next) => first === undefined || next.at < first.at ? next : first, undefined)

/** The smallest value that at least `share` of all are not above (nearest rank). NaN for no values. */
export const percentile = (values: ReadonlyArray<number>, share: number): number =>
  [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? NaN

const widest = 40

/** A bar for each class of values; each class is twice as wide as the one before it, up from 1. */
export const histogram = (values: ReadonlyArray<number>): ReadonlyArray<string> => {
  const classes = values.map((value) => Math.max(0, Math.ceil(Math.log2(value))))
  const first = Math.min(...classes)
  const counts = Array.from(
    { length: Math.max(...classes, first - 1) - first + 1 || 0 },
    (_, i) => classes.filter((c) => c === first + i).length
  )
  const most = Math.max(...counts)
  return counts.map((count, i) =>
    `<= ${String(2 ** (first + i)).padStart(6)} ${"#".repeat(Math.ceil(count / most * widest)).padEnd(widest)} ${count}`
  )
}

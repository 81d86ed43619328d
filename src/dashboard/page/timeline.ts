/**
 * The transitions of this server, and those of its peer as far as this server observes them.
 */
import * as StateMachine from "../../protocol/StateMachine.ts"
import { unmentionedReason } from "../../status/Reason.ts"
import type { HistoryEntry, NodeStatus } from "../../status/Status.ts"
import type { Cause } from "./causes.ts"
import type { Pair, Server } from "./pair.ts"
import { roles } from "./pair.ts"

export interface Entry {
  readonly role: StateMachine.Role
  readonly at: string
  readonly from: StateMachine.State | null
  /** `null`: neither a status nor a heartbeat of the server is known any more. */
  readonly to: StateMachine.State | null
  readonly cause: Cause | null
  /** The term that begins or ends, if it has a number. */
  readonly term?: HistoryEntry["term"]
  readonly message: string
  readonly explanation: string | null
  readonly reason: string | null
}

export interface Timeline {
  /** The latest first. */
  readonly entries: ReadonlyArray<Entry>
  /** The peer as it was last observed. */
  readonly peer: Server | undefined
}

/** A timeline and the entries that were new to it. */
export interface Added {
  readonly timeline: Timeline
  readonly added: ReadonlyArray<Entry>
}

export const empty: Timeline = { entries: [], peer: undefined }

export const capacity = 200

/** How many entries are shown at first. */
export const latestCount = 5

/** By how much two reports of one transition may differ in time: each converts monotonic time to wall time by itself. */
const sameMillis = 1000

const isSame = (a: Entry, b: Entry): boolean =>
  a.role === b.role && a.from === b.from && a.to === b.to && a.message === b.message &&
  Math.abs(Date.parse(a.at) - Date.parse(b.at)) < sameMillis

export const add = (timeline: Timeline, entries: ReadonlyArray<Entry>): Added => {
  const added = entries.filter((entry) => !timeline.entries.some((known) => isSame(known, entry)))
  const all = added.length === 0
    ? timeline.entries
    : [...timeline.entries, ...added].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, capacity)
  return { timeline: { ...timeline, entries: all }, added }
}

/** The process time at which the state was entered: unlike wall time it is never set. */
const enteredAt = ({ now, since, uptimeMillis }: NodeStatus): number =>
  uptimeMillis - (Date.parse(now) - Date.parse(since))

const reported = (state: StateMachine.State | undefined): StateMachine.PeerState | undefined =>
  state === undefined ? undefined : StateMachine.reportedState[state]

/** Where one of two observations is by heartbeats only, the reported states are compared. */
const hasChanged = (before: Server, now: Server): boolean =>
  before.status !== undefined && now.status !== undefined
    ? before.status.pid !== now.status.pid || before.state !== now.state ||
      before.status.message !== now.status.message ||
      Math.abs(enteredAt(before.status) - enteredAt(now.status)) >= sameMillis
    : reported(before.state) !== reported(now.state)

/** The latest entry of a server if that is by heartbeats, which do not tell why. */
const provisionalOf = ({ entries }: Timeline, { role, state }: Server): Entry | undefined => {
  const latest = entries.find((entry) => entry.role === role)
  return latest?.cause === null && latest.to !== null && reported(latest.to) === reported(state) ? latest : undefined
}

/** Adds the status of a server that was observed by heartbeats only, in place of what they told of the same transition. */
const confirm = (timeline: Timeline, peer: Server, entry: Entry): Added => {
  const isKnown = timeline.entries.some((known) => isSame(known, { ...entry, from: known.from }))
  if (isKnown) {
    return { timeline, added: [] }
  }
  const provisional = provisionalOf(timeline, peer)
  const entries = timeline.entries.filter((known) => known !== provisional)
  return add({ ...timeline, entries }, [{ ...entry, from: provisional?.from ?? null }])
}

/** Adds an entry if the peer differs from how it was last observed. Of the first observation only a status is added. */
export const observePeer = (timeline: Timeline, { self, servers }: Pair): Added => {
  const peer = servers[StateMachine.peerOf(self.role)]
  const before = timeline.peer
  const observed = { ...timeline, peer }
  const { problem, role, state = null, status } = peer
  const isChanged = before === undefined ? status !== undefined : hasChanged(before, peer)
  const isConfirmed = before !== undefined && before.status === undefined && status !== undefined
  if (!isChanged && !isConfirmed) {
    return { timeline: observed, added: [] }
  }
  const entry: Entry = status === undefined
    ? {
      role,
      at: self.now,
      from: before?.state ?? null,
      to: state,
      cause: null,
      message: state === null ? "no heartbeats received" : `as received by the ${self.role}`,
      explanation: problem ?? null,
      reason: null
    }
    : {
      role,
      at: status.since,
      from: before?.status?.pid === status.pid ? before.status.state : null,
      to: state,
      cause: status.cause,
      term: status.term ?? null,
      message: status.message,
      explanation: status.explanation,
      reason: status.reason
    }
  const { added, timeline: next } = isChanged ? add(observed, [entry]) : confirm(observed, peer, entry)
  return { timeline: next, added: before === undefined ? [] : added }
}

/** The reason of an operator, unless the message has it already. */
export const reasonNote = (transition: Pick<Entry, "message" | "reason">): string | null => {
  const reason = unmentionedReason(transition)
  return reason === null ? null : `reason: ${reason}`
}

export const sentenceOf = ({ message, role, to }: Entry): string => `The ${role} is now ${to ?? "silent"}: ${message}`

export type LatestMoves = { readonly [R in StateMachine.Role]: Entry | undefined }

/** The latest entry of each server. */
export const latestMoves = ({ entries }: Timeline): LatestMoves => {
  const [primary, backup] = roles.map((role) => entries.find((entry) => entry.role === role))
  return { primary, backup }
}

/** What this member and its peer have sent each other: numbers, echoes, and when a heartbeat was sent that the peer echoes. */
import type { Echo, Question } from "../protocol/Heartbeat.ts"
import type { PeerState } from "../protocol/StateMachine.ts"

/** A heartbeat that this member has sent, at a monotonic time in milliseconds. */
export interface Sent {
  readonly sequence: number
  readonly at: number
  readonly state: PeerState
  readonly question: Question | undefined
}

export interface Dialogue {
  /** Number of the last heartbeat of this life. */
  readonly sequence: number
  /** The latest heartbeats, the oldest first. */
  readonly sent: ReadonlyArray<Sent>
  /** The last heartbeat received. */
  readonly received: Echo | undefined
  /** When the latest heartbeat was sent that the peer has echoed. */
  readonly echoedAt: number | undefined
  /** Since when the peer sends heartbeats, but none that echoes one of the last peer timeout. */
  readonly unreceivedSince: number | undefined
}

export const empty: Dialogue = {
  sequence: 0,
  sent: [],
  received: undefined,
  echoedAt: undefined,
  unreceivedSince: undefined
}

/** Heartbeats that are remembered: more than a member sends within a peer timeout. */
const capacity = 32

export const send = (dialogue: Dialogue, heartbeat: Omit<Sent, "sequence">): Dialogue => {
  const sequence = dialogue.sequence + 1
  return { ...dialogue, sequence, sent: [...dialogue.sent.slice(1 - capacity), { ...heartbeat, sequence }] }
}

/** Notes a heartbeat. Returns `undefined` if a later one of the same life was received before. */
export const receive = (dialogue: Dialogue, { life, sequence }: Echo): Dialogue | undefined =>
  dialogue.received?.life === life && dialogue.received.sequence >= sequence
    ? undefined
    : { ...dialogue, received: { life, sequence } }

/** The heartbeat that the peer echoes; `undefined` if it is forgotten, or another life's. */
export const echoed = ({ sent }: Dialogue, life: string, echo: Echo | undefined): Sent | undefined =>
  echo?.life === life ? sent.find(({ sequence }) => sequence === echo.sequence) : undefined

/** Whether all heartbeats from an echoed one on have reported the same state. */
export const hasReportedSince = ({ sent }: Dialogue, { sequence, state }: Sent): boolean =>
  sent.every((later) => later.sequence < sequence || later.state === state)

/** Notes which heartbeat the peer echoes, if any. `unreceivedAt` is now if that is older than a peer timeout. */
export const noteEcho = (
  dialogue: Dialogue,
  echo: Sent | undefined,
  unreceivedAt: number | undefined
): Dialogue => ({
  ...dialogue,
  echoedAt: echo === undefined ? dialogue.echoedAt : Math.max(dialogue.echoedAt ?? echo.at, echo.at),
  unreceivedSince: unreceivedAt === undefined ? undefined : dialogue.unreceivedSince ?? unreceivedAt
})

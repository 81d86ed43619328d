/** What this member and its peer have sent each other: numbers, echoes, and when a heartbeat was sent that the peer echoes. */
import type { Echo, Question } from "../protocol/Heartbeat.ts"

/** A heartbeat that this member has sent, at a monotonic time in milliseconds. */
export interface Sent {
  readonly sequence: number
  readonly at: number
  readonly question: Question | undefined
}

export interface Dialogue {
  /** Number of the last heartbeat of this life. */
  readonly sequence: number
  /** The latest heartbeats, the oldest first. */
  readonly sent: ReadonlyArray<Sent>
  /** The last heartbeat received. */
  readonly received: Echo | undefined
}

export const empty: Dialogue = { sequence: 0, sent: [], received: undefined }

/** Heartbeats that are remembered: more than a member sends within a peer timeout. */
const capacity = 32

export const send = (
  { received, sent, sequence }: Dialogue,
  question: Question | undefined,
  at: number
): Dialogue => ({
  sequence: sequence + 1,
  sent: [...sent.slice(1 - capacity), { sequence: sequence + 1, at, question }],
  received
})

/** Notes a heartbeat. Returns `undefined` if a later one of the same life was received before. */
export const receive = (dialogue: Dialogue, { life, sequence }: Echo): Dialogue | undefined =>
  dialogue.received?.life === life && dialogue.received.sequence >= sequence
    ? undefined
    : { ...dialogue, received: { life, sequence } }

/** The heartbeat that the peer echoes; `undefined` if it is forgotten, or another life's. */
export const echoed = ({ sent }: Dialogue, life: string, echo: Echo | undefined): Sent | undefined =>
  echo?.life === life ? sent.find(({ sequence }) => sequence === echo.sequence) : undefined

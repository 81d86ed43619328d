/** What this member and its peer have sent each other: numbers, echoes, and when a heartbeat was sent that the peer echoes. */
import type { Echo } from "../protocol/Heartbeat.ts"

/** A heartbeat that this member has sent, at a monotonic time in milliseconds. */
interface Sent {
  readonly sequence: number
  readonly at: number
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

export const send = ({ received, sent, sequence }: Dialogue, at: number): Dialogue => ({
  sequence: sequence + 1,
  sent: [...sent.slice(1 - capacity), { sequence: sequence + 1, at }],
  received
})

/** Notes a heartbeat. Returns `undefined` if a later one of the same life was received before. */
export const receive = (dialogue: Dialogue, { life, sequence }: Echo): Dialogue | undefined =>
  dialogue.received?.life === life && dialogue.received.sequence >= sequence
    ? undefined
    : { ...dialogue, received: { life, sequence } }

/** When the heartbeat was sent that the peer echoes; `undefined` if it is forgotten, or another life's. */
export const sentAt = ({ sent }: Dialogue, life: string, echo: Echo | undefined): number | undefined =>
  echo?.life === life ? sent.find(({ sequence }) => sequence === echo.sequence)?.at : undefined

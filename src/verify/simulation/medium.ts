/**
 * The medium of a simulated network: it carries messages as its conditions are. Messages on one link arrive in order and within
 * `delayMillis`, unless the network is faulty: then they are lost, doubled, reordered and delayed.
 */
import type * as Mailbox from "effect/Mailbox"
import type { PCGRandom } from "effect/Utils"
import type { LinkEvent } from "../../ports/PeerLink.ts"
import type { CrashEvidence, Role } from "../../protocol/StateMachine.ts"
import type * as Frames from "../../wire/Frames.ts"
import type { VirtualTime } from "./VirtualTime.ts"

/** The conditions of the network at the moment. */
export interface Conditions {
  /** The longest delay of a message while the network is not faulty. */
  readonly delayMillis: number
  /** Whether messages may be lost, doubled, reordered, and delayed ten times as long. */
  isFaulty: boolean
  /** The directions of the state link that are cut, by the sender. */
  readonly cut: Set<Role>
}

/** The run of one server process, from its start to its end. */
export interface ProcessRun {
  readonly role: Role
  /** Whether the process still runs, or is paused. Messages of one that has ended are lost. */
  readonly isCurrent: () => boolean
  /** Whether the process is paused: its host accepts connections, but no handshake is made. */
  readonly isPaused: () => boolean
}

/** The ports of a server process. */
export interface Endpoint {
  readonly run: ProcessRun
  readonly requests: Mailbox.Mailbox<Frames.Frames>
  readonly messages: Mailbox.Mailbox<Frames.Frames>
  readonly evidence: Mailbox.Mailbox<CrashEvidence>
  readonly events: Mailbox.Mailbox<LinkEvent>
  readonly clients: Map<string, { readonly replies: Link; readonly disconnect: () => void }>
}

/** One direction of a connection, which keeps the order. */
export interface Link {
  busyUntil: number
  readonly deliver: (message: Frames.Frames) => void
}

/** The state of the network of one pair. */
export interface Medium {
  readonly time: VirtualTime
  readonly random: PCGRandom
  readonly conditions: Conditions
  readonly endpoints: { [R in Role]?: Endpoint }
  /** The links on which servers publish, by the sender. A message reaches the process that runs when it arrives. */
  readonly stateLinks: { readonly [R in Role]: Link }
  /** The current connection of each server to its peer. */
  readonly connections: { [R in Role]: number }
  /** The servers whose subscription has arrived at their peer. */
  readonly subscribed: Set<Role>
  lastConnection: number
  /** Messages of an earlier epoch are lost. */
  epoch: number
}

export const makeLink = (deliver: Link["deliver"]): Link => ({ busyUntil: 0, deliver })

export const make = (time: VirtualTime, random: PCGRandom, conditions: Conditions): Medium => {
  const endpoints: Medium["endpoints"] = {}
  return {
    time,
    random,
    conditions,
    endpoints,
    stateLinks: {
      primary: makeLink((message) => endpoints.backup?.messages.unsafeOffer(message)),
      backup: makeLink((message) => endpoints.primary?.messages.unsafeOffer(message))
    },
    connections: { primary: 0, backup: 0 },
    subscribed: new Set(),
    lastConnection: 0,
    epoch: 0
  }
}

/** The delay of the next message. */
export const delay = ({ conditions, random }: Medium): number => random.number() * conditions.delayMillis

const longDelays = 10

/**
 * Carries a message along a link, as the conditions are. A network that is not faulty delivers it only to the connection, named by
 * `connection`, on which it was sent.
 */
export const carry = (medium: Medium, link: Link, message: Frames.Frames, connection?: () => number): void => {
  const { conditions, epoch, random, time } = medium
  const sentOn = connection?.()
  const deliver = () => {
    if (epoch === medium.epoch && (conditions.isFaulty || connection?.() === sentOn)) {
      link.deliver(message)
    }
  }
  if (!conditions.isFaulty) {
    link.busyUntil = Math.max(link.busyUntil, time.now() + delay(medium))
    time.after(link.busyUntil - time.now(), deliver)
    return
  }
  for (let copies = drawCopies(random); copies > 0; copies--) {
    time.after(delay(medium) * (random.number() < 0.3 ? longDelays : 1), deliver)
  }
}

const drawCopies = (random: PCGRandom): number => {
  if (random.number() < 0.1) {
    return 0
  }
  return random.number() < 0.1 ? 2 : 1
}

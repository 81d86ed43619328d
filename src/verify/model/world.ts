/** A state of the world: two processes, the connections between them, messages under way, and what may still happen. */
import * as StateMachine from "../../protocol/StateMachine.ts"
import type { MessageKind } from "./drive.ts"
import type { ReactionNode } from "./reactions.ts"

/** One of the two servers: the primary is 0, the backup 1. */
export type Side = 0 | 1

/** The roles of both sides. */
export const roles = ["primary", "backup"] as const satisfies readonly [StateMachine.Role, StateMachine.Role]

export const sides = [0, 1] as const

export const other = (side: Side): Side => side === 0 ? 1 : 0

/** The process of one side. */
export interface Process {
  readonly status: "down" | "running" | "paused"
  readonly node: ReactionNode
  /** Crash evidence under way: stale if the peer has given a sign of life, or the member has restarted, since it was gathered. */
  readonly evidence: "none" | "fresh" | "stale"
  /** Ticks since the evidence was gathered. */
  readonly evidenceAge: number
  /** Whether the peer has answered while this process, whose member was active, was paused. */
  readonly isOvertaken: boolean
}

/** A message under way, for `age` ticks. One that is older than the delay waits at a paused process. */
export interface Message {
  readonly kind: MessageKind
  readonly age: number
}

/**
 * The connection of one side to its peer's state port: absent, accepted by the peer's host, past its handshake with a
 * subscription under way, or subscribed; or closed by the peer, whose last messages are still to arrive.
 */
export interface Connection {
  readonly status: "down" | "accepted" | "connected" | "subscribed" | "closed"
  /** Ticks that its next step has taken so far. */
  readonly age: number
}

/** Every status of a connection, in the order of its steps. */
export const statuses: ReadonlyArray<Connection["status"]> = ["down", "accepted", "connected", "subscribed", "closed"]

export const disconnected: Connection = { status: "down", age: 0 }

export const subscribed: Connection = { status: "subscribed", age: 0 }

/** The whole world at one instant. */
export interface World {
  readonly processes: readonly [Process, Process]
  /** Messages under way to each side, in the order of their arrival. */
  readonly messages: readonly [ReadonlyArray<Message>, ReadonlyArray<Message>]
  /** The connection of each side to its peer. */
  readonly connections: readonly [Connection, Connection]
  readonly isCut: boolean
  /** Whether each side has received that its peer is passive, from the process that has reported nothing else since. */
  readonly knowsPassive: readonly [boolean, boolean]
  /** Deliveries to each side that end this round of proof. */
  readonly unproven: readonly [number, number]
  /** Rounds of deliveries still needed before the link counts as proven: two after a cut. */
  readonly rounds: number
  readonly kills: number
  readonly stops: number
  readonly pauses: number
  readonly cuts: number
  readonly handovers: number
  /** Ticks for which the required {@link Service} has not been given. */
  readonly unanswered: number
  readonly hasAborted: boolean
  /** Whether a member has kept its term over a stall although its peer has answered meanwhile, on a proven link. */
  readonly hasKeptStaleTerm: boolean
}

/**
 * The service that is required: an answer from one of two members that run on a whole link, or from the only one that runs while
 * the other's process is down or paused.
 */
export type Service = "pair" | "lone"

export const serviceOf = ({ isCut, processes: [primary, backup] }: World): Service | undefined => {
  const isPrimaryRunning = primary.status === "running"
  if (isPrimaryRunning !== (backup.status === "running")) {
    return "lone"
  }
  return isPrimaryRunning && !isCut ? "pair" : undefined
}

/** Whether the state port of a member is closed, because it is handing over. */
export const isPortClosed = ({ node }: Process): boolean =>
  StateMachine.reportedState[node.member.protocol.state] === undefined

/** Whether connections to the state port of a side are refused. */
export const isRefusing = ({ processes }: World, side: Side): boolean =>
  processes[side].status === "down" || isPortClosed(processes[side])

export const isRunning = ({ processes }: World, side: Side): boolean => processes[side].status === "running"

/** A proven link has delivered messages to both sides since it was cut. */
export const isLinkProven = ({ rounds }: World): boolean => rounds === 0

/** The stimulus of a request to a side: a subscriber at its state port shows that its peer may be running. */
export const requestAt = ({ connections }: World, side: Side): "Request" | "WatchedRequest" =>
  connections[other(side)].status === "subscribed" ? "WatchedRequest" : "Request"

/** One model: its budgets, the longest times in it, and the processes as they start. */
import type * as Core from "../../member/Member.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import { life, type MessageKind } from "./drive.ts"
import * as Reactions from "./reactions.ts"
import { type Connection, type Message, type Process, roles, type Service, type Side } from "./world.ts"

/**
 * How far the world may go. Each budget is for the whole pair, up to {@link maxBudget}, and defaults to `0`.
 *
 * @category models
 */
export interface Options {
  readonly policy: StateMachine.Policy
  /** How often a process is killed. */
  readonly kills?: number | undefined
  /** How often a member is stopped by its operator. */
  readonly stops?: number | undefined
  /** How often a process is paused, for any time. */
  readonly pauses?: number | undefined
  /** How often the link between the servers is cut. */
  readonly cuts?: number | undefined
  /** How often an operator hands over. With at least one, a member may be promoted at any time, too. */
  readonly handovers?: number | undefined
  /** The longest delay of a message or of evidence in ticks, up to {@link maxDelay}. Defaults to `1`. */
  readonly delay?: number | undefined
  /** The longest handshake of a new connection in ticks, up to {@link maxHandshake}. Defaults to `2`. */
  readonly handshake?: number | undefined
  /** Whether members look for crash evidence. Defaults to `false`. */
  readonly evidence?: boolean | undefined
  /** What a backup does that has never received from its primary. Defaults to `wait`. */
  readonly lone?: StateMachine.Lone | undefined
  /** How many failovers each member allows, ever. Defaults to no limit. */
  readonly maxFailovers?: number | undefined
  /** The core to be explored. Defaults to the one that runs. */
  readonly core?: Reactions.Core | undefined
  /** Whether messages that have arrived are delivered before a vote, as the core requires (H6). Defaults to `true`. */
  readonly readsLink?: boolean | undefined
}

/** The time between two ticks in milliseconds. */
export const tickMillis = 500

export const heartbeatTicks = 2

/** The largest budget that can be explored. */
export const maxBudget = 7

/** The longest delay that can be explored, in ticks: one heartbeat. */
export const maxDelay = heartbeatTicks

/** The longest handshake that can be explored, in ticks. */
export const maxHandshake = 3

/** The longest drain of a hand-over in ticks. A member that stops drains at once. */
const drainTicks = 1

/** The longest time in ticks until a TCP connection to an open port is accepted. */
const acceptTicks = 1

const peerTimeoutMillis = 2 * heartbeatTicks * tickMillis

/** A model whose options are resolved. Times are in ticks. */
export interface Setup {
  readonly budgets: { readonly [B in "kills" | "stops" | "pauses" | "cuts" | "handovers"]: number }
  readonly delay: number
  /** The age of everything that is late because its receiver is paused. */
  readonly lateAge: number
  readonly evidence: boolean
  readonly readsLink: boolean
  /** The longest time of each step of a connection, by the status before it. */
  readonly stepTicks: { readonly [S in Connection["status"]]: number }
  /** The longest time for which each service may be missing. */
  readonly limits: { readonly [S in Service]: number }
  /** The process of each side when it starts. */
  readonly started: readonly [Process, Process]
  readonly down: readonly [Process, Process]
}

export const make = (options: Options): Setup => {
  const { cuts = 0, delay = 1, evidence = false, handovers = 0, handshake = 2, kills = 0, pauses = 0 } = options
  const budgets = { kills, stops: options.stops ?? 0, pauses, cuts, handovers }
  if (delay > maxDelay || handshake > maxHandshake || Math.max(...Object.values(budgets)) > maxBudget) {
    throw new RangeError(
      `budgets go up to ${maxBudget}, the delay up to ${maxDelay} ticks, the handshake up to ${maxHandshake}`
    )
  }
  // Any longer stall is the same stall. A shorter one is not noticed, and may delay a handshake.
  const stallTicks = Reactions.ticksUntil((ticks) =>
    StateMachine.isStalled({ peerTimeoutMillis }, -ticks * tickMillis, 0)
  )
  const handshakeTicks = handshake + Math.max(1, pauses) * stallTicks
  const start = (side: Side): Process => ({
    status: "running",
    node: Reactions.make(rulesOf(options, side, handshakeTicks), {
      tickMillis,
      remembersPeer: handovers > 0 || options.maxFailovers !== undefined,
      core: options.core
    }),
    evidence: "none",
    evidenceAge: 0,
    isOvertaken: false
  })
  const started = [start(0), start(1)] as const
  return {
    budgets,
    delay,
    lateAge: delay + 1,
    evidence,
    readsLink: options.readsLink ?? true,
    stepTicks: { down: acceptTicks, accepted: handshake, connected: delay, subscribed: 0, closed: 0 },
    limits: limitsOf(delay, handshake, handshakeTicks, handovers > 0),
    started,
    down: [{ ...started[0], status: "down" }, { ...started[1], status: "down" }]
  }
}

/**
 * The service of a pair is missing until a connection is made, a heartbeat published and answered. The peer of a lone member must
 * expire, perhaps after a handshake: twice for a backup that was never active. A hand-over to a peer that is down, or has just
 * started, takes longer.
 */
const limitsOf = (delay: number, handshake: number, handshakeTicks: number, hasHandovers: boolean): Setup["limits"] => {
  const connectionTicks = acceptTicks + handshake + delay
  const timeoutTicks = 2 * heartbeatTicks + 1 + delay
  return {
    pair: connectionTicks + heartbeatTicks + 2 * delay + (hasHandovers ? 4 * timeoutTicks : 0),
    lone: 2 * handshakeTicks + (hasHandovers ? 4 : 2) * timeoutTicks
  }
}

const rulesOf = (
  { evidence = false, handovers = 0, lone = "wait", maxFailovers = Number.POSITIVE_INFINITY, policy }: Options,
  side: Side,
  handshakeTicks: number
): Core.Rules => ({
  role: roles[side],
  policy,
  peerTimeoutMillis,
  handshakeMillis: handshakeTicks * tickMillis,
  lone,
  isSelfVoting: false,
  drainMillis: handovers > 0 ? drainTicks * tickMillis : 0,
  maxFailovers,
  failoverWindowMillis: Number.POSITIVE_INFINITY,
  crashDetection: evidence,
  peerEndpoint: "its peer",
  stateEndpoint: "its state port",
  life,
  fencing: "optional"
})

const aged = (kind: MessageKind): ReadonlyArray<Message> =>
  Array.from({ length: maxDelay + 2 }, (_, age): Message => ({ kind, age }))

// One object for each message, so that equal ones need no allocation.
const messages: { readonly [K in MessageKind]: ReadonlyArray<Message> } = {
  PRIMARY: aged("PRIMARY"),
  BACKUP: aged("BACKUP"),
  ACTIVE: aged("ACTIVE"),
  PASSIVE: aged("PASSIVE"),
  HANDS_OVER: aged("HANDS_OVER"),
  HANDS_OVER_LATE: aged("HANDS_OVER_LATE")
}

export const messageOf = (kind: MessageKind, age: number): Message => messages[kind][age]!

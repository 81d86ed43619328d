/** One form for members whose futures are the same: times are relative to now, and no longer than a decision can depend on them. */
import * as Core from "../../member/Member.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import { inMillis, timing } from "../../protocol/Timing.ts"
import { dialogue } from "./drive.ts"

/** What distinguishes the members of a model. */
export interface Options {
  readonly rules: Core.Rules
  readonly tickMillis: number
  /** The longest stall in ticks that differs from longer ones. */
  readonly longestTicks: number
  /** The peer's last state matters only where a member hands over, or counts failovers. */
  readonly remembersPeer: boolean
}

/** Some time before now, for instants that have not been moved to now. */
export const before = -1

const never = Number.NEGATIVE_INFINITY

/** Whether it matters in this state, or in one that may follow, that the member has received from its peer. */
const usesReceived = (role: StateMachine.Role, state: StateMachine.State): boolean =>
  state === "BACKUP" || state === "PRIMARY" || (state === "ACTIVE" && role === "primary")

/** For an active member, only whether its peer was lost at its last heartbeat matters. */
const deadlineOf = (tickMillis: number, { lastHeartbeatAt, protocol }: Core.Member, now: number): number => {
  if (protocol.state !== "ACTIVE") {
    return Number.isFinite(protocol.peerDeadline) ? Math.max(protocol.peerDeadline - now, -tickMillis) : never
  }
  return StateMachine.isPeerExpired(protocol, lastHeartbeatAt)
    ? never
    : Math.max(protocol.peerDeadline, lastHeartbeatAt) - now
}

const protocolOf = ({ rules, tickMillis }: Options, member: Core.Member, now: number): StateMachine.ProtocolState => {
  const { protocol } = member
  const ticksLeft = Math.floor((protocol.connectionDeadline - now) / tickMillis)
  return {
    ...protocol,
    peerDeadline: deadlineOf(tickMillis, member, now),
    connectionDeadline: ticksLeft < 0 ? never : ticksLeft * tickMillis,
    silentSince: before,
    hasReceived: protocol.hasReceived || !usesReceived(rules.role, protocol.state)
  }
}

const phaseOf = ({ phase }: Core.Member, now: number): Core.Phase => {
  switch (phase._tag) {
    case "Draining":
      return { ...phase, since: 0, until: Math.max(0, phase.until - now) }
    case "EndingTerm":
      return { ...phase, end: 0, since: 0 }
    case "Serving":
    case "Stopped":
      return phase
  }
}

/** The same member with now as 0, without everything that no decision depends on. */
export const of = (options: Options, member: Core.Member, now: number): Core.Member => {
  const { longestTicks, remembersPeer, rules, tickMillis } = options
  const { peer, promotion } = member
  const protocol = protocolOf(options, member, now)
  const isWaiting = Core.isStillWaiting(promotion?.waiting, member.protocol)
  const isBrief = now - member.briefStallAt < inMillis(rules, timing.unproven)
  return {
    protocol,
    phase: phaseOf(member, now),
    wait: undefined,
    peer: peer === undefined || !remembersPeer ? undefined : { state: peer.state, receivedAt: 0, heartbeat: undefined },
    term: undefined,
    rights: undefined,
    witness: { answeredAt: undefined, problem: undefined, fingerprint: undefined },
    wish: undefined,
    rightsWakeAt: never,
    termAfter: 0,
    activeSince: StateMachine.reportedState[protocol.state] === "ACTIVE" ? 0 : undefined,
    dialogue,
    handOverReason: undefined,
    handedOver: undefined,
    peerDownReason: undefined,
    endCount: 0,
    linkEpoch: 0,
    startedAt: 0,
    lastHeartbeatAt: Math.max(member.lastHeartbeatAt - now, -longestTicks * tickMillis),
    briefStallAt: isBrief ? member.briefStallAt - now : never,
    vote: undefined,
    isReading: false,
    promotion: promotion === undefined ? undefined : {
      ...promotion,
      waiting: isWaiting ? protocol : undefined,
      isHeld: false
    },
    paused: undefined,
    failovers: member.failovers.map(() => 0)
  }
}

/** A text that two members in this form have in common only if they are equal. */
export const keyOf = (member: Core.Member): string =>
  JSON.stringify(member, (_, value: unknown) => value === never ? "-Infinity" : value)

/** Votes and promotions: when a member that is not active may become active. */
import * as StateMachine from "../protocol/StateMachine.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { Command, CommandReason, Draft, Input, Member, Phase, Promotion, Rules, TakeoverBlock } from "./data.ts"
import * as FailoverLimit from "./failoverLimit.ts"
import { become } from "./transition.ts"

/** What blocks takeovers at a time, if anything. */
export const blockAt = (rules: Rules, { failovers, paused }: Member, at: number): TakeoverBlock | undefined => {
  if (paused !== undefined) {
    return { _tag: "Paused", ...paused }
  }
  const until = FailoverLimit.limitedUntil(rules, failovers, at)
  return until === undefined ? undefined : { _tag: "Limited", until }
}

const selfVoter = "this server"

/** Outcome of a vote. */
const outcomeOfVote = (
  rules: Rules,
  { protocol }: Member,
  at: number,
  hasSubscriber = false
): StateMachine.Outcome => StateMachine.step(rules, protocol, { _tag: "ClientRequest", now: at, hasSubscriber })

/** Whether the peer may only seem silent: this process stalled briefly, and may not have received pending heartbeats yet. */
const silenceIsUnproven = (rules: Rules, { briefStallAt, lastHeartbeatAt, protocol }: Member, at: number): boolean =>
  Number.isFinite(protocol.peerDeadline) &&
  (StateMachine.isBriefStall(rules, lastHeartbeatAt, at) || at - briefStallAt < inMillis(rules, timing.unproven))

/** Explanation of a takeover: the silence of the peer, or the crash evidence. */
export const silenceOf = ({ peer, peerDownReason, protocol }: Member, at: number): string => {
  if (!Number.isFinite(protocol.peerDeadline) && peerDownReason !== undefined) {
    return peerDownReason
  }
  return peer === undefined
    ? "no heartbeat from the peer yet"
    : `no heartbeat from the peer for ${Math.round(at - peer.receivedAt)} ms`
}

/** Requests that the link is read before a vote or a promotion is decided (H6). */
const readLink = (draft: Draft): void => {
  if (!draft.member.isReading) {
    draft.member = { ...draft.member, isReading: true }
    draft.outputs.push({ _tag: "ReadLink" })
  }
}

const decideAfterRead = (draft: Draft, voter: string): void => {
  draft.member = { ...draft.member, vote: { voter } }
  readLink(draft)
}

/** Logs why the member does not take over although the peer is silent. */
const warnOfSilence = (draft: Draft, at: number, hasSubscriber: boolean): void => {
  const { member, rules } = draft
  const receivedAt = member.peer?.receivedAt ?? member.startedAt
  if (at - receivedAt <= rules.peerTimeoutMillis || !StateMachine.isPeerExpired(member.protocol, at)) {
    return
  }
  const peer = StateMachine.peerOf(rules.role)
  const isBlocked = rules.lone === "serve" && !member.protocol.hasReceived && hasSubscriber
  draft.outputs.push({
    _tag: "Log",
    level: "Warning",
    once: "Silent",
    message:
      `${
        rules.isSelfVoting ? "not taking over" : "votes are rejected"
      }: no heartbeat from the ${peer} at ${rules.peerEndpoint} for ${Math.round((at - receivedAt) / 1000)} s, ` +
      (isBlocked
        ? `but a subscriber is connected to ${rules.stateEndpoint}, so that a ${peer} may be there: check --peer and --state`
        : `waiting for it; start the ${peer}, or bstar promote`)
  })
}

/** A vote is decided once the link has been read, if it would change the state. */
export const onVote = (draft: Draft, { hasSubscriber, voter }: Extract<Input, { _tag: "Vote" }>): void => {
  if (draft.member.phase._tag !== "Serving") {
    return
  }
  const outcome = outcomeOfVote(draft.rules, draft.member, draft.now, hasSubscriber)
  if (outcome.next !== draft.member.protocol) {
    decideAfterRead(draft, voter)
  } else if (outcome.verdict._tag === "Reject") {
    warnOfSilence(draft, draft.now, hasSubscriber)
  }
}

/** Votes on the member's own behalf: always if it is self-voting, otherwise only to continue a wait that has timed out. */
export const voteForItself = (draft: Draft): void => {
  const { member, now, rules } = draft
  if (member.phase._tag !== "Serving") {
    return
  }
  // The read of the link reports whether there is a subscriber. Without clients of its own a vote may depend on that.
  const outcome = outcomeOfVote(rules, member, now, !rules.isSelfVoting)
  if (outcome.next === member.protocol) {
    if (rules.isSelfVoting && outcome.verdict._tag === "Reject") {
      warnOfSilence(draft, now, false)
    }
  } else if (rules.isSelfVoting || outcome.verdict._tag === "Reject") {
    decideAfterRead(draft, selfVoter)
  }
  if (member.promotion !== undefined) {
    readLink(draft)
  }
}

const units = [[3_600_000, "h"], [60_000, "min"], [1000, "s"]] as const

/** Formats a duration in the largest unit that divides it. */
const formatMillis = (millis: number): string => {
  const [size, unit] = units.find(([size]) => millis % size === 0) ?? [1, "ms"]
  return `${millis / size} ${unit}`
}

export const logBlock = (draft: Draft, block: TakeoverBlock, at: number): void => {
  draft.outputs.push(
    block._tag === "Paused"
      ? {
        _tag: "Log",
        level: "Warning",
        once: "Blocked",
        message: `votes are rejected although the peer is silent: paused by an operator (${block.reason})`
      }
      : {
        _tag: "Log",
        level: "Error",
        once: "Blocked",
        message: `more than ${draft.rules.maxFailovers} failovers in ${
          formatMillis(draft.rules.failoverWindowMillis)
        }: votes are rejected for ${Math.ceil((block.until - at) / 1000)} s more; bstar promote overrides`
      }
  )
}

/** Counts a failover, from the peer's last heartbeat. */
export const recordFailover = (draft: Draft, at: number, receivedAt: number): void => {
  draft.member = { ...draft.member, failovers: FailoverLimit.record(draft.rules, draft.member.failovers, at) }
  draft.outputs.push({ _tag: "FailedOver", silentMillis: at - receivedAt })
}

const elect = (draft: Draft, voter: string, at: number, hasSubscriber: boolean): void => {
  const { member, rules } = draft
  const { peer, protocol } = member
  const outcome = outcomeOfVote(rules, member, at, hasSubscriber)
  if (outcome.next === protocol) {
    return outcome.verdict._tag === "Reject" ? warnOfSilence(draft, at, hasSubscriber) : undefined
  }
  if (silenceIsUnproven(rules, member, at)) {
    return
  }
  // A change from one waiting state to another is not a takeover, and the first term is not a failover.
  const isTakeover = outcome.verdict._tag === "Accept"
  const block = isTakeover ? blockAt(rules, member, at) : undefined
  if (block !== undefined && (block._tag === "Paused" || protocol.state !== "PRIMARY")) {
    return logBlock(draft, block, at)
  }
  become(draft, outcome, "ClientRequest", { explanation: `${silenceOf(member, at)}; vote by ${voter}` })
  // After a final heartbeat the takeover was planned, and is not a failover.
  if (isTakeover && peer?.state === "ACTIVE" && protocol.state !== "PRIMARY") {
    recordFailover(draft, at, peer.receivedAt)
  }
}

/** Completes a command, or rejects it. `since` is when the requests of a hand-over began to be rejected. */
export const complete = (
  draft: Draft,
  id: number,
  rejection: CommandReason | undefined,
  since = draft.now
): void => {
  draft.outputs.push({ _tag: "Complete", id, rejection, since })
}

/** Why a member in this phase accepts no command, if so. */
export const rejectionIn = (phase: Phase): CommandReason | undefined => {
  if (phase._tag === "Serving") {
    return undefined
  }
  return phase._tag !== "Stopped" && phase.handOver !== undefined ? "InProgress" : "Interrupted"
}

/** Why a promotion cannot begin now, if so. */
export const rejectionOfPromotion = ({ phase, promotion }: Member): CommandReason | undefined =>
  promotion === undefined ? rejectionIn(phase) : "InProgress"

/** Begins a promotion, unless another command is pending, or the operator answers for a witness that the pair does not have. */
export const onPromote = (
  draft: Draft,
  { id, isSwitchover = false, isWithoutWitness = false, reason }: Extract<Input, { _tag: "Promote" }>
): void => {
  const rejection = rejectionOfPromotion(draft.member) ?? (isWithoutWitness ? "NoWitness" : undefined)
  if (rejection !== undefined) {
    return complete(draft, id, rejection)
  }
  draft.member = {
    ...draft.member,
    promotion: { id, reason, since: draft.now, waiting: undefined, isSwitchover, isHeld: false }
  }
  readLink(draft)
}

export const completePromotion = (draft: Draft, { id }: Command, rejection: CommandReason | undefined): void => {
  draft.member = { ...draft.member, promotion: undefined }
  complete(draft, id, rejection)
}

/** Rejects a pending promotion: by default because the member stops or hands over. */
export const interruptPromotion = (draft: Draft, reason: "Interrupted" | "Replaced" = "Interrupted"): void => {
  const { promotion } = draft.member
  if (promotion !== undefined) {
    completePromotion(draft, promotion, reason)
  }
}

/** Whether the state is still that of the pending promotion: no heartbeat was received. */
export const isStillWaiting = (
  waiting: StateMachine.ProtocolState | undefined,
  protocol: StateMachine.ProtocolState
): boolean =>
  waiting !== undefined && waiting.state === protocol.state && waiting.peerDeadline === protocol.peerDeadline &&
  waiting.connectionDeadline === protocol.connectionDeadline

/** Decides a promotion that does not change the state now: it is done, rejected, or waits until a peer never received is expired. */
const holdPromotion = (draft: Draft, promotion: Promotion, isDone: boolean): void => {
  const { member, rules } = draft
  if (isDone) {
    return completePromotion(draft, promotion, undefined)
  }
  if (isStillWaiting(promotion.waiting, member.protocol)) {
    return
  }
  if (member.protocol.hasReceived || promotion.waiting !== undefined) {
    return completePromotion(draft, promotion, "PeerAlive")
  }
  if (!promotion.isHeld) {
    draft.member = { ...member, promotion: { ...promotion, isHeld: true } }
    draft.outputs.push({
      _tag: "Log",
      level: "Info",
      message:
        `promotion: nothing was received from the peer at ${rules.peerEndpoint} yet, waiting until it counts as lost`
    })
  }
}

const promote = (draft: Draft, promotion: Promotion, at: number): void => {
  const { member, rules } = draft
  const { protocol } = member
  const outcome = StateMachine.step(rules, protocol, { _tag: "Promote", now: at })
  const isDone = outcome.verdict._tag === "Accept"
  if (outcome.next === protocol || silenceIsUnproven(rules, member, at)) {
    return holdPromotion(draft, promotion, isDone && outcome.next === protocol)
  }
  const { isSwitchover, reason } = promotion
  become(draft, outcome, "Promote", { explanation: silenceOf(member, at), reason, isSwitchover })
  if (isDone) {
    completePromotion(draft, promotion, undefined)
  } else {
    draft.member = { ...draft.member, promotion: { ...promotion, waiting: outcome.next } }
  }
}

/** Decides the pending promotion and vote as of the time of the read: later the peer may have sent more. */
export const onLinkRead = (draft: Draft, { at, hasSubscriber }: Extract<Input, { _tag: "LinkRead" }>): void => {
  const { promotion, vote } = draft.member
  draft.member = { ...draft.member, isReading: false, vote: undefined }
  if (draft.member.phase._tag !== "Serving") {
    return
  }
  if (promotion !== undefined) {
    promote(draft, promotion, at)
  }
  if (vote !== undefined) {
    elect(draft, vote.voter, at, hasSubscriber)
  }
}

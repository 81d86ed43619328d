/** Votes and promotions: when a member that does not answer may become active. */
import * as StateMachine from "../protocol/StateMachine.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { Input, Member, Promotion, Rejection, Rules, Turn } from "./data.ts"
import * as FailoverLimit from "./failoverLimit.ts"
import { become } from "./transition.ts"

/** Why votes do not make a member active now. */
export type Block =
  | { readonly _tag: "Paused"; readonly reason: string; readonly since: number }
  | { readonly _tag: "Limited"; readonly until: number }

/** What blocks votes at a time, if anything. */
export const blockAt = (rules: Rules, { failovers, paused }: Member, at: number): Block | undefined => {
  const until = FailoverLimit.limitedUntil(rules, failovers, at)
  return paused !== undefined
    ? { _tag: "Paused", ...paused }
    : until === undefined
    ? undefined
    : { _tag: "Limited", until }
}

const selfVoter = "this server"

/** What the state machine does with a vote. */
const judgeVote = (
  rules: Rules,
  { protocol }: Member,
  at: number,
  hasSubscriber = false
): StateMachine.Outcome => StateMachine.step(rules, protocol, { _tag: "ClientRequest", now: at, hasSubscriber })

/** Whether the peer may only seem silent, because this process did not run a moment ago and has yet to receive something. */
const silenceIsUnproven = (rules: Rules, { briefStallAt, lastHeartbeatAt, protocol }: Member, at: number): boolean =>
  Number.isFinite(protocol.peerDeadline) &&
  (StateMachine.isBriefStall(rules, lastHeartbeatAt, at) || at - briefStallAt < inMillis(rules, timing.unproven))

/** What is known of the peer's silence, for people. */
const silenceOf = ({ peer, peerDownBecause, protocol }: Member, at: number): string =>
  !Number.isFinite(protocol.peerDeadline) && peerDownBecause !== undefined
    ? peerDownBecause
    : peer === undefined
    ? "no heartbeat from the peer yet"
    : `no heartbeat from the peer for ${Math.round(at - peer.receivedAt)} ms`

/** Has the link read, so that a vote or a promotion is judged by all that the peer has sent before (H6). */
const askToRead = (turn: Turn): void => {
  if (!turn.member.isReading) {
    turn.member = { ...turn.member, isReading: true }
    turn.outputs.push({ _tag: "ReadLink" })
  }
}

const request = (turn: Turn, voter: string): void => {
  turn.member = { ...turn.member, vote: { voter } }
  askToRead(turn)
}

/** Tells why votes are refused while the peer sends nothing, which would otherwise go unnoticed. */
const warnOfSilence = (turn: Turn, at: number, hasSubscriber: boolean): void => {
  const { member, rules } = turn
  const receivedAt = member.peer?.receivedAt ?? member.startedAt
  if (at - receivedAt <= rules.peerTimeoutMillis || !StateMachine.isPeerExpired(member.protocol, at)) {
    return
  }
  const peer = StateMachine.peerOf(rules.role)
  const isBlocked = rules.lone === "serve" && !member.protocol.hasReceived && hasSubscriber
  turn.outputs.push({
    _tag: "Log",
    level: "Warning",
    burst: "Silent",
    message:
      `votes are refused: no heartbeat from the ${peer} at ${rules.peerEndpoint} for ${
        Math.round((at - receivedAt) / 1000)
      } s, ` + (isBlocked
        ? `but a subscriber is connected to ${rules.stateEndpoint}, so that a ${peer} may be there: check --peer and --state`
        : `waiting for it; start the ${peer}, or bstar promote`)
  })
}

/** A request that this member does not accept: judged once the link has been read, if it would change anything. */
export const onVote = (turn: Turn, { hasSubscriber, voter }: Extract<Input, { _tag: "Vote" }>): void => {
  if (turn.member.phase._tag !== "Serving") {
    return
  }
  const outcome = judgeVote(turn.rules, turn.member, turn.now, hasSubscriber)
  if (outcome.next !== turn.member.protocol) {
    request(turn, voter)
  } else if (outcome.verdict._tag === "Reject") {
    warnOfSilence(turn, turn.now, hasSubscriber)
  }
}

/** A member that needs no client to go on votes for itself when it has reason to. */
export const voteForItself = (turn: Turn): void => {
  const { member, now, rules } = turn
  if (member.phase._tag !== "Serving") {
    return
  }
  const outcome = judgeVote(rules, member, now, true)
  if (outcome.next !== member.protocol && (rules.isSelfVoting || outcome.verdict._tag === "Reject")) {
    request(turn, selfVoter)
  }
  if (member.promotion !== undefined) {
    askToRead(turn)
  }
}

const units = [[3_600_000, "h"], [60_000, "min"], [1000, "s"]] as const

/** A duration in the largest unit that divides it. */
const inWords = (millis: number): string => {
  const [size, unit] = units.find(([size]) => millis % size === 0) ?? [1, "ms"]
  return `${millis / size} ${unit}`
}

const logBlock = (turn: Turn, block: Block, at: number): void => {
  turn.outputs.push(
    block._tag === "Paused"
      ? {
        _tag: "Log",
        level: "Warning",
        burst: "Held",
        message: `paused by an operator (${block.reason}): votes are refused although the peer is silent`
      }
      : {
        _tag: "Log",
        level: "Error",
        burst: "Held",
        message: `more than ${turn.rules.maxFailovers} failovers in ${
          inWords(turn.rules.failoverWindowMillis)
        }: votes are refused for ${Math.ceil((block.until - at) / 1000)} s more; bstar promote overrides`
      }
  )
}

const elect = (turn: Turn, voter: string, at: number, hasSubscriber: boolean): void => {
  const { member, rules } = turn
  const { peer, protocol } = member
  const outcome = judgeVote(rules, member, at, hasSubscriber)
  if (outcome.next === protocol) {
    return outcome.verdict._tag === "Reject" ? warnOfSilence(turn, at, hasSubscriber) : undefined
  }
  if (silenceIsUnproven(rules, member, at)) {
    return
  }
  // Another way of waiting is no takeover, and becoming active for the first time no failover.
  const isTakeover = outcome.verdict._tag === "Accept"
  const block = isTakeover ? blockAt(rules, member, at) : undefined
  if (block !== undefined && (block._tag === "Paused" || protocol.state !== "PRIMARY")) {
    return logBlock(turn, block, at)
  }
  become(turn, outcome, "ClientRequest", { explanation: `${silenceOf(member, at)}; vote by ${voter}` })
  // After a final heartbeat it was planned.
  if (isTakeover && peer?.state === "ACTIVE" && protocol.state !== "PRIMARY") {
    turn.member = { ...turn.member, failovers: FailoverLimit.record(rules, member.failovers, at) }
    turn.outputs.push({ _tag: "FailedOver", silentMillis: at - peer.receivedAt })
  }
}

/** Begins to promote, if nothing else is under way. */
export const onPromote = (turn: Turn, id: number, reason: string): void => {
  if (turn.member.phase._tag !== "Serving" || turn.member.promotion !== undefined) {
    turn.outputs.push({ _tag: "Complete", id, rejection: "Interrupted", since: turn.now })
    return
  }
  turn.member = { ...turn.member, promotion: { id, reason, waiting: undefined } }
  askToRead(turn)
}

const completePromotion = (turn: Turn, { id }: Promotion, rejection: Rejection | undefined): void => {
  turn.member = { ...turn.member, promotion: undefined }
  turn.outputs.push({ _tag: "Complete", id, rejection, since: turn.now })
}

/** A member that is to stop or to hand over is not promoted any more. */
export const interruptPromotion = (turn: Turn): void => {
  const { promotion } = turn.member
  if (promotion !== undefined) {
    completePromotion(turn, promotion, "Interrupted")
  }
}

/** Whether the member still waits as the promotion has made it wait: nothing was received from the peer. */
export const isStillWaiting = (
  waiting: StateMachine.ProtocolState | undefined,
  protocol: StateMachine.ProtocolState
): boolean =>
  waiting !== undefined && waiting.state === protocol.state && waiting.peerDeadline === protocol.peerDeadline &&
  waiting.connectionDeadline === protocol.connectionDeadline

const promote = (turn: Turn, promotion: Promotion, at: number): void => {
  const { member, rules } = turn
  const { protocol } = member
  const outcome = StateMachine.step(rules, protocol, { _tag: "Promote", now: at })
  const isDone = outcome.verdict._tag === "Accept"
  if (outcome.next === protocol || silenceIsUnproven(rules, member, at)) {
    return isDone && outcome.next === protocol || !isStillWaiting(promotion.waiting, protocol)
      ? completePromotion(turn, promotion, isDone && outcome.next === protocol ? undefined : "PeerAlive")
      : undefined
  }
  become(turn, outcome, "Promote", { explanation: silenceOf(member, at), reason: promotion.reason })
  if (isDone) {
    completePromotion(turn, promotion, undefined)
  } else {
    turn.member = { ...turn.member, promotion: { ...promotion, waiting: outcome.next } }
  }
}

/** What waited for the link to be read is judged by what was known then: had it been later, the peer could have sent more. */
export const onLinkRead = (turn: Turn, { at, hasSubscriber }: Extract<Input, { _tag: "LinkRead" }>): void => {
  const { promotion, vote } = turn.member
  turn.member = { ...turn.member, isReading: false, vote: undefined }
  if (turn.member.phase._tag !== "Serving") {
    return
  }
  if (promotion !== undefined) {
    promote(turn, promotion, at)
  }
  if (vote !== undefined) {
    elect(turn, vote.voter, at, hasSubscriber)
  }
}

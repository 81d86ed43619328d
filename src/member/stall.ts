/** Stalls: this process did not run for so long that what it knew of its peer is void (H4). */
import * as StateMachine from "../protocol/StateMachine.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { Input, Member, Refusal, Rules, Turn, Wait } from "./data.ts"
import { advance, become } from "./transition.ts"

/** What follows from a stall, if there was one and the policy has a rule for it. */
const outcomeOf = (
  rules: Rules,
  { lastHeartbeatAt, protocol }: Member,
  now: number
): StateMachine.Outcome | undefined => {
  if (!StateMachine.isStalled(rules, lastHeartbeatAt, now)) {
    return undefined
  }
  const outcome = StateMachine.step(rules, protocol, { _tag: "Stalled", now })
  return outcome.next === protocol ? undefined : outcome
}

/** Whether a member does not know any more who is active. */
export const isStalled = (rules: Rules, member: Member, now: number): boolean =>
  outcomeOf(rules, member, now) !== undefined

const awaitLink = (turn: Turn, mayKeepTermOf: number | undefined): void => {
  const { peerTimeoutMillis } = turn.rules
  // An answer that is too late to keep the term does not delay its end.
  const probeMillis = mayKeepTermOf === undefined
    ? undefined
    : Math.min(inMillis(turn.rules, timing.probe), mayKeepTermOf + peerTimeoutMillis - turn.now)
  turn.member = { ...turn.member, wait: { _tag: "LinkReset", mayKeepTermOf, deferred: [] } }
  turn.outputs.push({ _tag: "ResetLink", epoch: turn.member.linkEpoch, probeMillis })
}

/** Whether a refused connection can show that this member, which is active, has had no peer since its last heartbeat. */
const mayKeepTerm = (rules: Rules, { lastHeartbeatAt, protocol }: Member, now: number): boolean =>
  rules.crashDetection && protocol.state === "ACTIVE" && StateMachine.isPeerExpired(protocol, lastHeartbeatAt) &&
  StateMachine.mayKeepTerm(rules, lastHeartbeatAt, now)

/** Starts over: the term ends, the state is published, and the time that the peer has to be received begins when the link is reset. */
const startOver = (turn: Turn, stalledAt: number): void => {
  const { now, rules } = turn
  const outcome = StateMachine.step(rules, turn.member.protocol, { _tag: "Stalled", now })
  turn.member = { ...turn.member, lastHeartbeatAt: now }
  become(turn, outcome, "Stalled", explain(now - stalledAt))
  const { wait } = turn.member
  if (wait?._tag === "TermEnded") {
    turn.member = { ...turn.member, wait: { ...wait, isStalled: true } }
  } else {
    awaitLink(turn, undefined)
  }
}

const explain = (millis: number) => ({ explanation: `this process did not run for ${Math.round(millis)} ms` })

/**
 * Starts over after a stall. What the peer sent before counts for nothing, and the time that it has to be received begins anew
 * when the link has been reset. A policy without a rule for it must not publish before it has received what the peer sent
 * meanwhile.
 */
export const checkStall = (turn: Turn): void => {
  const { member, now, rules } = turn
  if (member.phase._tag === "Stopped" || !StateMachine.isStalled(rules, member.lastHeartbeatAt, now)) {
    return
  }
  if (!isStalled(rules, member, now)) {
    return awaitLink(turn, undefined)
  }
  turn.member = { ...member, linkEpoch: member.linkEpoch + 1 }
  if (mayKeepTerm(rules, member, now)) {
    return awaitLink(turn, member.lastHeartbeatAt)
  }
  startOver(turn, member.lastHeartbeatAt)
}

/** Goes on to reset the link once the term that the stall has ended is finalized. */
export const onStalledTermEnded = (turn: Turn): void => awaitLink(turn, undefined)

/**
 * Whether no peer can have been active since the last heartbeat, and none listens: it had expired before, nothing was received
 * from it since, and its host refused a connection soon enough. One that starts after the refusal gives this member as much time
 * as one that received a heartbeat then.
 */
const isAlone = (
  { now, rules }: Turn,
  { deferred, mayKeepTermOf }: Extract<Wait, { _tag: "LinkReset" }>,
  refusal: Refusal | undefined
): refusal is Refusal =>
  mayKeepTermOf !== undefined && refusal !== undefined &&
  StateMachine.mayKeepTerm(rules, mayKeepTermOf, refusal.knownAt) &&
  !deferred.some(({ _tag }) => _tag === "PeerHeartbeat") && !StateMachine.isStalled(rules, refusal.triedAt, now)

/** Everything that the peer sent during the stall has been received. */
export const onLinkReset = (
  turn: Turn,
  wait: Extract<Wait, { _tag: "LinkReset" }>,
  { refusal }: Extract<Input, { _tag: "LinkReset" }>
): void => {
  const { member, now, rules } = turn
  if (wait.mayKeepTermOf === undefined) {
    const { next: protocol } = StateMachine.step(rules, member.protocol, { _tag: "Stalled", now })
    turn.member = { ...member, protocol, lastHeartbeatAt: now, briefStallAt: now }
  } else if (isAlone(turn, wait, refusal)) {
    turn.member = { ...member, lastHeartbeatAt: refusal.triedAt }
    advance(turn, { _tag: "Stalled", now, isAlone: true }, explain(now - wait.mayKeepTermOf))
  } else {
    startOver(turn, wait.mayKeepTermOf)
  }
}

/** A heartbeat that is due: published, unless it is late by so much that the peer has to be given more time first. */
export const onLate = (turn: Turn): void => {
  if (StateMachine.isBriefStall(turn.rules, turn.member.lastHeartbeatAt, turn.now)) {
    turn.member = { ...turn.member, briefStallAt: turn.now }
    advance(turn, { _tag: "BrieflyStalled", now: turn.now })
  }
}

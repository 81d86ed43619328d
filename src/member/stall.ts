/** Stalls: this process did not run for so long that its knowledge of the peer is void (H4). */
import * as Rights from "../protocol/Rights.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { ConnectionRefusal, Draft, Input, Member, Rules, Wait } from "./data.ts"
import { advance, become } from "./transition.ts"

/** Outcome of a stall, if there was one and the policy has H4. */
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

/** Whether a member has stalled and its policy has H4: it does not know which server is active. */
export const isStalled = (rules: Rules, member: Member, now: number): boolean =>
  outcomeOf(rules, member, now) !== undefined

const resetLink = (draft: Draft, mayKeepTermOf: number | undefined): void => {
  const { peerTimeoutMillis } = draft.rules
  // A probe that is too late to keep the term must not delay its end.
  const probeMillis = mayKeepTermOf === undefined
    ? undefined
    : Math.min(inMillis(draft.rules, timing.probe), mayKeepTermOf + peerTimeoutMillis - draft.now)
  draft.member = { ...draft.member, wait: { _tag: "LinkReset", mayKeepTermOf, deferred: [] } }
  draft.outputs.push({ _tag: "ResetLink", epoch: draft.member.linkEpoch, probeMillis })
}

/** Whether crash evidence can prove that this active member has had no peer since its last heartbeat. */
const mayKeepTerm = (rules: Rules, { lastHeartbeatAt, protocol, rights }: Member, now: number): boolean =>
  rules.crashDetection && protocol.state === "ACTIVE" && StateMachine.isPeerExpired(protocol, lastHeartbeatAt) &&
  StateMachine.mayKeepTerm(rules, lastHeartbeatAt, now) &&
  // A right must not end during the reset.
  (rights === undefined || Rights.mayServe(rights, now + inMillis(rules, timing.probe + timing.linkReset)))

/** Restarts: the term ends, the state is published, and the peer's deadline counts from the reset of the link. */
const restart = (draft: Draft, stalledAt: number): void => {
  const { now, rules } = draft
  const outcome = StateMachine.step(rules, draft.member.protocol, { _tag: "Stalled", now })
  draft.member = { ...draft.member, lastHeartbeatAt: now }
  become(draft, outcome, "Stalled", detailsOf(now - stalledAt))
  const { wait } = draft.member
  if (wait?._tag === "TermEnded") {
    draft.member = { ...draft.member, wait: { ...wait, isStalled: true } }
  } else {
    resetLink(draft, undefined)
  }
}

const detailsOf = (millis: number) => ({ explanation: `this process did not run for ${Math.round(millis)} ms` })

/**
 * Restarts after a stall. Earlier messages of the peer are void, and its deadline counts from the reset of the link. A policy
 * without H4 only resets the link: it must not publish before it has received what the peer sent meanwhile.
 */
export const checkStall = (draft: Draft): void => {
  const { member, now, rules } = draft
  if (member.phase._tag === "Stopped" || !StateMachine.isStalled(rules, member.lastHeartbeatAt, now)) {
    return
  }
  if (!isStalled(rules, member, now)) {
    return resetLink(draft, undefined)
  }
  draft.member = { ...member, linkEpoch: member.linkEpoch + 1 }
  if (mayKeepTerm(rules, member, now)) {
    return resetLink(draft, member.lastHeartbeatAt)
  }
  restart(draft, member.lastHeartbeatAt)
}

/** Resets the link once the term that the stall has ended is finalized. */
export const onStalledTermEnded = (draft: Draft): void => resetLink(draft, undefined)

/**
 * Whether no peer can have been active since the last heartbeat, and none listens: the peer was expired, no heartbeat was received
 * since, and its host refused a connection in time. A peer that starts after the refusal waits for this member as long as one
 * that received a heartbeat at that time.
 */
const isAlone = (
  { now, rules }: Draft,
  { deferred, mayKeepTermOf }: Extract<Wait, { _tag: "LinkReset" }>,
  refusal: ConnectionRefusal | undefined
): refusal is ConnectionRefusal =>
  mayKeepTermOf !== undefined && refusal !== undefined &&
  StateMachine.mayKeepTerm(rules, mayKeepTermOf, refusal.knownAt) &&
  !deferred.some(({ _tag }) => _tag === "PeerHeartbeat") && !StateMachine.isStalled(rules, refusal.triedAt, now)

/** Continues once everything that the peer sent during the stall has been received. */
export const onLinkReset = (
  draft: Draft,
  wait: Extract<Wait, { _tag: "LinkReset" }>,
  { refusal }: Extract<Input, { _tag: "LinkReset" }>
): void => {
  const { member, now, rules } = draft
  if (wait.mayKeepTermOf === undefined) {
    const { next: protocol } = StateMachine.step(rules, member.protocol, { _tag: "Stalled", now })
    draft.member = { ...member, protocol, lastHeartbeatAt: now, briefStallAt: now }
  } else if (isAlone(draft, wait, refusal)) {
    draft.member = { ...member, lastHeartbeatAt: refusal.triedAt }
    advance(draft, { _tag: "Stalled", now, isAlone: true }, detailsOf(now - wait.mayKeepTermOf))
  } else {
    restart(draft, wait.mayKeepTermOf)
  }
}

/** Checks a due heartbeat for a brief stall, after which the peer is given more time. */
export const checkBriefStall = (draft: Draft): void => {
  if (StateMachine.isBriefStall(draft.rules, draft.member.lastHeartbeatAt, draft.now)) {
    draft.member = { ...draft.member, briefStallAt: draft.now }
    advance(draft, { _tag: "BrieflyStalled", now: draft.now })
  }
}

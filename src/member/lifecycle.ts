/** Draining, handing over, stopping. */
import * as StateMachine from "../protocol/StateMachine.ts"
import { timerSlackMillis } from "../protocol/Timing.ts"
import { release } from "./askWitness.ts"
import type { Command, CommandReason, Draft } from "./data.ts"
import { complete, interruptPromotion, rejectionIn } from "./takeover.ts"
import { becomeAfterTerm, describe, leavePort, publishing } from "./transition.ts"

const drain = (draft: Draft, handOver: Command | undefined): void => {
  const until = draft.now + draft.rules.drainMillis
  interruptPromotion(draft)
  draft.member = { ...draft.member, phase: { _tag: "Draining", since: draft.now, until, handOver } }
  draft.outputs.push({ _tag: "WakeAt", at: until })
}

/** Why this member cannot hand over now, if so. */
const rejectionOf = ({ member, now, rules }: Draft): CommandReason | undefined => {
  const { peer, phase, protocol } = member
  const rejection = rejectionIn(phase)
  if (rejection !== undefined) {
    return rejection
  }
  if (protocol.state !== "ACTIVE") {
    return "NotActive"
  }
  if (StateMachine.step(rules, protocol, { _tag: "HandOver", now }).next.state !== "HANDING_OVER") {
    return "Unsupported"
  }
  return StateMachine.isPeerExpired(protocol, now) || peer?.state !== "PASSIVE" ? "PeerSilent" : undefined
}

/** Begins a hand-over, if the peer is passive. */
export const onHandOver = (draft: Draft, command: Command): void => {
  const rejection = rejectionOf(draft)
  if (rejection !== undefined) {
    return complete(draft, command.id, rejection)
  }
  draft.outputs.push({ _tag: "Log", level: "Info", message: `handing over: ${command.reason}` })
  drain(draft, command)
}

/** Begins a stop. A pending hand-over becomes a stop. */
export const onStop = (draft: Draft): void => {
  const { phase } = draft.member
  if (phase._tag === "Serving") {
    return drain(draft, undefined)
  }
  if (phase._tag !== "Stopped" && phase.handOver !== undefined) {
    complete(draft, phase.handOver.id, "Interrupted", phase.since)
    draft.member = { ...draft.member, phase: { ...phase, handOver: undefined } }
  }
}

/** Ends the term once the requests are drained, or the deadline is reached. The member reports `ACTIVE` until it has ended. */
const endTerm = (draft: Draft): void => {
  const { member: { phase, protocol }, now, rules } = draft
  if (phase._tag === "Draining") {
    const cause = phase.handOver === undefined ? "Stopping" : "HandOver"
    const outcome = StateMachine.step(rules, protocol, { _tag: cause, now })
    const transition = describe(draft, outcome, cause, phase.handOver && { reason: phase.handOver.reason })
    const end = draft.member.endCount + 1
    draft.outputs.push({ _tag: "EndTerm", end, transition, isSilent: false })
    draft.member = {
      ...draft.member,
      endCount: end,
      phase: { _tag: "EndingTerm", end, since: phase.since, handOver: phase.handOver }
    }
  }
}

export const onRequestsDrained = endTerm

export const onWoken = (draft: Draft): void => {
  const { phase } = draft.member
  if (phase._tag === "Draining" && draft.now >= phase.until - timerSlackMillis) {
    endTerm(draft)
  }
}

/** Hands over to the peer, unless this member has ceased to be active meanwhile. */
const handOver = (draft: Draft, command: Command, since: number): void => {
  const isActive = draft.member.protocol.state === "ACTIVE"
  if (isActive) {
    const outcome = StateMachine.step(draft.rules, draft.member.protocol, { _tag: "HandOver", now: draft.now })
    leavePort(draft)
    becomeAfterTerm(draft, outcome, "HandOver", { reason: command.reason })
    release(draft)
  }
  draft.member = { ...draft.member, phase: { _tag: "Serving" } }
  complete(draft, command.id, isActive ? undefined : "Interrupted", since)
}

const stop = (draft: Draft): void => {
  const { now, rules } = draft
  const wasActive = draft.member.protocol.state === "ACTIVE"
  const { publish, ...outcome } = StateMachine.step(rules, draft.member.protocol, { _tag: "Stopping", now })
  leavePort(draft)
  becomeAfterTerm(draft, { ...outcome, publish: undefined }, "Stopping")
  draft.member = { ...draft.member, phase: { _tag: "Stopped" } }
  if (publish !== undefined) {
    draft.outputs.push(publishing(draft, publish, { isFinal: true, handsOver: wasActive }))
  }
  draft.outputs.push({ _tag: "Exit" })
}

/** Stops or hands over once the term has ended. The end of an earlier term is ignored. */
export const onTermEnded = (draft: Draft, end: number): void => {
  const { phase } = draft.member
  if (phase._tag !== "EndingTerm" || phase.end !== end) {
    return
  }
  if (phase.handOver === undefined) {
    stop(draft)
  } else {
    handOver(draft, phase.handOver, phase.since)
  }
}

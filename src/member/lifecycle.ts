/** Draining, handing over, stopping. */
import * as StateMachine from "../protocol/StateMachine.ts"
import type { Command, Rejection, Turn } from "./data.ts"
import { interruptPromotion } from "./takeover.ts"
import { becomeAfterTerm, describe } from "./transition.ts"

/** Timers may fire early by this much, in milliseconds. */
const timerSlackMillis = 2

const complete = (turn: Turn, { id }: Command, since: number, rejection: Rejection | undefined): void => {
  turn.outputs.push({ _tag: "Complete", id, rejection, since })
}

const drain = (turn: Turn, handOver: Command | undefined): void => {
  const until = turn.now + turn.rules.drainMillis
  interruptPromotion(turn)
  turn.member = { ...turn.member, phase: { _tag: "Draining", since: turn.now, until, handOver } }
  turn.outputs.push({ _tag: "WakeAt", at: until })
}

/** Why this member cannot hand over now, if it cannot. */
const rejectionOf = ({ member, now, rules }: Turn): Rejection | undefined => {
  const { peer, phase, protocol } = member
  const handedOver = StateMachine.step(rules, protocol, { _tag: "HandOver", now })
  return phase._tag !== "Serving"
    ? "Interrupted"
    : protocol.state !== "ACTIVE"
    ? "NotActive"
    : handedOver.next.state !== "HANDING_OVER"
    ? "Unsupported"
    : StateMachine.isPeerExpired(protocol, now) || peer?.state !== "PASSIVE"
    ? "PeerSilent"
    : undefined
}

/** Begins to hand over, if the peer stands by. */
export const onHandOver = (turn: Turn, command: Command): void => {
  const rejection = rejectionOf(turn)
  if (rejection !== undefined) {
    return complete(turn, command, turn.now, rejection)
  }
  turn.outputs.push({ _tag: "Log", level: "Info", message: `handing over: ${command.reason}` })
  drain(turn, command)
}

/** Begins to stop. A hand-over that is under way becomes a stop. */
export const onStop = (turn: Turn): void => {
  const { phase } = turn.member
  if (phase._tag === "Serving") {
    return drain(turn, undefined)
  }
  if (phase._tag !== "Stopped" && phase.handOver !== undefined) {
    complete(turn, phase.handOver, phase.since, "Interrupted")
    turn.member = { ...turn.member, phase: { ...phase, handOver: undefined } }
  }
}

/** Ends the term once nothing is left to complete, or the time for it is over. The member reports `ACTIVE` meanwhile. */
const endTerm = (turn: Turn): void => {
  const { member: { phase, protocol }, now, rules } = turn
  if (phase._tag === "Draining") {
    const cause = phase.handOver === undefined ? "Stopping" : "HandOver"
    const outcome = StateMachine.step(rules, protocol, { _tag: cause, now })
    const transition = describe(turn, outcome, cause, { reason: phase.handOver?.reason })
    const end = turn.member.ends + 1
    turn.outputs.push({ _tag: "EndTerm", end, transition, isSilent: false })
    turn.member = {
      ...turn.member,
      ends: end,
      phase: { _tag: "EndingTerm", end, since: phase.since, handOver: phase.handOver }
    }
  }
}

export const onRequestsDrained = endTerm

export const onWoken = (turn: Turn): void => {
  const { phase } = turn.member
  if (phase._tag === "Draining" && turn.now >= phase.until - timerSlackMillis) {
    endTerm(turn)
  }
}

/** Leaves it to the peer to be active, unless this member has ceased to be active before it came to that. */
const handOver = (turn: Turn, command: Command, since: number): void => {
  const isActive = turn.member.protocol.state === "ACTIVE"
  if (isActive) {
    const outcome = StateMachine.step(turn.rules, turn.member.protocol, { _tag: "HandOver", now: turn.now })
    becomeAfterTerm(turn, outcome, "HandOver", { reason: command.reason })
  }
  turn.member = { ...turn.member, phase: { _tag: "Serving" } }
  complete(turn, command, since, isActive ? undefined : "Interrupted")
}

const stop = (turn: Turn): void => {
  const { now, rules } = turn
  const { publish, ...outcome } = StateMachine.step(rules, turn.member.protocol, { _tag: "Stopping", now })
  becomeAfterTerm(turn, { ...outcome, publish: undefined }, "Stopping")
  turn.member = { ...turn.member, phase: { _tag: "Stopped" } }
  if (publish !== undefined) {
    turn.outputs.push({ _tag: "Publish", state: publish, isFinal: true, isHeartbeat: false })
  }
  turn.outputs.push({ _tag: "Exit" })
}

/** What ran in the term is finalized. The end of an earlier term is of no account. */
export const onTermEnded = (turn: Turn, end: number): void => {
  const { phase } = turn.member
  if (phase._tag !== "EndingTerm" || phase.end !== end) {
    return
  }
  if (phase.handOver === undefined) {
    stop(turn)
  } else {
    handOver(turn, phase.handOver, phase.since)
  }
}

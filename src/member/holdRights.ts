/** What follows from the rights that a member holds: its state, its lease, and the time at which it wakes. */
import * as Rights from "../protocol/Rights.ts"
import { timerSlackMillis } from "../protocol/Timing.ts"
import { askWitness, withRights } from "./askWitness.ts"
import type { Draft, Member } from "./data.ts"
import { completePromotion, recordFailover, silenceOf } from "./takeover.ts"
import type { Details } from "./transition.ts"
import { advance } from "./transition.ts"

/** Whether the rights allow requests at a time. Members without a witness need none. */
export const mayServe = ({ rights }: Member, at: number): boolean => rights === undefined || Rights.mayServe(rights, at)

/** Wakes this member when its last right ends. One timer is enough: it is set again when it fires. */
const wakeAtEnd = (draft: Draft): void => {
  const { rights, rightsWakeAt } = draft.member
  const at = rights === undefined ? Number.NaN : Rights.endOf(rights)
  if (rights?.isActive === true && Number.isFinite(at) && rightsWakeAt <= draft.now) {
    draft.member = { ...draft.member, rightsWakeAt: at }
    draft.outputs.push({ _tag: "WakeAt", at })
  }
}

/** Reports how long this member may serve, if that is longer than before. An operator's word is renewed with each heartbeat. */
export const lease = (draft: Draft, before: Rights.Rights | undefined): void =>
  withRights(draft, ({ rightMillis }, rights) => {
    const end = Rights.endOf(rights)
    if (rights.isActive && (end === Number.POSITIVE_INFINITY || before === undefined || end > Rights.endOf(before))) {
      draft.outputs.push({ _tag: "Leased", until: Math.min(end, draft.now + rightMillis) })
    }
  })

/** Adopts rights. If that makes this member active, or ends its term, the state follows. */
export const adopt = (
  draft: Draft,
  rights: Rights.Rights,
  details: Details & { readonly isSuperseded?: boolean } = {}
): void => {
  const before = draft.member.rights
  const { isSuperseded = false, ...rest } = details
  draft.member = { ...draft.member, rights }
  lease(draft, before)
  if (before?.isActive === rights.isActive) {
    return wakeAtEnd(draft)
  }
  if (!rights.isActive) {
    return advance(draft, { _tag: isSuperseded ? "Superseded" : "RightLapsed", now: draft.now }, rest)
  }
  const { peer, promotion, protocol, wish } = draft.member
  draft.member = { ...draft.member, wish: undefined }
  const { isSwitchover, reason } = promotion ?? {}
  advance(draft, { _tag: "RightGained", now: draft.now }, promotion ? { ...rest, reason, isSwitchover } : rest)
  if (wish !== undefined && peer?.state === "ACTIVE" && protocol.state !== "PRIMARY") {
    recordFailover(draft, draft.now, peer.receivedAt)
  }
  if (promotion !== undefined) {
    completePromotion(draft, promotion, undefined)
  }
  wakeAtEnd(draft)
  askWitness(draft)
}

/** Ends the term of an active member. */
export const cease = (draft: Draft, details: Details & { readonly isSuperseded?: boolean }): void =>
  withRights(
    draft,
    (rules, rights) => adopt(draft, Rights.cease(rules, rights, draft.member.dialogue.sequence, draft.now), details)
  )

/** The timer may fire a little early: then it is set again. */
export const onWoken = (draft: Draft): void => {
  if (draft.member.rightsWakeAt <= draft.now + timerSlackMillis) {
    draft.member = { ...draft.member, rightsWakeAt: Number.NEGATIVE_INFINITY }
    wakeAtEnd(draft)
  }
}

/** Steps down once the last right has ended. */
export const checkRights = (draft: Draft): void => {
  const { rights } = draft.member
  if (rights?.isActive === true && !Rights.mayServe(rights, draft.now)) {
    const { problem } = draft.member.witness
    const witness = problem === undefined ? "the witness has not answered in time" : `the witness: ${problem}`
    return cease(draft, { explanation: `${silenceOf(draft.member, draft.now)}; ${witness}` })
  }
  wakeAtEnd(draft)
}

/** The state port could not be opened again: this member may not serve before it has been for as long as a guard (R9). */
export const onPortClosed = (draft: Draft): void =>
  withRights(draft, (rules, rights) => {
    const ceased = Rights.cease(rules, rights, draft.member.dialogue.sequence, draft.now)
    adopt(draft, Rights.close(ceased), { explanation: "the state port is closed" })
  })

/** When a member with a witness seeks the right to serve: after a vote, by an operator, or as the primary of an idle pair. */
import * as Rights from "../protocol/Rights.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import { inMillis } from "../protocol/Timing.ts"
import { ask, withRights } from "./askWitness.ts"
import type { CommandReason, Draft, Input, Member, Promotion } from "./data.ts"
import { adopt } from "./holdRights.ts"
import {
  blockAt,
  complete,
  completePromotion,
  interruptPromotion,
  logBlock,
  rejectionOfPromotion,
  silenceOf
} from "./takeover.ts"

/** How a right was gained, and what made this member ask for it. */
export const explanationOf = ({ member, now }: Draft, how: string): string =>
  member.wish === undefined ? how : `${how}; ${silenceOf(member, now)}; vote by ${member.wish.voter}`

/** Whether the primary, which starts as well, is to become active first. */
const leavesItToPrimary = ({ member, now, rules }: Draft, { guardUntil, until }: Rights.Rights): boolean =>
  rules.role === "backup" && member.peer?.state === "PRIMARY" &&
  now - member.peer.receivedAt < rules.peerTimeoutMillis && now >= until.evidence &&
  now < guardUntil + rules.peerTimeoutMillis

/** Becomes active at once by evidence, or asks the witness for a term, if that is possible now. */
const seek = (draft: Draft): void =>
  withRights(draft, (rules, rights) => {
    const { now } = draft
    const taken = Rights.takeByEvidence(rights, now)
    if (taken !== rights) {
      return adopt(draft, taken, { explanation: explanationOf(draft, "by crash evidence") })
    }
    // A witness that does not answer is only looked at: a member that has asked for a term cannot stand.
    const isAnswering = draft.member.witness.problem === undefined
    if (isAnswering && Rights.mayTake(rules, rights, now) && !leavesItToPrimary(draft, rights)) {
      ask(draft, Rights.take(rules, rights, draft.member.dialogue.sequence, now))
    }
  })

/** Logs why this member cannot serve: it is one of three, and neither of the others answers. */
const warnOfMinority = ({ member, now, outputs, rules }: Draft): void => {
  const { protocol, rights, witness } = member
  if (
    rights !== undefined && witness.problem !== undefined && now >= rights.guardUntil &&
    protocol.state !== "ACTIVE" && StateMachine.isPeerExpired(protocol, now)
  ) {
    outputs.push({
      _tag: "Log",
      level: "Warning",
      once: "Silent",
      message:
        `requests are rejected: neither the witness at ${rules.witnessEndpoint} (${witness.problem}) nor the peer at ` +
        `${rules.peerEndpoint} answers, and one of three must not decide alone; if the other server does not run: ` +
        "bstar promote --without-witness"
    })
  }
}

const isInactive = ({ phase, protocol }: Member): boolean =>
  phase._tag === "Serving" && protocol.state !== "ACTIVE" && protocol.state !== "HANDING_OVER"

const isPeerActive = ({ member: { peer, protocol }, now }: Draft): boolean =>
  peer?.state === "ACTIVE" && !StateMachine.isPeerExpired(protocol, now)

/** Whether the peer is active without a right: it is of another implementation, or has another policy. */
const isServedWithoutRight = (draft: Draft): boolean =>
  isPeerActive(draft) && draft.member.peer?.heartbeat?.question !== "Serve"

const warnOfPeerWithoutRight = ({ outputs, rules }: Draft): void => {
  outputs.push({
    _tag: "Log",
    level: "Warning",
    once: "OtherWitness",
    message:
      `the peer at ${rules.peerEndpoint} is active, and asks no witness before it serves: while the link is cut both can be ` +
      "active; run it with --policy witnessed and the same --witness"
  })
}

/** Gives up the wish to be active, and what was asked for it. */
export const withdraw = (draft: Draft): void =>
  withRights(draft, (_, rights) => {
    const { member } = draft
    draft.member = { ...member, wish: undefined, rights: Rights.withdraw(rights, member.dialogue.sequence) }
  })

/** Seeks the right to serve, because of a vote, a promotion, or because it is the primary of a pair without an active member. */
export const claim = (draft: Draft, voter: string, isForced = false): void => {
  if (!isInactive(draft.member)) {
    return
  }
  if (!isForced && isServedWithoutRight(draft)) {
    return warnOfPeerWithoutRight(draft)
  }
  const block = isForced ? undefined : blockAt(draft.rules, draft.member, draft.now)
  if (block !== undefined && (block._tag === "Paused" || draft.member.protocol.state !== "PRIMARY")) {
    return StateMachine.isPeerExpired(draft.member.protocol, draft.now) ? logBlock(draft, block, draft.now) : undefined
  }
  draft.member = { ...draft.member, wish: { voter, at: draft.now } }
  seek(draft)
  warnOfMinority(draft)
}

/** A wish counts for one heartbeat. */
export const claimIfWished = (draft: Draft): void => {
  const { wish } = draft.member
  if (wish !== undefined && draft.now - wish.at <= inMillis(draft.rules, 1) && isInactive(draft.member)) {
    seek(draft)
  }
}

/** Guards for which a promotion waits for an answer. */
const promotionWait = 3

const rejectPromotion = (draft: Draft, promotion: Promotion, reason: CommandReason): void => {
  withdraw(draft)
  completePromotion(draft, promotion, reason)
}

export const goOnPromoting = (draft: Draft, promotion: Promotion): void =>
  withRights(draft, ({ guardMillis }) => {
    if (isPeerActive(draft)) {
      rejectPromotion(draft, promotion, "PeerAlive")
    } else if (draft.now - promotion.since > promotionWait * guardMillis) {
      rejectPromotion(draft, promotion, "NoMajority")
    } else {
      claim(draft, "an operator", true)
    }
  })

/**
 * A promotion skips the vote. The rules hold all the same, unless the operator answers for the witness and the peer. Such a
 * promotion replaces one that still waits for them.
 */
export const onPromote = (
  draft: Draft,
  { id, isSwitchover = false, isWithoutWitness = false, reason }: Extract<Input, { _tag: "Promote" }>
): void =>
  withRights(draft, (_, rights) => {
    const promotion = { id, reason, since: draft.now, waiting: undefined, isSwitchover, isHeld: false }
    if (isWithoutWitness) {
      interruptPromotion(draft, "Replaced")
    }
    const rejection = rejectionOfPromotion(draft.member)
    if (rejection !== undefined) {
      return complete(draft, id, rejection)
    }
    if (draft.member.protocol.state === "ACTIVE") {
      return completePromotion(draft, promotion, undefined)
    }
    draft.member = { ...draft.member, promotion }
    if (isWithoutWitness && isInactive(draft.member) && !isPeerActive(draft)) {
      return adopt(draft, Rights.takeByOperator(rights), {
        explanation: "an operator answers for the witness and the peer"
      })
    }
    goOnPromoting(draft, promotion)
  })

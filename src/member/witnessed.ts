/**
 * A member with a witness: when it asks for the right to serve, and what follows from an answer. What a right is, and who may give
 * one, is in `protocol/Rights.ts`; nothing else decides whether this member may serve.
 */
import type { Heartbeat } from "../protocol/Heartbeat.ts"
import * as Rights from "../protocol/Rights.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as Term from "../protocol/Term.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { Draft, Input, Member, Promotion, Rules, WitnessAnswer } from "./data.ts"
import * as Dialogue from "./Dialogue.ts"
import { blockAt, completePromotion, logBlock, recordFailover, silenceOf } from "./takeover.ts"
import type { Details } from "./transition.ts"
import { advance, reply } from "./transition.ts"

/** The rights of a member with a witness. Every other member has none. */
const withRights = (draft: Draft, use: (rules: Rights.Rules, rights: Rights.Rights) => void): void => {
  const { member, rules } = draft
  if (rules.rights !== undefined && member.rights !== undefined) {
    use(rules.rights, member.rights)
  }
}

const heartbeatMillis = (rules: Rules): number => inMillis(rules, 1)

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
const lease = (draft: Draft, before: Rights.Rights | undefined): void =>
  withRights(draft, ({ rightMillis }, rights) => {
    const end = Rights.endOf(rights)
    if (rights.isActive && (end === Number.POSITIVE_INFINITY || before === undefined || end > Rights.endOf(before))) {
      draft.outputs.push({ _tag: "Leased", until: Math.min(end, draft.now + rightMillis) })
    }
  })

/** Adopts rights. If that makes this member active, or ends its term, the state follows. */
const adopt = (
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
  advance(draft, { _tag: "RightGained", now: draft.now }, promotion ? { ...rest, reason: promotion.reason } : rest)
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
const cease = (draft: Draft, details: Details & { readonly isSuperseded?: boolean }): void =>
  withRights(
    draft,
    (rules, rights) => adopt(draft, Rights.cease(rules, rights, draft.member.dialogue.sequence, draft.now), details)
  )

/** Steps down once the last right has ended. */
export const checkRights = (draft: Draft): void => {
  const { rights } = draft.member
  wakeAtEnd(draft)
  if (rights?.isActive === true && !Rights.mayServe(rights, draft.now)) {
    const { problem } = draft.member.witness
    const witness = problem === undefined ? "the witness has not answered in time" : `the witness: ${problem}`
    cease(draft, { explanation: `${silenceOf(draft.member, draft.now)}; ${witness}` })
  }
}

/** The state port could not be opened again: this member may not serve before it has been for as long as a guard (R9). */
export const onPortClosed = (draft: Draft): void =>
  withRights(draft, (rules, rights) => {
    const ceased = Rights.cease(rules, rights, draft.member.dialogue.sequence, draft.now)
    adopt(draft, Rights.close(ceased), { explanation: "the state port is closed" })
  })

/** Tells the witness that the term is given up. */
export const release = (draft: Draft): void =>
  withRights(draft, (rules, rights) => {
    if (rights.term !== undefined && rights.observed !== undefined) {
      ask(draft, Rights.renew(rules, rights, rights.term, draft.now))
    }
  })

// ---- the witness

const ask = (draft: Draft, rights: Rights.Rights & { readonly request: Rights.Request }): void => {
  draft.member = { ...draft.member, rights }
  draft.outputs.push({
    _tag: "AskWitness",
    request: rights.request,
    expected: rights.request.swap === undefined ? undefined : rights.observed?.seen?.version
  })
}

/** Asks what is due: to record the term, for a term, or for the record. */
const askWitness = (draft: Draft): void =>
  withRights(draft, (rules, rights) => {
    const { dialogue } = draft.member
    if (rights.isActive && rights.term !== undefined && rights.observed !== undefined) {
      ask(draft, Rights.renew(rules, rights, rights.term, draft.now))
    } else if (rights.isActive && Rights.mayTake(rules, rights, draft.now)) {
      ask(draft, Rights.take(rules, rights, dialogue.sequence, draft.now))
    } else {
      ask(draft, Rights.look(rights, draft.now))
    }
  })

const warnOfWitness = (draft: Draft, problem: string): void => {
  draft.outputs.push({
    _tag: "Log",
    level: "Warning",
    once: "Witness",
    message:
      `the witness at ${draft.rules.witnessEndpoint} does not answer (${problem}); a healthy pair goes on without it`
  })
}

const noteAnswer = (draft: Draft, answer: WitnessAnswer, fingerprint = draft.member.witness.fingerprint): void => {
  const { witness } = draft.member
  if (answer._tag === "NoAnswer") {
    draft.member = { ...draft.member, witness: { ...witness, problem: answer.problem } }
    return warnOfWitness(draft, answer.problem)
  }
  if (witness.answeredAt === undefined || witness.problem !== undefined) {
    draft.outputs.push({
      _tag: "Log",
      level: "Info",
      once: "WitnessBack",
      message: `the witness at ${draft.rules.witnessEndpoint} answers`
    })
  }
  draft.member = { ...draft.member, witness: { answeredAt: draft.now, problem: undefined, fingerprint } }
}

const rightsAfter = (
  rules: Rights.Rules,
  rights: Rights.Rights,
  answer: WitnessAnswer,
  now: number
): Rights.Rights => {
  const { request } = rights
  switch (answer._tag) {
    case "Seen":
    case "Conflict":
      return Rights.seen(rights, answer.seen, now)
    case "Swapped":
      return request?.swap === undefined
        ? rights
        : Rights.swapped(rules, rights, { ...request, swap: request.swap }, { now, version: answer.version })
    case "NoAnswer":
      return Rights.unanswered(rights)
  }
}

export const onWitnessAnswered = (
  draft: Draft,
  { answer, fingerprint, id }: Extract<Input, { _tag: "WitnessAnswered" }>
): void =>
  withRights(draft, (rules, before) => {
    if (before.request?.id !== id) {
      return
    }
    noteAnswer(draft, answer, fingerprint)
    const rights = rightsAfter(rules, before, answer, draft.now)
    const record = rights.observed?.seen?.record
    if (Rights.isSuperseded(rights, record)) {
      draft.member = { ...draft.member, rights }
      return cease(draft, {
        isSuperseded: true,
        explanation: `the witness has recorded term ${record === undefined ? "" : Term.format(record)}`
      })
    }
    adopt(draft, rights, { explanation: explanationOf(draft, "recorded by the witness") })
    if (answer._tag === "Conflict" && rights.isActive) {
      askWitness(draft)
    } else if (answer._tag !== "NoAnswer") {
      claimIfWished(draft)
    }
  })

// ---- the peer

/** How a right was gained, and what made this member ask for it. */
const explanationOf = ({ member, now }: Draft, how: string): string =>
  member.wish === undefined ? how : `${how}; ${silenceOf(member, now)}; vote by ${member.wish.voter}`

/** A heartbeat that names this process and echoes one that it sent a short time ago (R4). */
const onFresh = (draft: Draft, heartbeat: Heartbeat, echo: Dialogue.Sent): void =>
  withRights(draft, (rules, rights) => {
    const { now } = draft
    if (heartbeat.question === "Serve" && Rights.isSuperseded(rights, heartbeat.term)) {
      cease(draft, { isSuperseded: true, explanation: "the peer is active with a later term" })
      return
    }
    if (heartbeat.handsOver && draft.member.paused === undefined) {
      const after = Rights.takeHandedOver(rules, rights, heartbeat.term, { echoAt: echo.at, now })
      return adopt(draft, after, { explanation: "handed over by the peer" })
    }
    if (heartbeat.promises) {
      const after = Rights.promised(rules, rights, echo, now)
      return adopt(draft, after, { explanation: explanationOf(draft, "promised by the peer") })
    }
    const { sequence } = draft.member.dialogue
    const { isPromised, rights: after } = Rights.promise(rules, rights, heartbeat, { echoAt: echo.at, now, sequence })
    draft.member = { ...draft.member, rights: after }
    if (isPromised) {
      reply(draft, { promises: true })
    }
  })

/** Processes a message of the peer. `heartbeat` is undefined if it was but a digit. */
export const onHeartbeat = (draft: Draft, heartbeat: Heartbeat | undefined): void =>
  withRights(draft, (rules, before) => {
    draft.member = { ...draft.member, rights: Rights.hear(before, draft.now) }
    if (heartbeat === undefined) {
      return
    }
    const dialogue = Dialogue.receive(draft.member.dialogue, heartbeat)
    if (dialogue === undefined) {
      return
    }
    draft.member = { ...draft.member, dialogue }
    const echo = Dialogue.echoed(dialogue, rules.life, heartbeat.received)
    if (echo !== undefined && draft.now - echo.at < rules.guardMillis) {
      onFresh(draft, heartbeat, echo)
    }
    // An active member answers at once, so that its peer knows it to be active by an echo that is as young as possible.
    if (draft.member.rights?.isActive === true && heartbeat.question !== "Serve" && !heartbeat.promises) {
      reply(draft)
    }
  })

const probe = ({ outputs, rules }: Draft): void => {
  if (rules.crashDetection) {
    outputs.push({ _tag: "Probe" })
  }
}

/** The connection to the peer is lost: its process may be gone. */
export const onLinkLost = (draft: Draft): void => withRights(draft, () => probe(draft))

/** The peer's host has refused a connection that was attempted at `triedAt`. */
export const onEvidence = (draft: Draft, triedAt: number): void =>
  withRights(draft, (rules, rights) => {
    const after = Rights.witnessRefusal(rules, rights, triedAt)
    if (triedAt < rights.evidenceAfter) {
      // The peer sent a heartbeat while the attempt was made: it may have died since, or not.
      probe(draft)
    }
    adopt(draft, after)
    claimIfWished(draft)
  })

// ---- to become active

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

/** Seeks the right to serve, because of a vote, a promotion, or because it is the primary of a pair without an active member. */
export const claim = (draft: Draft, voter: string, isForced = false): void => {
  if (!isInactive(draft.member)) {
    return
  }
  const block = isForced ? undefined : blockAt(draft.rules, draft.member, draft.now)
  if (block !== undefined && (block._tag === "Paused" || draft.member.protocol.state !== "PRIMARY")) {
    return logBlock(draft, block, draft.now)
  }
  draft.member = { ...draft.member, wish: { voter, at: draft.now } }
  seek(draft)
  warnOfMinority(draft)
}

/** A wish counts for one heartbeat. */
const claimIfWished = (draft: Draft): void => {
  const { wish } = draft.member
  if (wish !== undefined && draft.now - wish.at <= heartbeatMillis(draft.rules) && isInactive(draft.member)) {
    seek(draft)
  }
}

/** Whether the peer runs, and neither is active: the primary becomes active without a vote. */
const isPairIdle = ({ member: { peer, protocol }, now, rules }: Draft): boolean =>
  rules.role === "primary" && peer !== undefined && peer.state !== "ACTIVE" && protocol.state !== "ACTIVE" &&
  !StateMachine.isPeerExpired(protocol, now)

/** The first question to the witness: what it has recorded. */
export const onStart = (draft: Draft): void => withRights(draft, () => askWitness(draft))

/** A question that was asked with the previous heartbeat is given up, even if its timer was late; in heartbeats. */
const patience = 0.75

/** Everything that is due with a heartbeat, before it is sent. */
export const onHeartbeatDue = (draft: Draft): void =>
  withRights(draft, (_, rights) => {
    const { member, now, rules } = draft
    const { request } = rights
    lease(draft, rights)
    if (request !== undefined && now - request.askedAt >= inMillis(rules, patience)) {
      noteAnswer(draft, { _tag: "NoAnswer", problem: "no answer within a heartbeat" })
    }
    if (request === undefined || now - request.askedAt >= inMillis(rules, patience)) {
      draft.member = { ...draft.member, rights: Rights.unanswered(rights) }
      askWitness(draft)
    }
    const silentMillis = now - (member.peer?.receivedAt ?? member.startedAt)
    // Evidence is a right of its own, and has to be renewed.
    if (now < rights.until.evidence || silentMillis > inMillis(rules, timing.overdue)) {
      probe(draft)
    }
    if (draft.member.promotion !== undefined) {
      goOnPromoting(draft, draft.member.promotion)
    } else if (isPairIdle(draft)) {
      claim(draft, "this server")
    } else if (member.wish !== undefined && now - member.wish.at > heartbeatMillis(rules)) {
      draft.member = { ...draft.member, wish: undefined }
    }
  })

// ---- promotions

/** Guards for which a promotion waits for an answer. */
const promotionPatience = 3

const isPeerActive = ({ member: { peer, protocol }, now }: Draft): boolean =>
  peer?.state === "ACTIVE" && !StateMachine.isPeerExpired(protocol, now)

const goOnPromoting = (draft: Draft, promotion: Promotion): void =>
  withRights(draft, ({ guardMillis }) => {
    claim(draft, "an operator", true)
    if (draft.member.promotion === undefined) {
      return
    }
    if (isPeerActive(draft)) {
      completePromotion(draft, promotion, "PeerAlive")
    } else if (draft.now - promotion.since > promotionPatience * guardMillis) {
      completePromotion(draft, promotion, "NoMajority")
    }
  })

/** A promotion skips the vote. The rules hold all the same, unless the operator answers for the witness and the peer. */
export const onPromote = (
  draft: Draft,
  { id, isWithoutWitness = false, reason }: Extract<Input, { _tag: "Promote" }>
): void =>
  withRights(draft, (_, rights) => {
    const promotion = { id, reason, since: draft.now, waiting: undefined }
    const { phase, promotion: pending, protocol } = draft.member
    if (phase._tag !== "Serving" || pending !== undefined) {
      draft.outputs.push({ _tag: "Complete", id, rejection: "Interrupted", since: draft.now })
      return
    }
    if (protocol.state === "ACTIVE") {
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

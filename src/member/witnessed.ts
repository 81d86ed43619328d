/**
 * A member with a witness: what each input makes of its rights. What a right is, and who may give one, is in
 * `protocol/Rights.ts`; nothing else decides whether this member may serve.
 */
import type { Heartbeat } from "../protocol/Heartbeat.ts"
import * as Rights from "../protocol/Rights.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as Term from "../protocol/Term.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import { askWitness, noteAnswer, rightsAfter, warnOfOtherWitness, withRights } from "./askWitness.ts"
import { claim, claimIfWished, explanationOf, goOnPromoting } from "./claimRight.ts"
import type { Draft, Input } from "./data.ts"
import * as Dialogue from "./Dialogue.ts"
import { adopt, cease, lease } from "./holdRights.ts"
import { reply } from "./transition.ts"

/** The first question to the witness: what it has recorded. */
export const onStart = (draft: Draft): void => withRights(draft, () => askWitness(draft))

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
    warnOfOtherWitness(draft, before.request.askedAt)
    if (answer._tag === "Conflict" && rights.isActive) {
      askWitness(draft)
    } else if (answer._tag !== "NoAnswer") {
      claimIfWished(draft)
    }
  })

/** A heartbeat that names this process and echoes one that it sent a short time ago (R4). */
const onFresh = (draft: Draft, heartbeat: Heartbeat, echo: Dialogue.Sent): void =>
  withRights(draft, (rules, rights) => {
    const { now } = draft
    if (heartbeat.question === "Serve" && Rights.isSuperseded(rights, heartbeat.term)) {
      return cease(draft, { isSuperseded: true, explanation: "the peer is active with a later term" })
    }
    if (heartbeat.question === "Serve" && Rights.isRefuted(rights, heartbeat.term)) {
      return cease(draft, {
        isSuperseded: true,
        explanation: "the peer is active, although an operator answered for it"
      })
    }
    if (heartbeat.handsOver && draft.member.paused === undefined && draft.member.phase._tag === "Serving") {
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
    draft.member = { ...draft.member, rights: Rights.receive(before, draft.now) }
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

/** Whether the peer runs, and neither is active: the primary becomes active without a vote. */
const isPairIdle = ({ member: { peer, protocol }, now, rules }: Draft): boolean =>
  rules.role === "primary" && peer !== undefined && peer.state !== "ACTIVE" && protocol.state !== "ACTIVE" &&
  !StateMachine.isPeerExpired(protocol, now)

/** A question that was asked with the previous heartbeat is given up, even if its timer was late; in heartbeats. */
const answerWait = 0.75

/** Everything that is due with a heartbeat, before it is sent. */
export const onHeartbeatDue = (draft: Draft): void =>
  withRights(draft, (_, rights) => {
    const { member, now, rules } = draft
    const { request } = rights
    lease(draft, rights)
    if (request !== undefined && now - request.askedAt >= inMillis(rules, answerWait)) {
      noteAnswer(draft, { _tag: "NoAnswer", problem: "no answer in time" })
    }
    if (request === undefined || now - request.askedAt >= inMillis(rules, answerWait)) {
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
    } else if (member.wish !== undefined && now - member.wish.at > inMillis(rules, 1)) {
      draft.member = { ...draft.member, wish: undefined }
    }
  })

/** Applies outcomes of the state machine: the only place where a member's state changes. */
import type { Heartbeat } from "../protocol/Heartbeat.ts"
import * as Rights from "../protocol/Rights.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as Term from "../protocol/Term.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { Draft, Member, Output, Rules, Transition } from "./data.ts"
import * as Dialogue from "./Dialogue.ts"
import { questionOf } from "./question.ts"

/** Details of a transition besides its message. */
export interface Details extends Pick<Transition, "explanation" | "reason"> {
  /** Whether the reason is that of a switchover. */
  readonly isSwitchover?: boolean | undefined
}

/** What is sent beside the digit. The time counts from now, which is before it is sent. */
export const heartbeatOf = (
  draft: Draft,
  state: StateMachine.PeerState,
  { handsOver = false, promises = false, reason }: {
    readonly handsOver?: boolean
    readonly promises?: boolean
    readonly reason?: string | undefined
  } = {}
): Heartbeat => {
  const { member, now, rules } = draft
  const question = promises || handsOver ? undefined : questionOf(rules, member, now)
  const dialogue = Dialogue.send(member.dialogue, { at: now, question, state })
  draft.member = { ...member, dialogue }
  return {
    life: rules.life,
    sequence: dialogue.sequence,
    state,
    received: dialogue.received,
    term: knownTerm(member),
    isRecorded: member.rights !== undefined && Rights.isRecorded(member.rights),
    question,
    promises,
    handsOver,
    reason,
    activeMillis: member.activeSince === undefined ? undefined : Math.round(now - member.activeSince),
    witness: member.witness.fingerprint
  }
}

/** The largest term that a member knows. */
const knownTerm = ({ rights, term }: Member): Term.Term | undefined => rights === undefined ? term : rights.term

/** The term of a member that is active; none where the witness has yet to record one. */
export const termOf = (member: Member): Term.Term | undefined =>
  member.protocol.state === "ACTIVE" ? knownTerm(member) : undefined

/** This member ceases to be active of its own will, and closes its state port (R2, R9). */
export const leavePort = (draft: Draft): void => {
  const { member, now, rules } = draft
  if (member.rights !== undefined && rules.rights !== undefined) {
    const ceased = Rights.cease(rules.rights, member.rights, member.dialogue.sequence, now)
    draft.member = { ...member, rights: Rights.close(ceased) }
  }
}

/** A heartbeat was sent, so that the state port is bound: the guard starts (R9). */
export const onBound = (draft: Draft): void => {
  const { member, now, rules } = draft
  if (member.rights !== undefined && rules.rights !== undefined && member.protocol.state !== "HANDING_OVER") {
    draft.member = { ...member, rights: Rights.bind(rules.rights, member.rights, now) }
  }
}

/** A state message to be published. */
export const publishing = (
  draft: Draft,
  state: StateMachine.PeerState,
  { handsOver = false, isFinal = false, isHeartbeat = false, reason }: {
    readonly handsOver?: boolean
    readonly isFinal?: boolean
    readonly isHeartbeat?: boolean
    readonly reason?: string | undefined
  } = {}
): Output => ({
  _tag: "Publish",
  state,
  heartbeat: heartbeatOf(draft, state, { handsOver, reason }),
  isFinal,
  isHeartbeat
})

/** A heartbeat at once for a peer that understands it, if the state has heartbeats. */
export const reply = (draft: Draft, { promises = false } = {}): void => {
  const state = StateMachine.reportedState[draft.member.protocol.state]
  if (state !== undefined) {
    draft.outputs.push({ _tag: "Reply", heartbeat: heartbeatOf(draft, state, { promises }) })
  }
}

const publication = (
  draft: Draft,
  { next, publish }: StateMachine.Outcome,
  reason: string | undefined
): ReadonlyArray<Output> => {
  // A state without heartbeats also closes the port, so that the peer detects it.
  const isFinal = StateMachine.reportedState[next.state] === undefined
  const { rights } = draft.member
  // The guard of a member whose port is closed starts once that is open again.
  const isHeartbeat = !isFinal && rights !== undefined && !Rights.isBound(rights)
  return publish === undefined
    ? []
    : [publishing(draft, publish, { isFinal, handsOver: isFinal, isHeartbeat, reason: isFinal ? reason : undefined })]
}

/** Whether requests are accepted in this state. In any other they are votes. */
export const accepts = ({ policy, role }: Rules, state: StateMachine.State): boolean =>
  policy[role][state]?.ClientRequest._tag === "Stay"

/** The term that a transition begins or ends. The rights of a member with a witness precede its state. */
const termOfTransition = (
  { rights, term }: Member,
  from: StateMachine.State,
  to: StateMachine.State
): Pick<Transition, "term"> => {
  if (to === "ACTIVE" && from !== to) {
    return { term: rights === undefined ? Term.next(term) : rights.term }
  }
  return from === "ACTIVE" ? { term: rights === undefined ? term : rights.term } : {}
}

/** The transition of an outcome, for watchers and logs. */
export const describe = (
  draft: Draft,
  outcome: StateMachine.Outcome,
  cause: StateMachine.Event["_tag"],
  details: Details = {}
) => {
  const from = draft.member.protocol.state
  const to = outcome.next.state
  return {
    from,
    to,
    cause,
    message: outcome.message ?? cause,
    ...details,
    ...termOfTransition(draft.member, from, to),
    at: draft.now
  } satisfies Transition
}

const announce = (outcome: StateMachine.Outcome, transition: Transition): ReadonlyArray<Output> =>
  outcome.message === undefined ? [] : [{
    _tag: "Log",
    level: outcome.verdict._tag === "Fatal" ? "Error" : "Info",
    message: outcome.message,
    ...(transition.from === transition.to && outcome.verdict._tag !== "Fatal" ? {} : { transition })
  }]

const readyAs = { ACTIVE: "ready as active", PASSIVE: "ready as passive" } as const

type Description = Pick<Transition, "message" | "reason">

const bySwitchover = (who: string, reason: string, to: keyof typeof readyAs): Description => {
  const isGiven = reason.trim() !== ""
  return {
    message: `${who}took over by switchover${isGiven ? `: ${reason}` : ""}, ${readyAs[to]}`,
    ...(isGiven ? { reason } : {})
  }
}

/** A hand-over of the peer counts for as long as that waits for this member. Afterwards the peer may have been active again. */
const handedOverOf = ({ member: { handedOver }, now, rules }: Draft): Member["handedOver"] =>
  handedOver !== undefined && now - handedOver.echoAt <= inMillis(rules, timing.handOver) ? handedOver : undefined

/** The description of a takeover that an operator has ordered, here or at the peer. */
const plannedTakeover = (draft: Draft, { isSwitchover = false, reason }: Details): Description | undefined => {
  if (reason !== undefined) {
    return isSwitchover
      ? bySwitchover("", reason, "ACTIVE")
      : { message: `promoted by an operator, ${readyAs.ACTIVE}`, reason }
  }
  const handedOver = handedOverOf(draft)
  if (handedOver === undefined) {
    return undefined
  }
  return handedOver.reason === undefined
    ? { message: `${StateMachine.peerOf(draft.rules.role)} has handed over, ${readyAs.ACTIVE}` }
    : bySwitchover("", handedOver.reason, "ACTIVE")
}

/** The description of a planned transition, on either side; `undefined` if an operator has not planned it. */
const descriptionOf = (draft: Draft, to: StateMachine.State, details: Details): Description | undefined => {
  const { member: { handOverReason, protocol }, rules } = draft
  if (to === "ACTIVE" && protocol.state !== to) {
    return plannedTakeover(draft, details)
  }
  return to === "PASSIVE" && protocol.state === "HANDING_OVER" && handOverReason !== undefined
    ? bySwitchover(`${StateMachine.peerOf(rules.role)} `, handOverReason, to)
    : undefined
}

/** Describes a planned transition as what it is, instead of by the event that has led to it. */
const describePlanned = (
  draft: Draft,
  outcome: StateMachine.Outcome,
  given: Details
): readonly [StateMachine.Outcome, Details] => {
  const description = descriptionOf(draft, outcome.next.state, given)
  const { isSwitchover: _, ...details } = given
  if (description === undefined) {
    return [outcome, details]
  }
  const { message, ...reason } = description
  return [{ ...outcome, message }, { ...details, ...reason }]
}

interface Change {
  readonly transition: Transition
  readonly isTermOver: boolean
  /** Outputs once everything that ran in the term is finalized. */
  readonly then: ReadonlyArray<Output>
}

const change = (
  draft: Draft,
  plain: StateMachine.Outcome,
  cause: StateMachine.Event["_tag"],
  given: Details
): Change => {
  const [outcome, details] = describePlanned(draft, plain, given)
  const transition = describe(draft, outcome, cause, details)
  const { from, to } = transition
  const isActivated = from !== to && to === "ACTIVE"
  const { phase } = draft.member
  const isTermAgain = isActivated && phase._tag === "EndingTerm"
  draft.member = {
    ...draft.member,
    protocol: outcome.next,
    handedOver: isActivated ? undefined : draft.member.handedOver,
    handOverReason: to === "HANDING_OVER" ? details.reason ?? draft.member.handOverReason : undefined,
    ...(isActivated ? { term: transition.term, termAfter: draft.member.dialogue.sequence } : {}),
    activeSince: StateMachine.reportedState[to] === "ACTIVE" ? draft.member.activeSince ?? draft.now : undefined,
    // A term that begins while the previous one is ending has to end as well, at once.
    phase: isTermAgain ? { ...phase, _tag: "Draining", until: draft.now } : phase
  }
  // Published first: a server that is seen to be active has notified its peer, which would otherwise not take over from it.
  draft.outputs.push(...(isActivated ? publication(draft, outcome, undefined) : []), ...announce(outcome, transition))
  return {
    transition,
    isTermOver: from !== to && to !== "ACTIVE" && accepts(draft.rules, from),
    then: [
      ...(from === to ? [] : [{ _tag: "Transitioned", transition } as const]),
      ...(isActivated ? [{ _tag: "BeginTerm", transition } as const] : publication(draft, outcome, details.reason)),
      ...(isTermAgain ? [{ _tag: "WakeAt", at: draft.now } as const] : [])
    ]
  }
}

/** Applies an outcome. If that ends a term, everything that ran in it is finalized before another state is reported. */
export const become = (
  draft: Draft,
  outcome: StateMachine.Outcome,
  cause: StateMachine.Event["_tag"],
  details: Details = {}
): void => {
  const { isTermOver, then, transition } = change(draft, outcome, cause, details)
  const { verdict } = outcome
  if (!isTermOver && verdict._tag !== "Fatal") {
    draft.outputs.push(...then)
    return
  }
  const end = draft.member.endCount + 1
  draft.outputs.push({ _tag: "EndTerm", end, transition, isSilent: true })
  draft.member = {
    ...draft.member,
    endCount: end,
    phase: verdict._tag === "Fatal" ? { _tag: "Stopped" } : draft.member.phase,
    wait: {
      _tag: "TermEnded",
      end,
      then: verdict._tag === "Fatal" ? [{ _tag: "Abort", reason: verdict.reason }] : then,
      isStalled: false,
      deferred: []
    }
  }
}

/** The state, in neither case published, of a member that ends its term only to begin the next one. */
const betweenTerms = { primary: "PASSIVE", backup: "CONTESTED" } as const

/** Ends the term of an active member, and begins one above every term that it knows by now. */
export const beginTermAbove = (draft: Draft, known: Term.Term, cause: StateMachine.Event["_tag"]): void => {
  const { activeSince, protocol } = draft.member
  const message = `the peer knows term ${Term.format(known)}, beginning a later one`
  const outcome = { verdict: { _tag: "Accept" }, publish: undefined, message } as const
  become(draft, { ...outcome, next: { ...protocol, state: betweenTerms[draft.rules.role] } }, cause)
  const { outputs } = draft
  const end = outputs.length
  draft.member = { ...draft.member, term: known, activeSince }
  const { then } = change(draft, { ...outcome, next: protocol, publish: "ACTIVE" }, cause, {})
  const { wait } = draft.member
  if (wait?._tag === "TermEnded") {
    draft.member = { ...draft.member, wait: { ...wait, then: [...wait.then, ...outputs.splice(end), ...then] } }
  }
}

/** Applies an outcome after the term has ended. */
export const becomeAfterTerm = (
  draft: Draft,
  outcome: StateMachine.Outcome,
  cause: StateMachine.Event["_tag"],
  details: Details = {}
): void => {
  draft.outputs.push(...change(draft, outcome, cause, details).then)
}

/** Steps the state machine, and applies the outcome. */
export const advance = (draft: Draft, event: StateMachine.Event, details?: Details): void =>
  become(draft, StateMachine.step(draft.rules, draft.member.protocol, event), event._tag, details)

/** Publishes the state, if it has heartbeats. */
export const publishState = (draft: Draft, isHeartbeat: boolean): boolean => {
  const state = StateMachine.reportedState[draft.member.protocol.state]
  if (state !== undefined) {
    draft.outputs.push(publishing(draft, state, { isHeartbeat }))
  }
  return state !== undefined
}

/**
 * The core of a server: one pure function from inputs to outputs.
 *
 * Every decision of a member is made here and in the files beside it: the state machine, the freshness of heartbeats, stalls,
 * votes, commands, draining, handing over, stopping. No clock, no socket, no Effect: the runtime, the model checker and the
 * simulation all drive the same function.
 */
import * as Rights from "../protocol/Rights.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as ClaimRight from "./claimRight.ts"
import type { Draft, Input, Member, Output, Rules, Wait } from "./data.ts"
import * as Dialogue from "./Dialogue.ts"
import * as HeldRights from "./holdRights.ts"
import * as Identity from "./identity.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as Stall from "./stall.ts"
import * as Takeover from "./takeover.ts"
import { accepts, advance, become, onBound, publishState, reply, termOf } from "./transition.ts"
import * as Witnessed from "./witnessed.ts"
import * as WrongPeer from "./wrongPeer.ts"

export type {
  Command,
  CommandReason,
  ConnectionRefusal,
  Input,
  Member,
  Output,
  Phase,
  Rules,
  TakeoverBlock,
  Transition,
  Wait,
  WitnessAnswer
} from "./data.ts"
export { unreceivedSince } from "./identity.ts"
export { isStalled } from "./stall.ts"
export { blockAt, isStillWaiting } from "./takeover.ts"
export { termOf } from "./transition.ts"

/**
 * A member that has just started. Its first outputs publish its state and log its role.
 *
 * @category transitions
 */
export const start = (
  rules: Rules,
  now: number
): { readonly member: Member; readonly outputs: ReadonlyArray<Output> } => {
  const { next: protocol, message } = StateMachine.start(rules, now)
  const member: Member = {
    protocol,
    phase: { _tag: "Serving" },
    wait: undefined,
    peer: undefined,
    term: undefined,
    rights: rules.rights && Rights.start(rules.rights, now),
    witness: { answeredAt: undefined, problem: undefined, fingerprint: undefined },
    wish: undefined,
    rightsWakeAt: Number.NEGATIVE_INFINITY,
    termAfter: 0,
    activeSince: undefined,
    dialogue: Dialogue.empty,
    handOverReason: undefined,
    handedOver: undefined,
    peerDownReason: undefined,
    endCount: 0,
    linkEpoch: 0,
    startedAt: now,
    lastHeartbeatAt: now,
    briefStallAt: Number.NEGATIVE_INFINITY,
    vote: undefined,
    isReading: false,
    promotion: undefined,
    paused: undefined,
    failovers: []
  }
  const draft: Draft = { rules, now, member, outputs: [] }
  publishState(draft, false)
  Witnessed.onStart(draft)
  draft.outputs.push({ _tag: "Log", level: "Info", message: message! })
  return draft
}

/**
 * Processes inputs. Heartbeats of the peer, link changes and commands are processed in their order; then crash evidence, then
 * the member's own heartbeat, then votes.
 *
 * @category transitions
 */
export const step = (
  rules: Rules,
  member: Member,
  inputs: ReadonlyArray<Input>,
  now: number
): { readonly member: Member; readonly outputs: ReadonlyArray<Output> } => {
  const draft: Draft = { rules, now, member, outputs: [] }
  const { wait } = member
  if (wait === undefined) {
    checkSelf(draft)
    process(draft, inputs)
  } else {
    processResult(draft, wait, inputs)
  }
  return draft
}

/**
 * Whether requests are accepted, rejected, or votes, which are inputs of {@link step}. Called once for many requests. While
 * the member drains, queued requests are accepted, and the data plane rejects new ones. With the fencing `required` an active
 * member without a term rejects them: a vote would not give it one.
 *
 * @category guards
 */
export const admission = (rules: Rules, member: Member, now: number): "Accept" | "Reject" | "Vote" => {
  if (member.wait !== undefined || member.phase._tag === "EndingTerm" || member.phase._tag === "Stopped") {
    return "Reject"
  }
  if (!accepts(rules, member.protocol.state) || !HeldRights.mayServe(member, now)) {
    return "Vote"
  }
  return rules.fencing === "optional" || termOf(member) !== undefined ? "Accept" : "Reject"
}

/**
 * Whether requests are accepted at `now` without a {@link step} before: the state accepts them, and this process did not
 * stall, by any policy: the link is read after a stall.
 *
 * @category guards
 */
export const acceptsAtOnce = (rules: Rules, member: Member, now: number): boolean =>
  !StateMachine.isStalled(rules, member.lastHeartbeatAt, now) && admission(rules, member, now) === "Accept"

/**
 * Whether crash evidence would change the outcome of a vote, so that a vote may wait for it.
 *
 * @category guards
 */
export const awaitsEvidence = ({ phase, protocol }: Member, now: number): boolean =>
  phase._tag === "Serving" && !StateMachine.isPeerExpired(protocol, now)

/**
 * Whether completed replies may be sent. After a stall, or without a right to serve, they may not: the peer may have taken over.
 *
 * @category guards
 */
export const mayReply = (rules: Rules, member: Member, now: number): boolean =>
  !Stall.isStalled(rules, member, now) && (member.protocol.state !== "ACTIVE" || HeldRights.mayServe(member, now))

const rank: { readonly [T in Input["_tag"]]: number } = {
  PeerHeartbeat: 1,
  PeerMalformed: 1,
  LinkConnecting: 1,
  LinkConnected: 1,
  LinkLost: 1,
  Promote: 1,
  HandOver: 1,
  Pause: 1,
  Resume: 1,
  Stop: 1,
  PeerDown: 2,
  SubscriberJoined: 3,
  PeerJoined: 3,
  // An answer that is here counts, even if it was nearly given up.
  WitnessAnswered: 2,
  HeartbeatDue: 3,
  HeartbeatSent: 4,
  RequestsDrained: 4,
  TermEnded: 4,
  Woken: 4,
  LinkReset: 4,
  LinkRead: 4,
  Vote: 4
}

const inOrder = (inputs: ReadonlyArray<Input>): ReadonlyArray<Input> =>
  inputs.length < 2 ? inputs : [...inputs].sort((a, b) => rank[a._tag] - rank[b._tag])

const defer = (draft: Draft, wait: Wait, inputs: ReadonlyArray<Input>): void => {
  draft.member = { ...draft.member, wait: { ...wait, deferred: [...wait.deferred, ...inputs] } }
}

/** Steps down without a right, and restarts after a stall. */
const checkSelf = (draft: Draft): void => {
  HeldRights.checkRights(draft)
  if (draft.member.wait === undefined) {
    Stall.checkStall(draft)
  }
}

/** Processes inputs up to one that makes the member wait. The rest is deferred: it cannot contain the result of the wait. */
const process = (draft: Draft, inputs: ReadonlyArray<Input>): void => {
  const queue = inOrder(inputs)
  for (const [index, input] of queue.entries()) {
    const { wait } = draft.member
    if (wait !== undefined) {
      return defer(draft, wait, queue.slice(index))
    }
    react(draft, input)
  }
}

/**
 * Processes the result that the member waits for, wherever it is among the inputs, and then the rest. Link changes during a
 * stall are processed first, before the deadlines are renewed.
 */
const processResult = (draft: Draft, wait: Wait, inputs: ReadonlyArray<Input>): void => {
  const result = inputs.find((input) => isResult(wait, input))
  if (result === undefined) {
    return defer(draft, wait, inputs)
  }
  const rest = [...wait.deferred, ...inputs.filter((input) => input !== result)]
  const isFirst = (input: Input) => wait._tag === "LinkReset" && isLinkChange(input)
  draft.member = { ...draft.member, wait: undefined }
  rest.filter(isFirst).forEach((input) => react(draft, input))
  resume(draft, { ...wait, deferred: rest }, result)
  process(draft, rest.filter((input) => !isFirst(input)))
}

const isResult = (wait: Wait, input: Input): boolean =>
  wait._tag === "TermEnded" ? input._tag === "TermEnded" && input.end === wait.end : input._tag === wait._tag

const isLinkChange = ({ _tag }: Input): boolean =>
  _tag === "LinkConnecting" || _tag === "LinkConnected" || _tag === "LinkLost"

const resume = (draft: Draft, wait: Wait, result: Input): void => {
  if (wait._tag === "TermEnded") {
    draft.outputs.push(...wait.then)
    if (wait.isStalled) {
      Stall.onStalledTermEnded(draft)
    } else {
      // Finalizing the term may have taken long enough to be a stall.
      checkSelf(draft)
    }
  } else if (result._tag === "LinkReset") {
    Stall.onLinkReset(draft, wait, result)
    HeldRights.checkRights(draft)
  }
}

const onPeerHeartbeat = (draft: Draft, input: Extract<Input, { _tag: "PeerHeartbeat" }>): void => {
  WrongPeer.warnOfSameRole(draft, input)
  if (Identity.isStale(draft, input)) {
    return
  }
  const { heartbeat, receivedAt, state } = input
  if (state === draft.member.protocol.state && (state === "ACTIVE" || state === "PASSIVE")) {
    draft.outputs.push({ _tag: "Conflict", state })
  }
  Identity.noteEcho(draft, input)
  const handedOver = Identity.handedOverBy(draft, heartbeat)
  draft.member = { ...draft.member, peer: { state, receivedAt, heartbeat }, handedOver }
  if (heartbeat !== undefined && draft.member.rights === undefined) {
    const { dialogue } = draft.member
    draft.member = { ...draft.member, dialogue: Dialogue.receive(dialogue, heartbeat) ?? dialogue }
  }
  Witnessed.onHeartbeat(draft, heartbeat)
  if (draft.member.wait !== undefined) {
    return
  }
  Identity.learnTerm(draft, input, () => {
    const event = Identity.eventOf(draft, input)
    advance(draft, event, { explanation: Identity.explanationOf(input, event) })
  })
  if (state === "ACTIVE" && draft.member.protocol.state === "ACTIVE" && draft.member.wait === undefined) {
    draft.outputs.push({
      _tag: "Log",
      level: "Error",
      once: "TwoActive",
      message:
        `two servers are active: the peer at ${draft.rules.peerEndpoint} reports ACTIVE, and so does this one; ` +
        "stop one of them (a peer of another implementation may not step down by itself)"
    })
  }
}

const onPeerDown = (draft: Draft, evidence: StateMachine.CrashEvidence): void => {
  const outcome = StateMachine.step(draft.rules, draft.member.protocol, { _tag: "PeerDown", now: draft.now, evidence })
  draft.member = { ...draft.member, peerDownReason: outcome.message ?? draft.member.peerDownReason }
  // A peer closes its port after its final heartbeat.
  const isExpected = draft.member.peer?.heartbeat?.handsOver === true
  become(draft, isExpected ? { ...outcome, message: undefined } : outcome, "PeerDown")
  Witnessed.onEvidence(draft, evidence.asOf)
  voteForItself(draft)
}

/** Votes on the member's own behalf. One with a witness asks for the right to serve instead, unless it is handing over. */
const voteForItself = (draft: Draft): void => {
  const { protocol, rights } = draft.member
  if (rights === undefined || protocol.state === "HANDING_OVER") {
    return Takeover.voteForItself(draft)
  }
  if (draft.rules.isSelfVoting) {
    ClaimRight.claim(draft, "this server")
  }
}

const onHeartbeatDue = (draft: Draft): void => {
  Stall.checkBriefStall(draft)
  Witnessed.onHeartbeatDue(draft)
  if (!publishState(draft, true)) {
    draft.member = { ...draft.member, lastHeartbeatAt: draft.now }
  }
  voteForItself(draft)
  // The timer of a drain may have fired too early.
  Lifecycle.onWoken(draft)
}

const pause = (draft: Draft, id: number, paused: Member["paused"]): void => {
  draft.member = { ...draft.member, paused }
  ClaimRight.withdraw(draft)
  draft.outputs.push(
    paused === undefined
      ? { _tag: "Log", level: "Info", message: "resumed" }
      : { _tag: "Log", level: "Warning", message: `paused: ${paused.reason}` }
  )
  Takeover.complete(draft, id, undefined)
}

/** Whether a vote makes this member ask for the right to serve. One that is handing over waits for its peer. */
const isSeekingRight = ({ protocol, rights }: Member): boolean =>
  rights !== undefined && protocol.state !== "HANDING_OVER"

const react = (draft: Draft, input: Input): void => {
  if (draft.member.phase._tag === "Stopped") {
    return
  }
  switch (input._tag) {
    case "PeerHeartbeat":
      return input.linkEpoch < draft.member.linkEpoch ? undefined : onPeerHeartbeat(draft, input)
    case "PeerDown":
      return input.linkEpoch < draft.member.linkEpoch ? undefined : onPeerDown(draft, input.evidence)
    case "PeerMalformed":
      return WrongPeer.warnOfMalformed(draft, input.problem)
    case "LinkLost":
      Witnessed.onLinkLost(draft)
      return advance(draft, { _tag: "LinkLost", now: draft.now })
    case "LinkConnecting":
    case "LinkConnected":
      return advance(draft, { _tag: input._tag, now: draft.now })
    case "LinkRead":
      return Takeover.onLinkRead(draft, input)
    case "SubscriberJoined":
      publishState(draft, false)
      return
    case "PeerJoined":
      return reply(draft)
    case "HeartbeatDue":
      return onHeartbeatDue(draft)
    case "HeartbeatSent":
      draft.member = {
        ...draft.member,
        lastHeartbeatAt: Math.max(draft.member.lastHeartbeatAt, input.startedAt)
      }
      return input.isPortOpen ? onBound(draft) : HeldRights.onPortClosed(draft)
    case "Vote":
      return isSeekingRight(draft.member) ? ClaimRight.claim(draft, input.voter) : Takeover.onVote(draft, input)
    case "Promote":
      return draft.member.rights === undefined
        ? Takeover.onPromote(draft, input)
        : ClaimRight.onPromote(draft, input)
    case "WitnessAnswered":
      return Witnessed.onWitnessAnswered(draft, input)
    case "HandOver":
      return Lifecycle.onHandOver(draft, input)
    case "Stop":
      return Lifecycle.onStop(draft)
    case "RequestsDrained":
      return Lifecycle.onRequestsDrained(draft)
    case "Woken":
      HeldRights.onWoken(draft)
      return Lifecycle.onWoken(draft)
    case "TermEnded":
      return Lifecycle.onTermEnded(draft, input.end)
    case "Pause":
      return pause(draft, input.id, { reason: input.reason, since: draft.now })
    case "Resume":
      return pause(draft, input.id, undefined)
    case "LinkReset":
      return
  }
}

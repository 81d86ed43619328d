/**
 * What a heartbeat with an identity reports beyond its state. Whether a member with a witness may serve is decided by `Rights.ts` alone;
 * the policy of the Guide knows states only.
 */
import type { Heartbeat } from "../protocol/Heartbeat.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as Term from "../protocol/Term.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { Draft, Input, Member, Rules } from "./data.ts"
import * as Dialogue from "./Dialogue.ts"
import { beginTermAbove } from "./transition.ts"

type Received = Extract<Input, { _tag: "PeerHeartbeat" }>

/** Whether the policy has a transition for a hand-over. */
const hasHandOver = ({ policy, role }: Rules): boolean => policy[role].PASSIVE?.PeerHandsOver !== undefined

/** Whether the policy goes by identities, and nothing else does. */
const goesByIdentity = ({ member: { rights }, rules }: Draft): boolean => rights === undefined && hasHandOver(rules)

/**
 * Whether a heartbeat is stale: the peer has sent a later one, or it names an earlier process of this member, although the peer knows
 * this one. Heartbeats of a peer that cannot receive this process count all the same.
 */
export const isStale = (draft: Draft, { heartbeat }: Received): boolean => {
  const { member: { dialogue }, rules: { life } } = draft
  return heartbeat !== undefined && goesByIdentity(draft) && (
    Dialogue.receive(dialogue, heartbeat) === undefined ||
    dialogue.echoedAt !== undefined && heartbeat.received !== undefined && heartbeat.received.life !== life
  )
}

// ---- the way to the peer

/** Since when the peer has received nothing from this member although its heartbeats arrive, if that is long enough for a warning. */
export const unreceivedSince = (rules: Rules, { dialogue }: Member, at: number): number | undefined =>
  dialogue.unreceivedSince !== undefined && at - dialogue.unreceivedSince > inMillis(rules, timing.unreceived)
    ? dialogue.unreceivedSince
    : undefined

const warnOfOneWay = ({ member, now, outputs, rules }: Draft): void => {
  const since = unreceivedSince(rules, member, now)
  if (since !== undefined) {
    const peer = StateMachine.peerOf(rules.role)
    outputs.push({
      _tag: "Log",
      level: "Warning",
      once: "OneWay",
      message:
        `the ${peer} at ${rules.peerEndpoint} has received no heartbeat of this server for ${
          Math.round((now - since) / 1000)
        } s, although its own arrive: ` +
        `check the way from it to ${rules.stateEndpoint}, and its --peer`
    })
  }
}

/** Notes which heartbeat of this member the peer has received. To be called before `peer` is that heartbeat. */
export const noteEcho = (draft: Draft, { heartbeat, receivedAt }: Received): void => {
  const { member: { dialogue, peer, protocol }, now, rules } = draft
  const wasSilent = peer === undefined || receivedAt - peer.receivedAt > rules.peerTimeoutMillis
  const before = wasSilent ? { ...dialogue, unreceivedSince: undefined } : dialogue
  if (heartbeat === undefined) {
    draft.member = { ...draft.member, dialogue: before }
    return
  }
  const echo = Dialogue.echoed(dialogue, rules.life, heartbeat.received)
  // A member that hands over publishes nothing.
  const isReceived = echo !== undefined && now - echo.at <= rules.peerTimeoutMillis ||
    StateMachine.reportedState[protocol.state] === undefined
  draft.member = { ...draft.member, dialogue: Dialogue.noteEcho(before, echo, isReceived ? undefined : now) }
  warnOfOneWay(draft)
}

// ---- the event

/**
 * A heartbeat that hands over counts only for a process that was passive when it sent the heartbeat that is echoed, a short time ago,
 * and ever since: one that has reported another state may have made a new process of its peer active.
 */
const isHandedOver = ({ member, now, rules }: Draft, heartbeat: Heartbeat): boolean => {
  const { dialogue, paused, phase } = member
  const echo = Dialogue.echoed(dialogue, rules.life, heartbeat.received)
  return heartbeat.handsOver && echo?.state === "PASSIVE" && now - echo.at < rules.peerTimeoutMillis &&
    Dialogue.hasReportedSince(dialogue, echo) && phase._tag === "Serving" && paused === undefined
}

/**
 * The hand-over that a heartbeat reports, for people: none if this member is active already, or follows the Guide, whose takeovers have
 * its own descriptions.
 */
export const handedOverBy = (
  { member: { dialogue, protocol, rights }, rules }: Draft,
  heartbeat: Heartbeat | undefined
): Member["handedOver"] => {
  if (heartbeat?.handsOver !== true || protocol.state === "ACTIVE" || rights === undefined && !hasHandOver(rules)) {
    return undefined
  }
  const echo = Dialogue.echoed(dialogue, rules.life, heartbeat.received)
  return echo && { reason: heartbeat.reason, echoAt: echo.at }
}

const heartbeatEventOf = (draft: Draft, heartbeat: Heartbeat): StateMachine.HeartbeatEvent | undefined => {
  const { member: { activeSince }, now } = draft
  if (isHandedOver(draft, heartbeat)) {
    return "PeerHandsOver"
  }
  return heartbeat.state === "ACTIVE" && heartbeat.activeMillis !== undefined && activeSince !== undefined
    ? now - activeSince < heartbeat.activeMillis ? "PeerSenior" : "PeerJunior"
    : undefined
}

/** The event of a heartbeat: what it reports beyond its state where the policy has a cell for that, otherwise its state. */
export const eventOf = (draft: Draft, { heartbeat, receivedAt, state }: Received): StateMachine.Event => {
  const { member: { protocol }, rules: { policy, role } } = draft
  const event = heartbeat && heartbeatEventOf(draft, heartbeat)
  const _tag = event !== undefined && policy[role][protocol.state]?.[event] !== undefined
    ? event
    : StateMachine.eventOf[state]
  return { _tag, now: receivedAt }
}

export const explanationOf = ({ heartbeat, state }: Received, { _tag }: StateMachine.Event): string => {
  const term = heartbeat?.term === undefined ? "" : ` of term ${Term.format(heartbeat.term)}`
  switch (_tag) {
    case "PeerHandsOver":
      return `the final heartbeat${term}`
    case "PeerSenior":
    case "PeerJunior":
      return `the peer reports ACTIVE${term}, for ${Math.round((heartbeat?.activeMillis ?? 0) / 1000)} s`
    default:
      return `the peer reports ${state}`
  }
}

// ---- terms

/**
 * The largest term that is known after a heartbeat. Two servers that became active without each other may have begun the same: then
 * it counts as a term above. A peer that has received this term has it from here.
 */
const knownAfter = ({ member, rules: { life } }: Draft, heartbeat: Heartbeat): Term.Term | undefined => {
  const { protocol, term } = member
  const { received } = heartbeat
  const isFromHere = received?.life === life && received.sequence > member.termAfter
  const isSame = term !== undefined && heartbeat.term !== undefined && Term.compare(term, heartbeat.term) === 0
  return protocol.state === "ACTIVE" && heartbeat.state === "ACTIVE" && isSame && !isFromHere
    ? Term.next(term)
    : Term.latest(term, heartbeat.term)
}

/**
 * Learns of the peer's term, before its heartbeat is processed, which `process` does. A member that is active afterwards, and not above
 * all terms that it knows, begins one that is: a store may have seen those.
 */
export const learnTerm = (draft: Draft, { heartbeat }: Received, process: () => void): void => {
  const { protocol, term } = draft.member
  if (heartbeat === undefined || protocol.state !== "ACTIVE" || !goesByIdentity(draft)) {
    draft.member = { ...draft.member, term: Term.latest(term, heartbeat?.term) }
    return process()
  }
  const known = knownAfter(draft, heartbeat)
  process()
  if (draft.member.protocol.state !== "ACTIVE") {
    draft.member = { ...draft.member, term: known }
  } else if (known !== undefined && known !== term && draft.member.phase._tag === "Serving") {
    beginTermAbove(draft, known, StateMachine.eventOf[heartbeat.state])
  }
}

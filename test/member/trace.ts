/** Prints outputs and members, one line each. Instants are relative to now, in milliseconds. */
import type { Input, Member, Rules } from "../../src/member/Member.ts"
import { admission } from "../../src/member/Member.ts"
import { printOutput, quoted, relative } from "../../src/verify/simulation/coreTrace.ts"

export { printOutput }

const answers: { readonly [T in Input["_tag"]]?: string } = {
  HeartbeatSent: "heartbeat sent",
  LinkRead: "link read",
  LinkReset: "link reset",
  TermEnded: "term ended"
}

/** Inputs that the harness gives by itself. */
export const printAnswer = (inputs: ReadonlyArray<Input>): string =>
  inputs.map((input) => input._tag === "PeerHeartbeat" ? `peer ${input.state}` : answers[input._tag] ?? input._tag)
    .join(" & ")

const printPhase = ({ phase }: Member, now: number): string => {
  switch (phase._tag) {
    case "Draining":
      return `Draining until ${relative(phase.until, now)}${phase.handOver === undefined ? "" : ", handing over"}`
    case "EndingTerm":
      return `EndingTerm${phase.handOver === undefined ? "" : ", handing over"}`
    case "Serving":
    case "Stopped":
      return phase._tag
  }
}

/** What a member remembers, and what it does with requests. */
export const printMember = (rules: Rules, member: Member, now: number): string => {
  const { failovers, paused, peer, promotion, protocol, wait } = member
  const { connectionDeadline, hasReceived, link, peerDeadline, state } = protocol
  return [
    `= ${state}`,
    printPhase(member, now),
    admission(rules, member, now),
    `peer deadline ${Number.isFinite(peerDeadline) ? relative(peerDeadline, now) : "over: it is down"}`,
    ...(Number.isFinite(connectionDeadline) ? [`connection deadline ${relative(connectionDeadline, now)}`] : []),
    ...(link === "Down" ? [] : [`link ${link}`]),
    ...(peer === undefined
      ? []
      : [`peer ${peer.state} ${relative(peer.receivedAt, now)}${hasReceived ? "" : " (void)"}`]),
    ...(promotion === undefined ? [] : [`promotion ${promotion.waiting === undefined ? "pending" : "waiting"}`]),
    ...(paused === undefined ? [] : [`paused${quoted(paused.reason)}`]),
    ...(failovers.length === 0 ? [] : [`failovers ${failovers.map((at) => relative(at, now)).join(" ")}`]),
    ...(wait === undefined
      ? []
      : [`waits for ${wait._tag}, deferred [${wait.deferred.map(({ _tag }) => _tag).join(" ")}]`])
  ].join("; ")
}

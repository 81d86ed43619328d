/**
 * The core of a server of the pair: one pure function from what has happened to what follows.
 *
 * Everything that decides what a member does is here and beside it: the state machine, the freshness of what it knows of its
 * peer, stalls, votes, commands, draining, handing over, stopping. No clock, no socket, no Effect: the runtime, the model
 * checker and the simulation all drive the same function.
 */
import * as StateMachine from "../protocol/StateMachine.ts"
import type { Input, Member, Output, Rules, Turn, Wait } from "./data.ts"
import * as Lifecycle from "./lifecycle.ts"
import * as Stall from "./stall.ts"
import * as Takeover from "./takeover.ts"
import { accepts, advance, become, publishState } from "./transition.ts"

export type { Command, Input, Member, Output, Phase, Refusal, Rejection, Rules, Transition, Wait } from "./data.ts"
export { isStalled } from "./stall.ts"
export { type Block, blockAt, isStillWaiting } from "./takeover.ts"

/**
 * A member that has just started, and what it does first: it publishes its state and logs its role.
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
    peerDownBecause: undefined,
    ends: 0,
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
  const turn: Turn = { rules, now, member, outputs: [] }
  publishState(turn, false)
  turn.outputs.push({ _tag: "Log", level: "Info", message: message! })
  return turn
}

/**
 * What becomes of a member, and what is to be done, when inputs have come in. Heartbeats of the peer, connections and commands
 * are taken in their order; then evidence, then the member's own heartbeat, then votes.
 *
 * @category transitions
 */
export const step = (
  rules: Rules,
  member: Member,
  inputs: ReadonlyArray<Input>,
  now: number
): { readonly member: Member; readonly outputs: ReadonlyArray<Output> } => {
  const turn: Turn = { rules, now, member, outputs: [] }
  const { wait } = member
  if (wait === undefined) {
    Stall.checkStall(turn)
    take(turn, inputs)
  } else {
    takeAnswer(turn, wait, inputs)
  }
  return turn
}

/**
 * What a request is to a member: to be accepted, to be rejected, or a vote, which is given to {@link step}. Asked
 * once for many requests.
 *
 * @category guards
 */
export const admission = (rules: Rules, member: Member): "Accept" | "Reject" | "Vote" => {
  if (member.wait !== undefined || member.phase._tag === "EndingTerm" || member.phase._tag === "Stopped") {
    return "Reject"
  }
  return accepts(rules, member.protocol.state) ? "Accept" : "Vote"
}

/**
 * Whether requests are accepted at a time without a {@link step} before: they are accepted, and this process did not stall.
 *
 * @category guards
 */
export const acceptsAtOnce = (rules: Rules, member: Member, now: number): boolean =>
  !StateMachine.isStalled(rules, member.lastHeartbeatAt, now) && admission(rules, member) === "Accept"

/**
 * Whether replies that are ready may be sent, or the peer may have taken over since their requests were accepted.
 *
 * @category guards
 */
export const mayReply = (rules: Rules, member: Member, now: number): boolean => !Stall.isStalled(rules, member, now)

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

const defer = (turn: Turn, wait: Wait, inputs: ReadonlyArray<Input>): void => {
  turn.member = { ...turn.member, wait: { ...wait, deferred: [...wait.deferred, ...inputs] } }
}

/**
 * Takes inputs in, up to one that makes the member wait: the rest is kept until what it waits for has come, which cannot be
 * among them.
 */
const take = (turn: Turn, inputs: ReadonlyArray<Input>): void => {
  const queue = inOrder(inputs)
  for (const [index, input] of queue.entries()) {
    const { wait } = turn.member
    if (wait !== undefined) {
      return defer(turn, wait, queue.slice(index))
    }
    react(turn, input)
  }
}

/**
 * Takes in what the member waits for, wherever it is among other inputs, and then the rest. What has become of the connection
 * during a stall is taken in before the deadlines begin anew.
 */
const takeAnswer = (turn: Turn, wait: Wait, inputs: ReadonlyArray<Input>): void => {
  const answer = inputs.find((input) => isAnswer(wait, input))
  if (answer === undefined) {
    return defer(turn, wait, inputs)
  }
  const rest = [...wait.deferred, ...inputs.filter((input) => input !== answer)]
  const isFirst = (input: Input) => wait._tag === "LinkReset" && isLinkStep(input)
  turn.member = { ...turn.member, wait: undefined }
  rest.filter(isFirst).forEach((input) => react(turn, input))
  resume(turn, { ...wait, deferred: rest }, answer)
  take(turn, rest.filter((input) => !isFirst(input)))
}

const isAnswer = (wait: Wait, input: Input): boolean =>
  wait._tag === "TermEnded" ? input._tag === "TermEnded" && input.end === wait.end : input._tag === wait._tag

const isLinkStep = ({ _tag }: Input): boolean =>
  _tag === "LinkConnecting" || _tag === "LinkConnected" || _tag === "LinkLost"

const resume = (turn: Turn, wait: Wait, answer: Input): void => {
  if (wait._tag === "TermEnded") {
    turn.outputs.push(...wait.then)
    if (wait.isStalled) {
      Stall.onStalledTermEnded(turn)
    } else {
      // Finalizing a term may have taken so long that this is a stall.
      Stall.checkStall(turn)
    }
  } else if (answer._tag === "LinkReset") {
    Stall.onLinkReset(turn, wait, answer)
  }
}

const onPeerHeartbeat = (turn: Turn, { receivedAt, state }: Extract<Input, { _tag: "PeerHeartbeat" }>): void => {
  if (state === turn.member.protocol.state && (state === "ACTIVE" || state === "PASSIVE")) {
    turn.outputs.push({ _tag: "Conflict", state })
  }
  turn.member = { ...turn.member, peer: { state, receivedAt } }
  advance(turn, { _tag: StateMachine.eventOf[state], now: receivedAt }, { explanation: `the peer reports ${state}` })
  if (state === "ACTIVE" && turn.member.protocol.state === "ACTIVE" && turn.member.wait === undefined) {
    turn.outputs.push({
      _tag: "Log",
      level: "Error",
      burst: "TwoActive",
      message: `two servers are active: the peer at ${turn.rules.peerEndpoint} reports ACTIVE, and so does this one; ` +
        "stop one of them (a peer of another make may not step down by itself)"
    })
  }
}

const onPeerDown = (turn: Turn, evidence: StateMachine.Evidence): void => {
  const outcome = StateMachine.step(turn.rules, turn.member.protocol, { _tag: "PeerDown", now: turn.now, evidence })
  turn.member = { ...turn.member, peerDownBecause: outcome.message ?? turn.member.peerDownBecause }
  become(turn, outcome, "PeerDown")
  Takeover.voteForItself(turn)
}

const onHeartbeatDue = (turn: Turn): void => {
  Stall.onLate(turn)
  if (!publishState(turn, true)) {
    turn.member = { ...turn.member, lastHeartbeatAt: turn.now }
  }
  Takeover.voteForItself(turn)
  // The timer of a drain may have fired too early to count.
  Lifecycle.onWoken(turn)
}

const pause = (turn: Turn, id: number, paused: Member["paused"]): void => {
  turn.member = { ...turn.member, paused }
  turn.outputs.push(
    paused === undefined
      ? { _tag: "Log", level: "Info", message: "resumed" }
      : { _tag: "Log", level: "Warning", message: `paused: ${paused.reason}` },
    { _tag: "Complete", id, rejection: undefined, since: turn.now }
  )
}

const react = (turn: Turn, input: Input): void => {
  if (turn.member.phase._tag === "Stopped") {
    return
  }
  switch (input._tag) {
    case "PeerHeartbeat":
      return input.linkEpoch < turn.member.linkEpoch ? undefined : onPeerHeartbeat(turn, input)
    case "PeerDown":
      return input.linkEpoch < turn.member.linkEpoch ? undefined : onPeerDown(turn, input.evidence)
    case "PeerMalformed":
      turn.outputs.push({
        _tag: "Log",
        level: "Warning",
        burst: "Malformed",
        message: `malformed state message from the peer at ${turn.rules.peerEndpoint} ignored: ${input.problem}`
      })
      return
    case "LinkConnecting":
    case "LinkConnected":
    case "LinkLost":
      return advance(turn, { _tag: input._tag, now: turn.now })
    case "LinkRead":
      return Takeover.onLinkRead(turn, input)
    case "SubscriberJoined":
      publishState(turn, false)
      return
    case "HeartbeatDue":
      return onHeartbeatDue(turn)
    case "HeartbeatSent":
      turn.member = {
        ...turn.member,
        lastHeartbeatAt: Math.max(turn.member.lastHeartbeatAt, input.startedAt)
      }
      return
    case "Vote":
      return Takeover.onVote(turn, input)
    case "Promote":
      return Takeover.onPromote(turn, input.id, input.reason)
    case "HandOver":
      return Lifecycle.onHandOver(turn, input)
    case "Stop":
      return Lifecycle.onStop(turn)
    case "RequestsDrained":
      return Lifecycle.onRequestsDrained(turn)
    case "Woken":
      return Lifecycle.onWoken(turn)
    case "TermEnded":
      return Lifecycle.onTermEnded(turn, input.end)
    case "Pause":
      return pause(turn, input.id, { reason: input.reason, since: turn.now })
    case "Resume":
      return pause(turn, input.id, undefined)
    case "LinkReset":
      return
  }
}

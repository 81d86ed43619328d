/**
 * A small language for what happens to a member. A line is one step: an optional time (`at 1500`, `+500`), then inputs joined
 * by ` & `. The harness reports results of outputs at once, except after the line `manual`.
 */
import type { Input, Member, Output, Rules } from "../../src/member/Member.ts"
import * as Core from "../../src/member/Member.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"
import { makeRules } from "./rules.ts"
import { printAnswer, printMember, printOutput } from "./trace.ts"

const heartbeatMillis = 1000

interface Session {
  readonly rules: Rules
  readonly lines: Array<string>
  readonly pending: Array<Output>
  /** Messages of the peer that have not been read. */
  unread: ReadonlyArray<Input>
  now: number
  /** Of what is received now, and once the link has been reset. */
  epoch: number
  nextEpoch: number
  lastId: number
  member: Member
  isManual: boolean
  hasSubscriber: boolean
}

const tokensOf = (text: string): Array<string> =>
  Array.from(text.matchAll(/"([^"]*)"|(\S+)/g), ([, quoted, plain]) => quoted ?? plain!)

/** The number after a token, if present. */
const numberAfter = (tokens: ReadonlyArray<string>, token: string): number | undefined => {
  const index = tokens.indexOf(token)
  return index < 0 ? undefined : Number(tokens[index + 1])
}

const startOf = (tokens: ReadonlyArray<string>): Rules => {
  const [, role, policy] = tokens
  if ((role !== "primary" && role !== "backup") || (policy !== "classic" && policy !== "hardened")) {
    throw new Error(`start what? ${tokens.join(" ")}`)
  }
  return makeRules({
    role,
    policy: Policies.policies[policy],
    lone: tokens.includes("lone-serve") ? "serve" : "wait",
    isSelfVoting: tokens.includes("self-voting"),
    drainMillis: numberAfter(tokens, "drain") ?? 5000,
    maxFailovers: numberAfter(tokens, "max-failovers") ?? Number.POSITIVE_INFINITY
  })
}

const isPeerState = (text: string | undefined): text is StateMachine.PeerState =>
  StateMachine.peerStates.some((state) => state === text)

/** The end of a term that the member waits for. */
const endOf = ({ endCount, phase, wait }: Member): number =>
  wait?._tag === "TermEnded" ? wait.end : phase._tag === "EndingTerm" ? phase.end : endCount

const answer = (session: Session, tokens: ReadonlyArray<string>): Input | undefined => {
  const { hasSubscriber, now } = session
  switch (tokens.slice(0, 2).join(" ")) {
    case "link read":
      return { _tag: "LinkRead", at: numberAfter(tokens, "as-of") ?? now, hasSubscriber }
    case "link reset":
      return { _tag: "LinkReset", refusal: undefined }
    case "link refused": {
      const knownAt = numberAfter(tokens, "as-of") ?? now
      return { _tag: "LinkReset", refusal: { triedAt: knownAt, knownAt } }
    }
    case "term ended":
      return { _tag: "TermEnded", end: numberAfter(tokens, "of") ?? endOf(session.member) }
    case "heartbeat sent":
      return { _tag: "HeartbeatSent", startedAt: numberAfter(tokens, "as-of") ?? now, isPortOpen: true }
    case "link connecting":
      return { _tag: "LinkConnecting" }
    case "link connected":
      return { _tag: "LinkConnected" }
    case "link lost":
      return { _tag: "LinkLost" }
    default:
      return undefined
  }
}

const command = (session: Session, [name, reason = ""]: ReadonlyArray<string>): Input | undefined => {
  const tag = ({ "promote": "Promote", "hand-over": "HandOver", "pause": "Pause" } as const)[name ?? ""]
  if (tag !== undefined) {
    return { _tag: tag, id: ++session.lastId, reason }
  }
  return name === "resume" ? { _tag: "Resume", id: ++session.lastId } : undefined
}

const simple: { readonly [name: string]: Input | undefined } = {
  heartbeat: { _tag: "HeartbeatDue" },
  joined: { _tag: "SubscriberJoined" },
  stop: { _tag: "Stop" },
  drained: { _tag: "RequestsDrained" },
  wake: { _tag: "Woken" }
}

const parseInput = (session: Session, text: string): Input => {
  const { epoch: linkEpoch, hasSubscriber, now } = session
  const tokens = tokensOf(text)
  const [name, state] = tokens
  const at = numberAfter(tokens, "as-of") ?? now
  if (name === "peer" && isPeerState(state)) {
    return { _tag: "PeerHeartbeat", state, receivedAt: at, linkEpoch }
  }
  if (name === "down") {
    const evidence = { _tag: "ConnectionRefused", endpoint: session.rules.peerEndpoint, asOf: at } as const
    return { _tag: "PeerDown", evidence, linkEpoch }
  }
  if (name === "vote") {
    return { _tag: "Vote", voter: tokens.slice(1).join(" "), hasSubscriber }
  }
  const input = answer(session, tokens) ?? command(session, tokens) ?? (tokens.length === 1 ? simple[text] : undefined)
  if (input === undefined) {
    throw new Error(`what is "${text}"?`)
  }
  return input
}

/** What the runtime would report back after an output. */
const answerTo = (session: Session, output: Output): ReadonlyArray<Input> | undefined => {
  const { hasSubscriber, now, unread } = session
  switch (output._tag) {
    case "Publish":
      return output.isHeartbeat ? [{ _tag: "HeartbeatSent", startedAt: now, isPortOpen: true }] : undefined
    case "EndTerm":
      return [{ _tag: "TermEnded", end: output.end }]
    case "ReadLink":
      session.unread = []
      return [...unread, { _tag: "LinkRead", at: now, hasSubscriber }]
    case "ResetLink":
      session.unread = []
      return [...unread, { _tag: "LinkReset", refusal: undefined }]
    default:
      return undefined
  }
}

const step = (session: Session, inputs: ReadonlyArray<Input>): void => {
  const { member, outputs } = Core.step(session.rules, session.member, inputs, session.now)
  session.member = member
  if (inputs.some(({ _tag }) => _tag === "LinkReset")) {
    session.epoch = session.nextEpoch
  }
  session.pending.push(...outputs)
}

/** Performs outputs in order; what follows from an answer comes after what was to be done before. */
const perform = (session: Session): void => {
  for (let output = session.pending.shift(); output !== undefined; output = session.pending.shift()) {
    session.lines.push(`  ${printOutput(output, session.now)}`)
    if (output._tag === "ResetLink") {
      session.nextEpoch = output.epoch
    }
    const inputs = session.isManual ? undefined : answerTo(session, output)
    if (inputs !== undefined) {
      session.lines.push(`  < ${printAnswer(inputs)}`)
      step(session, inputs)
    }
  }
}

/** Heartbeats until a time, so that the member does not stall; only what else they lead to is shown. */
const heartbeatsUntil = (session: Session, until: number): void => {
  while (session.member.lastHeartbeatAt + heartbeatMillis <= until) {
    session.now = session.member.lastHeartbeatAt + heartbeatMillis
    const before = session.lines.length
    step(session, [{ _tag: "HeartbeatDue" }])
    perform(session)
    const shown = session.lines.splice(before).filter((line) => !/\(heartbeat\)$|< heartbeat sent$/.test(line))
    session.lines.push(...(shown.length === 0 ? [] : [`  at ${session.now}:`, ...shown]))
  }
  session.now = until
}

const settings = (session: Session, text: string): boolean => {
  const tokens = tokensOf(text)
  switch (tokens[0]) {
    case "manual":
    case "automatic":
      session.isManual = text === "manual"
      return true
    case "subscriber":
      session.hasSubscriber = tokens[1] === "yes"
      return true
    case "unread":
      session.unread = [...session.unread, parseInput(session, tokens.slice(1).join(" "))]
      return true
    case "heartbeats":
      heartbeatsUntil(session, Number(tokens[2]))
      return false
    default:
      return false
  }
}

const runLine = (session: Session, line: string): void => {
  const { absolute, relative, text } = /^(?:at (?<absolute>\d+) |\+(?<relative>\d+) )?(?<text>.*)$/.exec(line)!.groups!
  session.now = absolute === undefined ? session.now + Number(relative ?? 0) : Number(absolute)
  session.lines.push(line)
  if (settings(session, text!)) {
    return
  }
  if (!text!.startsWith("heartbeats ")) {
    step(session, text!.split(" & ").map((input) => parseInput(session, input)))
    perform(session)
  }
  session.lines.push(`  ${printMember(session.rules, session.member, session.now)}`)
}

/** Everything that happens in a script. */
export const run = (script: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [first = "", ...rest] = script.filter((line) => line !== "" && !line.startsWith("#"))
  const rules = startOf(tokensOf(first))
  const { member, outputs } = Core.start(rules, 0)
  const session: Session = {
    rules,
    lines: [first],
    pending: [...outputs],
    unread: [],
    now: 0,
    epoch: 0,
    nextEpoch: 0,
    lastId: 0,
    member,
    isManual: false,
    hasSubscriber: false
  }
  perform(session)
  session.lines.push(`  ${printMember(rules, member, 0)}`)
  for (const line of rest) {
    runLine(session, line)
  }
  return session.lines
}

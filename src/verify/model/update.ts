/** A state of the world while a move changes it: what happens to members, and what follows for connections and messages. */
import * as StateMachine from "../../protocol/StateMachine.ts"
import { answers } from "./answers.ts"
import { isSubscriptionDue } from "./connections.ts"
import type { MessageKind, Stimulus } from "./drive.ts"
import type { Reaction, ReactionNode } from "./reactions.ts"
import { messageOf, type Setup } from "./setup.ts"
import {
  disconnected,
  isLinkProven,
  isRefusing,
  isRunning,
  other,
  type Process,
  type Side,
  sides,
  subscribed,
  type World
} from "./world.ts"

/** Receives every stimulus of a member with its reaction. */
export type Observer = (side: Side, stimulus: Stimulus, reaction: Reaction) => void

type Draft = {
  -readonly [K in keyof World]: World[K] extends readonly [infer A, infer B] ? [A, B] : World[K]
}

export interface Update {
  readonly setup: Setup
  readonly world: Draft
  readonly observe: Observer | undefined
}

/** Field by field, which is several times faster than to spread. */
export const make = (setup: Setup, world: World, observe: Observer | undefined): Update => ({
  setup,
  world: {
    processes: [world.processes[0], world.processes[1]],
    messages: [world.messages[0], world.messages[1]],
    connections: [world.connections[0], world.connections[1]],
    isCut: world.isCut,
    knowsPassive: [world.knowsPassive[0], world.knowsPassive[1]],
    unproven: [world.unproven[0], world.unproven[1]],
    rounds: world.rounds,
    kills: world.kills,
    stops: world.stops,
    pauses: world.pauses,
    cuts: world.cuts,
    handovers: world.handovers,
    unanswered: world.unanswered,
    hasAborted: world.hasAborted,
    hasKeptStaleTerm: world.hasKeptStaleTerm
  },
  observe
})

// Each sets the fields of a process one by one, which is faster than any partial update.

export const setStatus = ({ processes }: Draft, side: Side, status: Process["status"]): void => {
  const { evidence, evidenceAge, isOvertaken, node } = processes[side]
  processes[side] = { status, node, evidence, evidenceAge, isOvertaken }
}

export const setNode = ({ processes }: Draft, side: Side, node: ReactionNode): void => {
  const { evidence, evidenceAge, isOvertaken, status } = processes[side]
  processes[side] = { status, node, evidence, evidenceAge, isOvertaken }
}

export const setEvidence = (
  { processes }: Draft,
  side: Side,
  evidence: Process["evidence"],
  evidenceAge: number
): void => {
  const { isOvertaken, node, status } = processes[side]
  processes[side] = { status, node, evidence, evidenceAge, isOvertaken }
}

const setOvertaken = ({ processes }: Draft, side: Side, isOvertaken: boolean): void => {
  const { evidence, evidenceAge, node, status } = processes[side]
  processes[side] = { status, node, evidence, evidenceAge, isOvertaken }
}

/** Gives a stimulus to a member and carries out its reaction. */
export const notify = (update: Update, side: Side, stimulus: Stimulus): void => {
  const { observe, world } = update
  const reaction = world.processes[side].node.on(stimulus)
  setNode(world, side, reaction.node)
  if (reaction.outdatesEvidence && world.processes[side].evidence !== "none") {
    outdateEvidence(world, side)
  }
  world.hasAborted ||= reaction.isAborted
  for (const kind of reaction.published) {
    publish(world, side, kind)
  }
  observe?.(side, stimulus, reaction)
  if (reaction.isExited) {
    end(update, side)
  } else if (reaction.isPortClosed) {
    closeConnection(update, other(side))
  }
}

/** Evidence that is older than what its observer has received or done since is dropped where it changes nothing. */
const outdateEvidence = (world: Draft, side: Side): void => {
  const { evidenceAge, node } = world.processes[side]
  if (node.on("StaleEvidence").isEffective) {
    setEvidence(world, side, "stale", evidenceAge)
  } else {
    setEvidence(world, side, "none", 0)
  }
}

/** A member has reported another state than PASSIVE: what hands over to it is late now. */
const outdate = ({ knowsPassive, messages }: Draft, side: Side): void => {
  knowsPassive[other(side)] = false
  if (messages[side].some(({ kind }) => kind === "HANDS_OVER")) {
    messages[side] = messages[side].map((message) =>
      message.kind === "HANDS_OVER" ? messageOf("HANDS_OVER_LATE", message.age) : message
    )
  }
}

const publish = (world: Draft, from: Side, published: MessageKind): void => {
  const { connections, isCut, knowsPassive, messages } = world
  const kind = published === "HANDS_OVER" && !knowsPassive[from] ? "HANDS_OVER_LATE" : published
  const to = other(from)
  if (kind !== "PASSIVE") {
    outdate(world, from)
  }
  const last = messages[to].at(-1)
  // Two equal messages at one instant have the effect of one.
  if (!isCut && connections[to].status === "subscribed" && (last?.kind !== kind || last.age > 0)) {
    messages[to] = [...messages[to], messageOf(kind, 0)]
  }
}

/** The process of a side ends: what is under way to it is lost, and its peer's connection is closed. */
export const end = (update: Update, side: Side): void => {
  const { setup, world } = update
  dropMessages(world, side, world.messages[side].length)
  world.knowsPassive = [false, false]
  world.processes[side] = setup.down[side]
  world.connections[side] = disconnected
  closeConnection(update, other(side))
}

/** The subscription of a side arrives at its peer, which publishes its state at once. */
export const subscribe = (update: Update, side: Side): void => {
  update.world.connections[side] = subscribed
  notify(update, other(side), "SubscriberJoined")
}

/** The peer of a side closes its connection. The side notices after it has received all messages. */
const closeConnection = (update: Update, side: Side): void => {
  const { connections, messages, processes } = update.world
  if (messages[side].length === 0 && processes[side].status !== "paused") {
    disconnect(update, side)
  } else {
    connections[side] = connections[side].status === "down" ? disconnected : { status: "closed", age: 0 }
  }
}

export const disconnect = (update: Update, side: Side): void => {
  if (update.world.connections[side].status !== "down") {
    update.world.connections[side] = disconnected
    notify(update, side, "LinkLost")
  }
}

/** Notices that the connection of a side was closed, once all messages are received. */
const noticeClosed = (update: Update, side: Side): void => {
  const { connections, messages } = update.world
  if (connections[side].status === "closed" && messages[side].length === 0 && isRunning(update.world, side)) {
    disconnect(update, side)
  }
}

/** The first messages to a side are lost, which proves nothing about the link. */
export const dropMessages = ({ messages, unproven }: Draft, side: Side, count: number): void => {
  messages[side] = messages[side].slice(count)
  unproven[side] = Math.min(unproven[side], Math.max(unproven[side] - count, 1))
}

/** Begins a round of proof. Messages that are under way now prove nothing. */
export const unprove = (world: Draft, rounds: number): void => {
  const { messages: [toPrimary, toBackup] } = world
  world.rounds = rounds
  world.unproven = rounds === 0 ? [0, 0] : [toPrimary.length + 1, toBackup.length + 1]
}

/** What the first message to a side is to its member. */
const usualReception = ({ messages }: World, side: Side): Stimulus => {
  const { kind } = messages[side][0]!
  const peer = side === 0 ? "Backup" : "Primary"
  switch (kind) {
    case "HANDS_OVER":
      return `${peer}HandsOver`
    case "HANDS_OVER_LATE":
      return `${peer}HandsOverLate`
    default:
      return StateMachine.eventOf[kind]
  }
}

/**
 * What it can be instead: a final heartbeat that comes too late to hand over, or a peer that has been active for longer, or less long,
 * than an active member assumes of one that does not tell.
 */
export const otherReception = ({ messages, processes }: World, side: Side): Stimulus | undefined => {
  const kind = messages[side][0]?.kind
  const { node } = processes[side]
  const { state } = node.member.protocol
  if (kind === "HANDS_OVER" && state === "PASSIVE") {
    return `${side === 0 ? "Backup" : "Primary"}HandsOverLate`
  }
  return kind === "ACTIVE" && state === "ACTIVE"
    ? (["PeerSenior", "PeerJunior"] as const).find((other) => node.on(other).node !== node.on("PeerActive").node)
    : undefined
}

/** A side learns that its peer is passive, unless it has reported something else since. */
const noteState = ({ connections, knowsPassive, messages, processes }: Draft, side: Side): void => {
  const { state } = processes[other(side)].node.member.protocol
  knowsPassive[side] ||= StateMachine.reportedState[state] === "PASSIVE" && connections[side].status === "subscribed" &&
    messages[side].every(({ kind }) => kind === "PASSIVE")
}

export const receive = (update: Update, side: Side, stimulus = usualReception(update.world, side)): void => {
  const { world } = update
  noteState(world, side)
  world.messages[side] = world.messages[side].slice(1)
  world.unproven[side] = Math.max(world.unproven[side] - 1, 0)
  if (world.rounds > 0 && world.unproven[0] === 0 && world.unproven[1] === 0) {
    unprove(world, world.rounds - 1)
  }
  notify(update, side, stimulus)
  noticeClosed(update, side)
}

export const receiveEvidence = (update: Update, side: Side): void => {
  notify(update, side, update.world.processes[side].evidence === "fresh" ? "FreshEvidence" : "StaleEvidence")
  setEvidence(update.world, side, "none", 0)
}

/**
 * Everything that is late at a process is delivered before it does anything else, and `early` messages that could have arrived
 * later. A member that restarts ignores them.
 */
export const catchUp = (update: Update, side: Side, early: number): void => {
  const { setup, world } = update
  const { evidence, evidenceAge, isOvertaken, node } = world.processes[side]
  const late = world.messages[side].filter(({ age }) => age === setup.lateAge).length
  const isEvidenceLate = evidence !== "none" && evidenceAge === setup.lateAge
  const isSubscribing = isSubscriptionDue(setup, world, side)
  if (node.restarts) {
    if (isSubscribing) {
      world.connections[other(side)] = subscribed
    }
    restart(update, side, late + early)
    setOvertaken(world, side, false)
    return isEvidenceLate ? setEvidence(world, side, "none", 0) : undefined
  }
  if (isOvertaken) {
    setOvertaken(world, side, false)
  }
  if (node.isStalled) {
    notify(update, side, "Run")
  }
  if (isSubscribing) {
    subscribe(update, other(side))
  }
  for (let i = 0; i < late && world.messages[side].length > 0 && !world.hasAborted; i++) {
    receive(update, side)
  }
  noticeClosed(update, side)
  if (isEvidenceLate) {
    receiveEvidence(update, side)
  }
}

const staleOf = {
  PRIMARY: "StalePrimary",
  BACKUP: "StaleBackup",
  ACTIVE: "StaleActive",
  PASSIVE: "StalePassive",
  HANDS_OVER: "StaleHandsOver",
  HANDS_OVER_LATE: "StaleHandsOver"
} as const satisfies { readonly [K in MessageKind]: Stimulus }

/** A member restarts after a stall, and ignores the messages that it had received by then. */
const restart = (update: Update, side: Side, receivedCount: number): void => {
  const { world } = update
  runAfterStall(update, side, receivedCount)
  for (const { kind } of world.messages[side].slice(0, receivedCount)) {
    notify(update, side, staleOf[kind])
  }
  dropMessages(world, side, receivedCount)
  noticeClosed(update, side)
}

/** A member that has received nothing, and whose peer's port refuses connections, has no peer. */
const runAfterStall = (update: Update, side: Side, receivedCount: number): void => {
  const { setup, world } = update
  const process = world.processes[side]
  const isAlone = receivedCount === 0 && !world.isCut && mayKeepTerm(setup, process) && isRefusing(world, other(side))
  world.hasKeptStaleTerm ||= isAlone && process.isOvertaken && isLinkProven(world)
  if (isAlone) {
    notify(update, side, "RunAlone")
    return noticeClosed(update, side)
  }
  const isDisconnected = world.connections[side].status === "closed" && world.messages[side].length === receivedCount
  if (isDisconnected) {
    world.connections[side] = disconnected
  }
  notify(update, side, isDisconnected ? "RunDisconnected" : "Run")
}

/** Whether it matters to a process that runs again whether its peer is there. */
const mayKeepTerm = ({ evidence }: Setup, { node }: Process): boolean =>
  evidence && node.member.protocol.state === "ACTIVE" && node.on("RunAlone").node !== node.on("Run").node

/** Records that a member answers while its peer, which was active, is paused. */
export const recordOvertaking = ({ setup, world }: Update): void => {
  for (const side of sides) {
    const { isOvertaken, node, status } = world.processes[side]
    if (
      status === "paused" && !isOvertaken && node.member.protocol.state === "ACTIVE" &&
      answers(setup, world, other(side))
    ) {
      setOvertaken(world, side, true)
    }
  }
}

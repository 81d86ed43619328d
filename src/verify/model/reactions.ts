/**
 * What the core makes of everything that can happen to a member, asked once for each member and stimulus. Members that no input can
 * tell apart, now or later, are one node: times are relative to now, and no longer than a decision can depend on them.
 */
import * as Core from "../../member/Member.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import { inMillis, timing } from "../../protocol/Timing.ts"

/**
 * What can happen to a member. Evidence is fresh, or older than the peer's last sign of life. A watched request reaches a member
 * with a subscriber at its state port. A stale heartbeat was received before a stall ended. A process runs again and finds its
 * peer's state port open, or refused, or that the connection to it was lost.
 *
 * @category models
 */
export type Stimulus =
  | "PeerPrimary"
  | "PeerBackup"
  | "PeerActive"
  | "PeerPassive"
  | `Stale${"Primary" | "Backup" | "Active" | "Passive"}`
  | "FreshEvidence"
  | "StaleEvidence"
  | "LinkConnecting"
  | "LinkConnected"
  | "LinkLost"
  | "SubscriberJoined"
  | "HeartbeatDue"
  | "Run"
  | "RunAlone"
  | "RunDisconnected"
  | "Request"
  | "WatchedRequest"
  | "Promote"
  | "HandOver"
  | "Stop"
  | "Drained"
  | "Woken"
  | "TermEnded"

/**
 * A member as far as its future depends on it.
 *
 * @category models
 */
export interface Node {
  readonly id: number
  readonly member: Core.Member
  /** Ticks since its last heartbeat, up to where every further one is the same stall. */
  readonly beat: number
  /** Whether it would start over, or at least reset the link, before it does anything else. */
  readonly isStalled: boolean
  /** Whether heartbeats that it received before are ignored once it runs again. */
  readonly forgets: boolean
  readonly on: (stimulus: Stimulus) => Reaction
  /** The same member a tick later. */
  readonly later: () => Node
}

/**
 * What follows from a stimulus.
 *
 * @category models
 */
export interface Reaction {
  readonly node: Node
  readonly published: ReadonlyArray<StateMachine.PeerState>
  /** Whether its state port is closed behind the last of them. */
  readonly isPortClosed: boolean
  /** Whether a request is accepted after it. */
  readonly isAccepted: boolean
  readonly isEffective: boolean
  /** Whether evidence from before proves nothing any more. */
  readonly isRenewed: boolean
  readonly isAborted: boolean
  readonly isExited: boolean
  readonly messages: ReadonlyArray<string>
}

/** Some time before now, for what has not been moved to now. */
const before = -1

const gone = (asOf: number): Core.Input => ({
  _tag: "PeerDown",
  evidence: { _tag: "ConnectionRefused", endpoint: "the peer's endpoint", asOf },
  linkEpoch: 0
})

const staleEpoch = -1

const heartbeat = (state: StateMachine.PeerState, linkEpoch = 0): Core.Input => ({
  _tag: "PeerHeartbeat",
  state,
  receivedAt: 0,
  linkEpoch
})

const vote = (hasSubscriber: boolean): Core.Input => ({ _tag: "Vote", voter: "a client", hasSubscriber })

const inputsOf: { readonly [S in Stimulus]: ReadonlyArray<Core.Input> } = {
  PeerPrimary: [heartbeat("PRIMARY")],
  PeerBackup: [heartbeat("BACKUP")],
  PeerActive: [heartbeat("ACTIVE")],
  PeerPassive: [heartbeat("PASSIVE")],
  StalePrimary: [heartbeat("PRIMARY", staleEpoch)],
  StaleBackup: [heartbeat("BACKUP", staleEpoch)],
  StaleActive: [heartbeat("ACTIVE", staleEpoch)],
  StalePassive: [heartbeat("PASSIVE", staleEpoch)],
  FreshEvidence: [gone(0)],
  StaleEvidence: [gone(Number.NEGATIVE_INFINITY)],
  LinkConnecting: [{ _tag: "LinkConnecting" }],
  LinkConnected: [{ _tag: "LinkConnected" }],
  LinkLost: [{ _tag: "LinkLost" }],
  SubscriberJoined: [{ _tag: "SubscriberJoined" }],
  HeartbeatDue: [{ _tag: "HeartbeatDue" }],
  Run: [],
  RunAlone: [],
  RunDisconnected: [{ _tag: "LinkLost" }],
  Request: [vote(false)],
  WatchedRequest: [vote(true)],
  Promote: [{ _tag: "Promote", id: 1, reason: "" }],
  HandOver: [{ _tag: "HandOver", id: 2, reason: "" }],
  Stop: [{ _tag: "Stop" }],
  Drained: [{ _tag: "RequestsDrained" }],
  Woken: [{ _tag: "Woken" }],
  TermEnded: [{ _tag: "TermEnded", end: 0 }]
}

interface Run {
  member: Core.Member
  readonly published: Array<StateMachine.PeerState>
  isPortClosed: boolean
  isAborted: boolean
  isExited: boolean
  readonly messages: Array<string>
}

/**
 * Does at once, in order, what a runtime would do for the core. Everything that has arrived was delivered before, and what runs in
 * a term is finalized at once.
 */
const drive = (
  step: (member: Core.Member, inputs: ReadonlyArray<Core.Input>) => ReturnType<typeof Core.step>,
  run: Run,
  inputs: ReadonlyArray<Core.Input>,
  world: { readonly hasSubscriber: boolean; readonly isPeerDown: boolean }
): void => {
  const pending: Array<Core.Output> = []
  const give = (inputs: ReadonlyArray<Core.Input>) => {
    const { member, outputs } = step(run.member, inputs)
    run.member = member
    pending.push(...outputs)
  }
  give(inputs)
  for (let output = pending.shift(); output !== undefined; output = pending.shift()) {
    switch (output._tag) {
      case "Publish":
        run.published.push(output.state)
        run.isPortClosed ||= output.isFinal
        if (output.isHeartbeat) {
          give([{ _tag: "HeartbeatSent", startedAt: 0 }])
        }
        break
      case "ReadLink":
        give([{ _tag: "LinkRead", at: 0, hasSubscriber: world.hasSubscriber }])
        break
      case "ResetLink":
        give([{ _tag: "LinkReset", refusal: world.isPeerDown ? { triedAt: 0, knownAt: 0 } : undefined }])
        break
      case "EndTerm":
        if (output.isSilent) {
          give([{ _tag: "TermEnded", end: output.end }])
        }
        break
      case "Log":
        run.messages.push(output.message)
        break
      case "Abort":
        run.isAborted = true
        break
      case "Exit":
        run.isExited = true
        break
    }
  }
}

/**
 * How the members of a model are told apart. The peer's last state matters only where a member hands over, or counts failovers.
 *
 * @category models
 */
export interface Options {
  readonly tickMillis: number
  readonly remembersPeer: boolean
  /** The core to be explored; the one that runs, unless a test takes a rule away. */
  readonly core?: typeof production | undefined
}

const production = { start: Core.start, step: Core.step }

/**
 * How a process begins, with everything that may become of it.
 *
 * @category constructors
 */
export const make = (rules: Core.Rules, { core = production, remembersPeer, tickMillis }: Options): Node => {
  const known = new Map<string, Node>()
  // A stall may be too long to keep a term; every longer one is the same.
  const longestTicks = ticksUntil((ticks) =>
    StateMachine.isStalled(rules, -ticks * tickMillis, 0) &&
    !(rules.crashDetection && StateMachine.mayKeepTerm(rules, -ticks * tickMillis, 0))
  )

  /** Whether it makes a difference in this state, or one that may follow, that the peer has been heard. */
  const isReceivedAskedFor = (state: StateMachine.State): boolean =>
    state === "BACKUP" || state === "PRIMARY" || (state === "ACTIVE" && rules.role === "primary")

  /** Ticks are kept as long as a decision can depend on them: for an active member, whether its peer was lost at its last heartbeat. */
  const deadlineAt = ({ lastHeartbeatAt, protocol }: Core.Member, now: number): number =>
    protocol.state === "ACTIVE"
      ? StateMachine.isPeerExpired(protocol, lastHeartbeatAt)
        ? Number.NEGATIVE_INFINITY
        : Math.max(protocol.peerDeadline, lastHeartbeatAt) - now
      : Math.max(
        protocol.peerDeadline - now,
        Number.isFinite(protocol.peerDeadline) ? -tickMillis : Number.NEGATIVE_INFINITY
      )

  const protocolAt = (member: Core.Member, now: number): StateMachine.ProtocolState => {
    const { protocol } = member
    const left = Math.floor((protocol.connectionDeadline - now) / tickMillis)
    return {
      ...protocol,
      peerDeadline: deadlineAt(member, now),
      connectionDeadline: left < 0 ? Number.NEGATIVE_INFINITY : left * tickMillis,
      silentSince: before,
      hasReceived: protocol.hasReceived || !isReceivedAskedFor(protocol.state)
    }
  }

  /** The same member with now as 0, without what no decision depends on. */
  const normal = (member: Core.Member, now: number): Core.Member => {
    const protocol = protocolAt(member, now)
    const { phase, promotion } = member
    const isWaiting = Core.isStillWaiting(promotion?.waiting, member.protocol)
    const isBrief = now - member.briefStallAt < inMillis(rules, timing.unproven)
    return {
      protocol,
      phase: phase._tag === "Draining"
        ? { ...phase, since: 0, until: Math.max(0, phase.until - now) }
        : phase._tag === "EndingTerm"
        ? { ...phase, end: 0, since: 0 }
        : phase,
      wait: undefined,
      peer: member.peer === undefined || !remembersPeer ? undefined : { state: member.peer.state, receivedAt: 0 },
      peerDownReason: undefined,
      endCount: 0,
      linkEpoch: 0,
      startedAt: 0,
      lastHeartbeatAt: Math.max(member.lastHeartbeatAt - now, -longestTicks * tickMillis),
      briefStallAt: isBrief ? member.briefStallAt - now : Number.NEGATIVE_INFINITY,
      vote: undefined,
      isReading: false,
      promotion: promotion === undefined ? undefined : { ...promotion, waiting: isWaiting ? protocol : undefined },
      paused: undefined,
      failovers: member.failovers.map(() => 0)
    }
  }

  const react = (node: Node, stimulus: Stimulus): Reaction => {
    const run: Run = {
      member: node.member,
      published: [],
      isPortClosed: false,
      isAborted: false,
      isExited: false,
      messages: []
    }
    drive((member, inputs) => core.step(rules, member, inputs, 0), run, inputsOf[stimulus], {
      hasSubscriber: stimulus === "WatchedRequest",
      isPeerDown: stimulus === "RunAlone"
    })
    const after = nodeOf(run.member, 0)
    return {
      node: after,
      published: run.published,
      isPortClosed: run.isPortClosed,
      isAccepted: Core.admission(rules, run.member) === "Accept",
      isEffective: after !== node || run.published.length > 0,
      isRenewed: run.member.protocol.silentSince !== before,
      isAborted: run.isAborted,
      isExited: run.isExited,
      messages: run.messages
    }
  }

  const nodeOf = (member: Core.Member, now: number): Node => {
    const same = normal(member, now)
    const key = JSON.stringify(same, infinityAsText)
    const found = known.get(key)
    if (found !== undefined) {
      return found
    }
    const reactions: { [S in Stimulus]?: Reaction } = {}
    let later: Node | undefined
    const node: Node = {
      id: known.size,
      member: same,
      beat: -same.lastHeartbeatAt / tickMillis,
      isStalled: StateMachine.isStalled(rules, same.lastHeartbeatAt, 0),
      forgets: Core.isStalled(rules, same, 0),
      on: (stimulus) => reactions[stimulus] ??= react(node, stimulus),
      later: () => later ??= nodeOf(same, tickMillis)
    }
    known.set(key, node)
    return node
  }

  return nodeOf(core.start(rules, 0).member, 0)
}

const infinityAsText = (_: string, value: unknown) => value === Number.NEGATIVE_INFINITY ? "-Infinity" : value

const ticksUntil = (isReached: (ticks: number) => boolean): number => {
  let ticks = 0
  while (!isReached(ticks)) {
    ticks++
  }
  return ticks
}

/**
 * A pair, the link between its servers and everything that may happen to them, as a finite set of states and moves. What a
 * member does is asked of the core that runs in production, step by step; only the world around it is modelled here: processes,
 * clocks, connections whose making costs time, messages under way, operators, and budgets.
 *
 * Time passes in ticks of half a heartbeat. All times are relative to now and no longer than a decision can depend on them, so
 * that the states are finitely many.
 *
 * @since 0.1.0
 */
import type * as Core from "../../member/Member.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import * as Reactions from "./reactions.ts"

/**
 * How far the world may go. Each budget is for the whole pair, up to {@link maxBudget}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly policy: StateMachine.Policy
  /** How often a process dies without a word. */
  readonly kills?: number | undefined
  /** How often a server is stopped in good order. */
  readonly stops?: number | undefined
  /** How often a process stands still, for as long as it takes. */
  readonly pauses?: number | undefined
  /** How often the link between the servers is cut. */
  readonly cuts?: number | undefined
  /** How often an operator hands over. If at all, a member may be promoted at any time, too. */
  readonly handovers?: number | undefined
  /** For how many ticks at most a word or evidence is under way, up to {@link maxDelay}. Defaults to `1`. */
  readonly delay?: number | undefined
  /** For how many ticks at most the handshake of a new connection takes, up to {@link maxHandshake}. Defaults to `2`. */
  readonly handshake?: number | undefined
  /** Whether a server may find that its peer's process is gone, or has let go of its port. Defaults to `false`. */
  readonly evidence?: boolean | undefined
  /** What a backup does that has never received from its primary. Defaults to `wait`. */
  readonly lone?: StateMachine.Lone | undefined
  /** How many failovers each member allows, ever. Defaults to no limit. */
  readonly maxFailovers?: number | undefined
  /** The core to be explored. Defaults to the one that runs. */
  readonly core?: Reactions.Options["core"]
  /** Whether what has arrived is delivered before a vote, as the core asks for (H6). Defaults to `true`. */
  readonly readsLink?: boolean | undefined
}

/**
 * One of the two servers: the primary is 0, the backup 1.
 *
 * @since 0.1.0
 * @category models
 */
export type Side = 0 | 1

/**
 * The roles of both sides.
 *
 * @since 0.1.0
 * @category constants
 */
export const roles = ["primary", "backup"] as const satisfies readonly [StateMachine.Role, StateMachine.Role]

const sides = [0, 1] as const

const other = (side: Side): Side => side === 0 ? 1 : 0

/**
 * The time between two ticks in milliseconds.
 *
 * @since 0.1.0
 * @category constants
 */
export const tickMillis = 500

const heartbeatTicks = 2

/**
 * The largest budget that can be explored.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxBudget = 7

/**
 * The longest delay that can be explored, in ticks: one heartbeat.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxDelay = heartbeatTicks

/**
 * The longest handshake that can be explored, in ticks.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxHandshake = 3

/** For how many ticks at most a member that hands over completes what it has accepted. One that stops does so at once. */
const drainTicks = 1

/** For how many ticks at most a TCP connection to a port that is open takes to be accepted. */
const connectTicks = 1

const peerTimeoutMillis = 2 * heartbeatTicks * tickMillis

/**
 * The process of one side.
 *
 * @since 0.1.0
 * @category models
 */
export interface Process {
  readonly status: "down" | "running" | "paused"
  readonly node: Reactions.Node
  readonly evidence: "none" | "fresh" | "stale"
  /** Ticks since the evidence was gathered. */
  readonly evidenceAge: number
  /** Whether the peer has answered while this process, whose member was active, did not run. */
  readonly isOvertaken: boolean
}

/**
 * A word on its way, for `age` ticks. What is older than the delay waits at a process that stands still.
 *
 * @since 0.1.0
 * @category models
 */
export interface Flight {
  readonly word: StateMachine.PeerState
  readonly age: number
}

/**
 * The connection of one side to its peer's state port: not there, accepted by the peer's host, past its handshake with a
 * subscription on its way, or known to the peer, which publishes to it from then on; or closed by the peer, whose last words
 * are still to arrive.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  readonly status: "down" | "accepted" | "greeted" | "subscribed" | "closed"
  /** Ticks that its next step has taken so far. */
  readonly age: number
}

/**
 * All that a connection can be, in the order of its steps.
 *
 * @since 0.1.0
 * @category constants
 */
export const statuses: ReadonlyArray<Connection["status"]> = [
  "down",
  "accepted",
  "greeted",
  "subscribed",
  "closed"
]

/**
 * The whole world at one instant.
 *
 * @since 0.1.0
 * @category models
 */
export interface World {
  readonly processes: readonly [Process, Process]
  /** The words on their way to each side, the first to arrive first. */
  readonly flights: readonly [ReadonlyArray<Flight>, ReadonlyArray<Flight>]
  /** The connection of each side to its peer. */
  readonly connections: readonly [Connection, Connection]
  readonly isCut: boolean
  /** How many words must get through to each side until both have heard one; twice after a cut. */
  readonly unproven: readonly [number, number]
  readonly rounds: number
  readonly kills: number
  readonly stops: number
  readonly pauses: number
  readonly cuts: number
  readonly handovers: number
  /** For how many ticks nobody would answer, be it of two that run on a whole link or of one that runs alone. */
  readonly unanswered: number
  readonly hasAborted: boolean
  /** Whether a member has kept its term over a stall although its peer has answered meanwhile; the link was whole. */
  readonly hasKeptStaleTerm: boolean
}

type Draft = {
  -readonly [K in keyof World]: World[K] extends readonly [infer A, infer B] ? [A, B] : World[K]
}

/**
 * Something that may happen. `Ask` is a request that changes the state of who gets it; any other makes no difference. `Suspect`
 * gathers evidence and `Learn` is when it arrives; a process that resumes finds what
 * was due, and `early` words that might as well have come later.
 *
 * @since 0.1.0
 * @category models
 */
export type Move =
  | { readonly _tag: "Tick" | "Cut" | "Heal" }
  | {
    readonly _tag:
      | "Start"
      | "Kill"
      | "Stop"
      | "Pause"
      | "HandOver"
      | "Drain"
      | "EndTerm"
      | "Connect"
      | "Greet"
      | "Subscribe"
      | "Break"
      | "Beat"
      | "Hear"
      | "Suspect"
      | "Learn"
      | "Ask"
      | "Promote"
    readonly side: Side
  }
  | { readonly _tag: "Resume"; readonly side: Side; readonly early: number }

/** A process that has slept may have been overtaken by so many words that were still on their way. */
const maxEarly = 12

/**
 * The passing of time.
 *
 * @since 0.1.0
 * @category constants
 */
export const tick: Move = { _tag: "Tick" }

/**
 * All moves that take no time.
 *
 * @since 0.1.0
 * @category constants
 */
export const moves: ReadonlyArray<Move> = [
  ...([
    "Ask",
    "Promote",
    "Beat",
    "Hear",
    "Learn",
    "Start",
    "Kill",
    "Stop",
    "Pause",
    "HandOver",
    "Drain",
    "EndTerm",
    "Suspect",
    "Connect",
    "Greet",
    "Subscribe",
    "Break"
  ] as const).flatMap((_tag) => sides.map((side): Move => ({ _tag, side }))),
  { _tag: "Cut" },
  { _tag: "Heal" },
  ...sides.flatMap((side) =>
    Array.from({ length: maxEarly + 1 }, (_, early): Move => ({ _tag: "Resume", side, early }))
  )
]

/**
 * Is told of everything that a member is told, with its reaction.
 *
 * @since 0.1.0
 * @category models
 */
export type Observer = (side: Side, stimulus: Reactions.Stimulus, reaction: Reactions.Reaction) => void

/**
 * A world to explore.
 *
 * @since 0.1.0
 * @category models
 */
export interface Model {
  /** Nothing runs yet. */
  readonly initial: World
  /** All moves that the budgets allow and that take no time. */
  readonly moves: ReadonlyArray<Move>
  /** The first of {@link moves}, without those that need a paused process where there is none. */
  readonly movesFrom: (world: World) => ReadonlyArray<Move>
  /** The world after a move, or nothing if it cannot happen now. */
  readonly after: (world: World, move: Move, observe?: Observer) => World | undefined
  /** Whether a client that asks this side at this instant is answered. */
  readonly answers: (world: World, side: Side) => boolean
  /** For how many ticks a pair, or a lone server, may answer nobody. */
  readonly limits: { readonly [C in Company]: number }
  /** Whether this side has not run for so long that it does not count as running. */
  readonly standsStill: (world: World, side: Side) => boolean
}

/**
 * Makes the model of a pair that lives by a policy.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Model => {
  const {
    core,
    cuts = 0,
    delay = 1,
    evidence = false,
    handovers = 0,
    handshake = 2,
    kills = 0,
    lone = "wait",
    maxFailovers = Number.POSITIVE_INFINITY,
    pauses = 0,
    policy,
    readsLink = true,
    stops = 0
  } = options
  // Any longer stall is the same stall. A shorter one, which goes unnoticed, may hold up a handshake.
  let sleepTicks = heartbeatTicks
  while (!StateMachine.isStalled({ peerTimeoutMillis }, -sleepTicks * tickMillis, 0)) {
    sleepTicks++
  }
  // A stall that goes unnoticed may hold up a handshake.
  const handshakeTicks = handshake + Math.max(1, pauses) * sleepTicks

  // A connection is made, then a heartbeat is published and answered at once. A peer's last heartbeat arrives, then it
  // expires, perhaps after a handshake; a backup that lost its primary before it was active waits for that twice. A server
  // that hands over to a peer that is gone, or has just started, waits longer.
  const connectionTicks = connectTicks + handshake + delay
  const expiryTicks = 2 * heartbeatTicks + 1 + delay
  const limits = {
    pair: connectionTicks + heartbeatTicks + 2 * delay + (handovers > 0 ? 4 * expiryTicks : 0),
    lone: 2 * handshakeTicks + (handovers > 0 ? 4 : 2) * expiryTicks
  }

  const rulesOf = (side: Side): Core.Rules => ({
    role: roles[side],
    policy,
    peerTimeoutMillis,
    handshakeMillis: handshakeTicks * tickMillis,
    lone,
    isSelfVoting: false,
    drainMillis: handovers > 0 ? drainTicks * tickMillis : 0,
    maxFailovers,
    failoverWindowMillis: Number.POSITIVE_INFINITY,
    crashDetection: evidence,
    peerEndpoint: "its peer",
    stateEndpoint: "its state port"
  })
  const waiting = delay + 1
  if (
    delay > maxDelay || handshake > maxHandshake || Math.max(kills, stops, pauses, cuts, handovers) > maxBudget
  ) {
    throw new RangeError(
      `budgets go up to ${maxBudget}, the delay up to ${maxDelay} ticks, the handshake up to ${maxHandshake}`
    )
  }
  /** For how many ticks at most each step of a connection takes. */
  const patience = { down: connectTicks, accepted: handshake, greeted: delay, subscribed: 0, closed: 0 }

  const flightTable = StateMachine.peerStates.map((word) =>
    Array.from({ length: waiting + 1 }, (_, age): Flight => ({ word, age }))
  )
  const flightOf = (word: StateMachine.PeerState, age: number): Flight =>
    flightTable[StateMachine.peerStates.indexOf(word)]![age]!

  const born = sides.map((side): Process => ({
    status: "running",
    node: Reactions.make(rulesOf(side), {
      tickMillis,
      remembersPeer: handovers > 0 || Number.isFinite(maxFailovers),
      core
    }),
    evidence: "none",
    evidenceAge: 0,
    isOvertaken: false
  }))
  const down = born.map((process): Process => ({ ...process, status: "down" }))

  const initial: World = {
    processes: [down[0]!, down[1]!],
    flights: [[], []],
    connections: [disconnected, disconnected],
    isCut: false,
    unproven: [0, 0],
    rounds: 0,
    kills,
    stops,
    pauses,
    cuts,
    handovers,
    unanswered: 0,
    hasAborted: false,
    hasKeptStaleTerm: false
  }

  const needs: { readonly [T in Move["_tag"]]?: number } = {
    Kill: kills,
    Stop: stops,
    Pause: pauses,
    Resume: pauses,
    Cut: cuts,
    Heal: cuts,
    Break: cuts,
    HandOver: handovers,
    Drain: handovers + stops,
    EndTerm: handovers + stops,
    Promote: handovers,
    Suspect: Number(evidence),
    Learn: Number(evidence)
  }
  const allMoves = moves.filter(({ _tag }) => needs[_tag] !== 0)
  const movesAwake = allMoves.filter(({ _tag }) => _tag !== "Resume")

  /** A client that sends a request to this side now is answered; what has arrived comes before a vote. */
  const answers = (world: World, side: Side): boolean => {
    const { node: { isStalled, on }, status } = world.processes[side]
    if (status !== "running") {
      return false
    }
    const request = (isStalled ? on("Run").node.on : on)("Request")
    return request.isAccepted && !(request.isEffective && isStepDue(world, side))
  }

  /** The same for a client whose request is not under way yet: a member that drains takes no new ones. */
  const serves = (world: World, side: Side): boolean =>
    world.processes[side].node.member.phase._tag === "Serving" && answers(world, side)

  const isEnabled = (world: World, move: Move): boolean => {
    switch (move._tag) {
      case "Tick":
        return sides.every((side) => isUpToDate(world, side))
      case "Cut":
        return !world.isCut && world.cuts > 0
      case "Heal":
        return world.isCut
    }
    const { evidence: known, node, status } = world.processes[move.side]
    const isRunning = status === "running"
    switch (move._tag) {
      case "Start":
        return status === "down"
      case "Kill":
        return status !== "down" && world.kills > 0
      case "Stop":
        return isRunning && world.stops > 0 && node.on("Stop").isEffective
      case "Pause":
        return isRunning && world.pauses > 0
      case "HandOver":
        return isRunning && world.handovers > 0 && node.on("HandOver").isEffective
      case "Drain":
        return isRunning && node.member.phase._tag === "Draining"
      case "EndTerm":
        return isRunning && node.member.phase._tag === "EndingTerm"
      case "Resume":
        return status === "paused" && (move.early === 0 ||
          node.forgets &&
            move.early <= world.flights[move.side].filter(({ age }) => age < waiting).length)
      case "Beat":
        return isRunning && node.beat >= heartbeatTicks &&
          (world.connections[other(move.side)].status !== "greeted" || !isStepDue(world, other(move.side)))
      case "Hear":
        return isRunning && world.flights[move.side].length > 0
      case "Suspect":
        return evidence && isRunning && known !== "fresh" && !world.isCut && isEvident(world, other(move.side)) &&
          node.on("FreshEvidence").isEffective
      case "Learn":
        return isRunning && known !== "none"
      case "Ask":
        return isRunning && !isStepDue(world, move.side) &&
          node.on(requestAt(world, move.side)).isEffective
      case "Connect":
        return world.connections[move.side].status === "down" && canGoOn(world, move.side)
      case "Greet":
        return world.connections[move.side].status === "accepted" && canGoOn(world, move.side)
      case "Subscribe":
        return world.connections[move.side].status === "greeted" && canGoOn(world, move.side)
      case "Break":
        return world.isCut && world.connections[move.side].status !== "down" &&
          world.connections[move.side].status !== "closed"
      case "Promote":
        return isRunning && handovers > 0 && node.member.promotion === undefined && node.on("Promote").isEffective
    }
  }

  /**
   * Whether the peer finds that nobody listens on this side: the process is gone, or yields. That is looked for when a
   * connection has closed, after all that was said over it.
   */
  const isEvident = ({ flights, processes }: World, side: Side): boolean =>
    (processes[side].status === "down" || isPortClosed(processes[side])) &&
    flights[other(side)].length === 0

  /** Whether the next step of a side's connection can be made. The system accepts connections for a process that is paused. */
  const canGoOn = ({ connections, isCut, processes }: World, side: Side): boolean => {
    const { status } = connections[side]
    const peer = processes[other(side)]
    if (isCut || peer.status === "down" || isPortClosed(peer)) {
      return false
    }
    switch (status) {
      case "down":
        return processes[side].status === "running"
      case "accepted":
        return processes[side].status === "running" && peer.status === "running"
      case "greeted":
        return peer.status === "running"
      case "subscribed":
      case "closed":
        return false
    }
  }

  /** Whether a step of a side's connection has been taken by the systems, and only waits for the processes to go on. */
  const isStepDue = (world: World, side: Side): boolean => {
    const { age, status } = world.connections[side]
    return age >= patience[status] && canGoOn(world, side)
  }

  /** What the systems do for processes that are paused: they accept connections, and take in a subscription. */
  const isGoingOn = ({ connections, isCut, processes }: World, side: Side): boolean => {
    const { status } = connections[side]
    const peer = processes[other(side)]
    return !isCut && processes[side].status !== "down" && peer.status !== "down" && !isPortClosed(peer) &&
      (status === "down" || status === "greeted")
  }

  /** Whether nothing keeps time from going on. */
  const isUpToDate = (world: World, side: Side): boolean => {
    const { evidence, evidenceAge, node: { beat, member: { phase } }, status } = world.processes[side]
    return status !== "running" || (
      !isStepDue(world, side) && beat < heartbeatTicks &&
      (world.flights[side].length === 0 || world.flights[side][0]!.age < delay) &&
      (evidence === "none" || evidenceAge < delay) &&
      phase._tag !== "EndingTerm" && (phase._tag !== "Draining" || phase.until > 0)
    )
  }

  const after = (world: World, move: Move, observe?: Observer): World | undefined => {
    if (!isEnabled(world, move)) {
      return undefined
    }
    // Field by field, which is several times faster than to spread.
    const draft: Draft = {
      processes: [world.processes[0], world.processes[1]],
      flights: [world.flights[0], world.flights[1]],
      connections: [world.connections[0], world.connections[1]],
      isCut: world.isCut,
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
    }
    perform(draft, move, observe)
    overtake(draft)
    if (companyOf(draft) !== companyOf(world)) {
      draft.unanswered = 0
    }
    return draft
  }

  const perform = (draft: Draft, move: Move, observe: Observer | undefined): void => {
    switch (move._tag) {
      case "Tick":
        return pass(draft)
      case "Cut":
        draft.cuts--
        draft.isCut = true
        return prove(draft, 2)
      case "Heal":
        draft.isCut = false
        return
    }
    const { side } = move
    switch (move._tag) {
      case "Start":
        draft.processes[side] = born[side]!
        return
      case "Kill":
        draft.kills--
        return die(draft, side, observe)
      case "Stop":
        draft.stops--
        // It answered until now.
        draft.unanswered = answers(draft, side) ? 0 : draft.unanswered
        tell(draft, side, "Stop", observe)
        return draft.processes[side].node.member.protocol.state === "ACTIVE" ? undefined : finish(draft, side, observe)
      case "Connect":
        draft.connections[side] = { status: "accepted", age: 0 }
        return tell(draft, side, "LinkConnecting", observe)
      case "Greet":
        draft.connections[side] = { status: "greeted", age: 0 }
        return tell(draft, side, "LinkConnected", observe)
      case "Subscribe":
        return subscribe(draft, side, observe)
      case "Break":
        return disconnect(draft, side, observe)
      case "Pause":
        draft.pauses--
        return set(draft, side, { status: "paused" })
      case "Resume":
        set(draft, side, { status: "running" })
        return readsLink ? wake(draft, side, move.early, observe) : undefined
      case "Beat":
        wake(draft, side, 0, observe)
        return draft.processes[side].node.beat >= heartbeatTicks
          ? tell(draft, side, "HeartbeatDue", observe)
          : undefined
      case "Hear":
        return hear(draft, side, observe)
      case "Suspect":
        return set(draft, side, { evidence: "fresh", evidenceAge: 0 })
      case "Learn":
        return learn(draft, side, observe)
      case "Ask":
        if (readsLink) {
          wake(draft, side, 0, observe)
        }
        return tell(draft, side, requestAt(draft, side), observe)
      case "Promote":
        wake(draft, side, 0, observe)
        return tell(draft, side, "Promote", observe)
      case "HandOver":
        draft.handovers--
        // It answered until now.
        draft.unanswered = 0
        return tell(draft, side, "HandOver", observe)
      case "Drain":
        return tell(draft, side, "Drained", observe)
      case "EndTerm":
        return tell(draft, side, "TermEnded", observe)
    }
  }

  const set = (draft: Draft, side: Side, part: Partial<Process>): void => {
    const process = draft.processes[side]
    draft.processes[side] = {
      status: part.status ?? process.status,
      node: part.node ?? process.node,
      evidence: part.evidence ?? process.evidence,
      evidenceAge: part.evidenceAge ?? process.evidenceAge,
      isOvertaken: part.isOvertaken ?? process.isOvertaken
    }
  }

  /** Whether it makes a difference to a process that runs again whether its peer is there. */
  const mayKeepTerm = ({ node }: Process): boolean =>
    evidence && node.member.protocol.state === "ACTIVE" && node.on("RunAlone").node !== node.on("Run").node

  /** Notes that a member answers while its peer, which was active, does not run. */
  const overtake = (draft: Draft): void => {
    for (const side of sides) {
      const process = draft.processes[side]
      if (
        process.status === "paused" && !process.isOvertaken && process.node.member.protocol.state === "ACTIVE" &&
        answers(draft, other(side))
      ) {
        set(draft, side, { isOvertaken: true })
      }
    }
  }

  /** A member that has received nothing, and whose peer's port is refused, is alone. */
  const run = (draft: Draft, side: Side, received: number, observe: Observer | undefined): void => {
    const process = draft.processes[side]
    const isAlone = received === 0 && !draft.isCut && mayKeepTerm(process) &&
      (draft.processes[other(side)].status === "down" || isPortClosed(draft.processes[other(side)]))
    draft.hasKeptStaleTerm ||= isAlone && process.isOvertaken && isLinkProven(draft)
    if (isAlone) {
      tell(draft, side, "RunAlone", observe)
      return notice(draft, side, observe)
    }
    const isDisconnected = draft.connections[side].status === "closed" && draft.flights[side].length === received
    if (isDisconnected) {
      draft.connections[side] = disconnected
    }
    tell(draft, side, isDisconnected ? "RunDisconnected" : "Run", observe)
  }

  /** A member that has accepted nothing stops at once. */
  const finish = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    tell(draft, side, "Drained", observe)
    tell(draft, side, "TermEnded", observe)
  }

  const die = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    lose(draft, side, draft.flights[side].length)
    draft.processes[side] = down[side]!
    draft.connections[side] = disconnected
    close(draft, other(side), observe)
  }

  /** The subscription of a side arrives at its peer, which publishes its state at once. */
  const subscribe = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    draft.connections[side] = subscribed
    tell(draft, other(side), "SubscriberJoined", observe)
  }

  /** The peer of a side closes its connection, which the side notices after all that was said over it. */
  const close = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    if (draft.flights[side].length > 0 || draft.processes[side].status === "paused") {
      draft.connections[side] = draft.connections[side].status === "down"
        ? disconnected
        : { status: "closed", age: 0 }
    } else {
      disconnect(draft, side, observe)
    }
  }

  const disconnect = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    if (draft.connections[side].status !== "down") {
      draft.connections[side] = disconnected
      tell(draft, side, "LinkLost", observe)
    }
  }

  /** A side that has received everything of a closed connection notices the loss. */
  const notice = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    if (
      draft.connections[side].status === "closed" && draft.flights[side].length === 0 &&
      draft.processes[side].status === "running"
    ) {
      disconnect(draft, side, observe)
    }
  }

  /** The first words to a side get lost, which proves nothing about the link. */
  const lose = (draft: Draft, side: Side, count: number): void => {
    draft.flights[side] = draft.flights[side].slice(count)
    draft.unproven[side] = Math.min(draft.unproven[side], Math.max(draft.unproven[side] - count, 1))
  }

  /** A process that runs again receives what has arrived before anything else; the core ignores it after a stall. */
  const wake = (draft: Draft, side: Side, early: number, observe: Observer | undefined): void => {
    const { evidence, evidenceAge, isOvertaken, node } = draft.processes[side]
    const due = draft.flights[side].filter(({ age }) => age === waiting).length
    const isEvidenceDue = evidence !== "none" && evidenceAge === waiting
    const isSubscriptionDue = draft.connections[other(side)].status === "greeted" && isStepDue(draft, other(side))
    if (node.forgets) {
      if (isSubscriptionDue) {
        draft.connections[other(side)] = subscribed
      }
      run(draft, side, due + early, observe)
      for (const { word } of draft.flights[side].slice(0, due + early)) {
        tell(draft, side, staleOf[word], observe)
      }
      lose(draft, side, due + early)
      notice(draft, side, observe)
      return set(draft, side, { isOvertaken: false, ...(isEvidenceDue ? noEvidence : {}) })
    }
    if (isOvertaken) {
      set(draft, side, { isOvertaken: false })
    }
    if (node.isStalled) {
      tell(draft, side, "Run", observe)
    }
    if (isSubscriptionDue) {
      subscribe(draft, other(side), observe)
    }
    for (let i = 0; i < due && draft.flights[side].length > 0 && !draft.hasAborted; i++) {
      hear(draft, side, observe)
    }
    notice(draft, side, observe)
    if (isEvidenceDue) {
      learn(draft, side, observe)
    }
  }

  /** What is under way now proves nothing about the link. */
  const prove = (draft: Draft, rounds: number): void => {
    draft.rounds = rounds
    draft.unproven = rounds === 0 ? [0, 0] : [draft.flights[0].length + 1, draft.flights[1].length + 1]
  }

  const hear = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    const first = draft.flights[side][0]
    draft.flights[side] = draft.flights[side].slice(1)
    draft.unproven[side] = Math.max(draft.unproven[side] - 1, 0)
    if (draft.rounds > 0 && draft.unproven[0] === 0 && draft.unproven[1] === 0) {
      prove(draft, draft.rounds - 1)
    }
    tell(draft, side, StateMachine.eventOf[first!.word], observe)
    notice(draft, side, observe)
  }

  const learn = (draft: Draft, side: Side, observe: Observer | undefined): void => {
    tell(draft, side, draft.processes[side].evidence === "fresh" ? "FreshEvidence" : "StaleEvidence", observe)
    set(draft, side, noEvidence)
  }

  const tell = (draft: Draft, side: Side, stimulus: Reactions.Stimulus, observe: Observer | undefined): void => {
    const process = draft.processes[side]
    const reaction = process.node.on(stimulus)
    set(draft, side, { node: reaction.node, ...(reaction.isRenewed ? outdated(process, reaction.node) : {}) })
    draft.hasAborted ||= reaction.isAborted
    for (const word of reaction.published) {
      publish(draft, side, word)
    }
    observe?.(side, stimulus, reaction)
    if (reaction.isExited) {
      die(draft, side, observe)
    } else if (reaction.isPortClosed) {
      close(draft, other(side), observe)
    }
  }

  const publish = (draft: Draft, from: Side, word: StateMachine.PeerState): void => {
    const to = other(from)
    const last = draft.flights[to].at(-1)
    // Two of the same at one instant arrive like one.
    if (!draft.isCut && draft.connections[to].status === "subscribed" && (last?.word !== word || last.age > 0)) {
      draft.flights[to] = [...draft.flights[to], flightOf(word, 0)]
    }
  }

  /** A tick goes by. Clients have asked both sides until its end, unless one of them waits for that to go on. */
  const pass = (draft: Draft): void => {
    const company = companyOf(draft)
    const isAnswered = company === undefined ||
      sides.some((side) => serves(draft, side) || (company === "lone" && mayRefuse(draft, side)))
    draft.unanswered = isAnswered
      ? 0
      : sides.some((side) => awaitsVote(draft, side))
      ? draft.unanswered
      : Math.min(draft.unanswered + 1, limits[company] + 1)
    const aging = sides.map((side) => canGoOn(draft, side) || isGoingOn(draft, side))
    for (const side of sides) {
      const process = draft.processes[side]
      if (aging[side]) {
        const { age, status } = draft.connections[side]
        draft.connections[side] = { status, age: Math.min(age + 1, patience[status]) }
      }
      if (process.status === "down") {
        continue
      }
      set(draft, side, {
        node: process.node.later(),
        evidenceAge: process.evidence === "none" ? 0 : Math.min(process.evidenceAge + 1, waiting)
      })
      draft.flights[side] = draft.flights[side].map(({ age, word }) => flightOf(word, Math.min(age + 1, waiting)))
      if (draft.processes[side].node.isStalled) {
        forget(draft, side)
      }
    }
  }

  /**
   * A process may stand still for ever while words heap up. One that will start over loses what waits; to any other it is
   * the same to hear a word twice in a row.
   */
  const forget = (draft: Draft, side: Side): void => {
    const process = draft.processes[side]
    if (process.node.forgets) {
      lose(draft, side, draft.flights[side].filter(({ age }) => age === waiting).length)
      if (process.evidenceAge === waiting) {
        set(draft, side, noEvidence)
      }
      return
    }
    const kept = draft.flights[side].filter((flight, i, all) => flight.age < waiting || flight !== all[i + 1])
    lose(draft, side, draft.flights[side].length - kept.length)
    draft.flights[side] = kept
  }

  return {
    initial,
    moves: allMoves,
    movesFrom: ({ processes: [primary, backup] }) =>
      primary.status === "paused" || backup.status === "paused" ? allMoves : movesAwake,
    limits,
    after,
    answers,
    standsStill: (world, side) => world.processes[side].node.isStalled
  }
}

const staleOf = {
  PRIMARY: "StalePrimary",
  BACKUP: "StaleBackup",
  ACTIVE: "StaleActive",
  PASSIVE: "StalePassive"
} as const satisfies { readonly [W in StateMachine.PeerState]: Reactions.Stimulus }

const noEvidence = { evidence: "none", evidenceAge: 0 } as const

const disconnected: Connection = { status: "down", age: 0 }

const subscribed: Connection = { status: "subscribed", age: 0 }

/** What a request is to a side: a subscriber at its state port shows that its peer may be there. */
const requestAt = ({ connections }: World, side: Side): "Request" | "WatchedRequest" =>
  connections[other(side)].status === "subscribed" ? "WatchedRequest" : "Request"

/** Whether the state port of a member is closed, because it hands over. */
const isPortClosed = ({ node }: Process): boolean =>
  StateMachine.reportedState[node.member.protocol.state] === undefined

/** Whether a request makes it go on without being answered. */
const awaitsVote = (world: World, side: Side): boolean => {
  const { node, status } = world.processes[side]
  const reaction = node.on(requestAt(world, side))
  return status === "running" && reaction.isEffective && !reaction.isAccepted
}

/** The evidence is older than what the observer has received or done since. What changes nothing is not kept. */
const outdated = ({ evidence }: Process, node: Reactions.Node): Partial<Process> =>
  evidence === "none" ? {} : node.on("StaleEvidence").isEffective ? { evidence: "stale" } : noEvidence

/** The exceptions: a lone backup that has never received from its primary, and a member that failed over too often. */
const mayRefuse = (world: World, side: Side): boolean => {
  const { node: { later, member: { failovers, protocol } }, status } = world.processes[side]
  return status === "running" && (failovers.length > 0 ||
    protocol.state === "BACKUP" && !protocol.hasReceived && !later().on(requestAt(world, side)).isEffective)
}

/**
 * Who is expected to answer: one of two that run on a whole link, or the one that runs while the other's process is gone or
 * stands still.
 *
 * @since 0.1.0
 * @category models
 */
export type Company = "pair" | "lone"

const companyOf = ({ isCut, processes: [primary, backup] }: World): Company | undefined =>
  primary.status === "running" && backup.status === "running"
    ? isCut ? undefined : "pair"
    : primary.status === "running" || backup.status === "running"
    ? "lone"
    : undefined

/**
 * Something that must never be, and whether it is in a world. What is only `informative` is told but is no fault.
 *
 * @since 0.1.0
 * @category models
 */
export interface Property {
  readonly name: "dual-answer" | "dual-answer-under-cut" | "stale-term" | "abort" | "both-passive" | "no-answer"
  /** What must never be, with the time that it may take in this model. */
  readonly sentence: (model: Model) => string
  /** Where it may be all the same. */
  readonly exception?: string
  readonly isInformative: boolean
  readonly isViolated: (model: Model, world: World) => boolean
}

const bothAnswer = (model: Model, world: World): boolean =>
  model.answers(world, 0) && model.answers(world, 1) &&
  (!model.standsStill(world, 0) || !model.standsStill(world, 1))

const heartbeats = (ticks: number): string => `${ticks / heartbeatTicks} heartbeats`

const isLinkProven = ({ rounds }: Pick<World, "rounds">): boolean => rounds === 0

/**
 * All properties.
 *
 * @since 0.1.0
 * @category constants
 */
export const properties: ReadonlyArray<Property> = [
  {
    name: "dual-answer",
    sentence: () => "two clients that ask both servers at one instant are both answered",
    isInformative: false,
    isViolated: (model, world) => isLinkProven(world) && bothAnswer(model, world)
  },
  {
    name: "dual-answer-under-cut",
    sentence: () => "both servers answer while the link between them is cut, or until it has healed",
    isInformative: true,
    isViolated: (model, world) => !isLinkProven(world) && bothAnswer(model, world)
  },
  {
    name: "stale-term",
    sentence: () => "a member that stalled keeps its term because it has no peer, although its peer answered meanwhile",
    isInformative: false,
    isViolated: (_, { hasKeptStaleTerm }) => hasKeptStaleTerm
  },
  {
    name: "abort",
    sentence: () => "a server ends because of what its peer said",
    isInformative: false,
    isViolated: (_, { hasAborted }) => hasAborted
  },
  {
    name: "both-passive",
    sentence: ({ limits }) =>
      `both servers run and the link is whole, yet for longer than ${heartbeats(limits.pair)} neither would answer`,
    isInformative: false,
    isViolated: ({ limits }, world) => companyOf(world) === "pair" && world.unanswered > limits.pair
  },
  {
    name: "no-answer",
    sentence: ({ limits }) =>
      `one server lives, or is not paused, and is asked all the time, yet for longer than ${
        heartbeats(limits.lone)
      } it does not answer`,
    exception:
      "a backup that has received nothing from its primary since it started, unless it is to serve alone and no " +
      "subscriber is connected to its state port",
    isInformative: false,
    isViolated: ({ limits }, world) => companyOf(world) === "lone" && world.unanswered > limits.lone
  }
]

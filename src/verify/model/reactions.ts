/**
 * The reactions of the core to everything that can happen to a member, computed once for each member and stimulus. Members that no
 * input can distinguish, now or later, are one node.
 */
import * as Production from "../../member/Member.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import { drive, type Run, stimuli, type Stimulus } from "./drive.ts"
import * as NormalForm from "./normalForm.ts"

/** Everything that follows from a stimulus. */
export interface Reaction extends Readonly<Omit<Run, "member">> {
  readonly node: ReactionNode
  /** Whether a request is accepted after it. */
  readonly isAccepted: boolean
  readonly isEffective: boolean
  /** Whether evidence from before proves nothing any more. */
  readonly outdatesEvidence: boolean
}

/** The functions that a model explores. */
export type Core = Pick<typeof Production, "start" | "step">

/** The options of {@link make}: `core` defaults to the one that runs; a test takes a rule away. */
export interface Options extends Pick<NormalForm.Options, "tickMillis" | "remembersPeer"> {
  readonly core?: Core | undefined
}

/** All nodes of one side that were found so far. */
interface Graph extends NormalForm.Options {
  readonly core: Core
  readonly nodes: Map<string, ReactionNode>
}

const noReactions = Object.fromEntries(stimuli.map((stimulus) => [stimulus, undefined])) as {
  readonly [S in Stimulus]: undefined
}

/** A member as far as its future depends on it. */
export class ReactionNode {
  readonly id: number
  readonly member: Production.Member
  /** Ticks since its last heartbeat, up to where any longer stall is the same. */
  readonly heartbeatAge: number
  /** Whether it has stalled, and at least resets the link before it does anything else. */
  readonly isStalled: boolean
  /** Whether it restarts once it runs again, and ignores heartbeats that it received before. */
  readonly restarts: boolean
  readonly #graph: Graph
  // All nodes have all keys, and so one shape: with a shape for each order of stimuli a look-up is several times slower.
  readonly #reactions: { [S in Stimulus]: Reaction | undefined } = { ...noReactions }
  #afterTick: ReactionNode | undefined

  constructor(graph: Graph, member: Production.Member) {
    const { nodes, rules, tickMillis } = graph
    this.id = nodes.size
    this.member = member
    this.heartbeatAge = -member.lastHeartbeatAt / tickMillis
    this.isStalled = StateMachine.isStalled(rules, member.lastHeartbeatAt, 0)
    this.restarts = Production.isStalled(rules, member, 0)
    this.#graph = graph
  }

  on(stimulus: Stimulus): Reaction {
    return this.#reactions[stimulus] ??= react(this.#graph, this, stimulus)
  }

  /** The same member a tick later. */
  afterTick(): ReactionNode {
    return this.#afterTick ??= nodeOf(this.#graph, this.member, this.#graph.tickMillis)
  }
}

/** The node of a process that has just started, from which all others of its side are reached. */
export const make = (rules: Production.Rules, { core = Production, ...options }: Options): ReactionNode => {
  // A stall may be too long to keep a term; any longer one is the same.
  const longestTicks = ticksUntil((ticks) =>
    StateMachine.isStalled(rules, -ticks * options.tickMillis, 0) &&
    !(rules.crashDetection && StateMachine.mayKeepTerm(rules, -ticks * options.tickMillis, 0))
  )
  const graph: Graph = { ...options, rules, longestTicks, core, nodes: new Map() }
  return nodeOf(graph, core.start(rules, 0).member, 0)
}

const nodeOf = (graph: Graph, member: Production.Member, now: number): ReactionNode => {
  const normal = NormalForm.of(graph, member, now)
  const key = NormalForm.keyOf(normal)
  const known = graph.nodes.get(key)
  if (known !== undefined) {
    return known
  }
  const node = new ReactionNode(graph, normal)
  graph.nodes.set(key, node)
  return node
}

/** The least number of ticks that reaches something. */
export const ticksUntil = (isReached: (ticks: number) => boolean): number => {
  let ticks = 0
  while (!isReached(ticks)) {
    ticks++
  }
  return ticks
}

const react = (graph: Graph, node: ReactionNode, stimulus: Stimulus): Reaction => {
  const { core, rules } = graph
  const run = drive((member, inputs) => core.step(rules, member, inputs, 0), node.member, stimulus)
  const { isAborted, isExited, isPortClosed, logs, member, published } = run
  const after = nodeOf(graph, member, 0)
  // Field by field: the search reads these more often than anything else, and an object that was spread is slower.
  return {
    node: after,
    published,
    isPortClosed,
    isAborted,
    isExited,
    logs,
    isAccepted: Production.admission(rules, member, 0) === "Accept",
    isEffective: after !== node || published.length > 0,
    outdatesEvidence: member.protocol.silentSince !== NormalForm.before
  }
}

/**
 * Two members with a witness, the three links between them, and everything that may happen to them, as a set of states and moves.
 * Each member is the core that runs in production.
 *
 * Time passes in ticks of half a heartbeat: a right lasts for three, a guard and an observation for four.
 */
import * as Production from "../../member/Member.ts"
import * as Policies from "../../protocol/Policies.ts"
import { timing } from "../../protocol/Timing.ts"
import * as Nodes from "./witnessNode.ts"
import type * as World from "./witnessWorld.ts"

export { type Problem, type Setup, type Side, type State } from "./witnessWorld.ts"

/**
 * How far the world may go. Each budget is for the whole pair, up to {@link maxBudget}, and defaults to `0`. Cuts and delays have no
 * budget: they may happen at any time, in any direction, for any time.
 *
 * @category models
 */
export interface Options {
  /** How often a process is killed. */
  readonly kills?: number | undefined
  /** How often a member is stopped by its operator. */
  readonly stops?: number | undefined
  /** How often a process is paused, for any time. */
  readonly pauses?: number | undefined
  /** How often an operator hands over. */
  readonly handovers?: number | undefined
  /** How long a right and a guard last, in ticks. Defaults to three and four, as in production. */
  readonly ticks?: { readonly right: number; readonly guard: number } | undefined
  /** The core to be explored. Defaults to the one that runs. */
  readonly core?: Nodes.Core | undefined
}

/**
 * The largest budget that can be explored.
 *
 * @category constants
 */
export const maxBudget = 7

const heartbeatMillis = 2 * Nodes.tickMillis

/** The roles decide nothing that is explored: when a backup leaves it to its primary to be active is but a matter of service. */
const role = "primary"

const production = {
  right: timing.right * heartbeatMillis / Nodes.tickMillis,
  guard: timing.guard * heartbeatMillis / Nodes.tickMillis
}

const rulesOf = ({ guard, right }: typeof production): Nodes.Options["rules"] => ({
  role,
  policy: Policies.witnessed,
  peerTimeoutMillis: timing.peerTimeout * heartbeatMillis,
  handshakeMillis: timing.handshake * heartbeatMillis,
  lone: "wait",
  isSelfVoting: false,
  drainMillis: Number.POSITIVE_INFINITY,
  maxFailovers: Number.POSITIVE_INFINITY,
  failoverWindowMillis: Number.POSITIVE_INFINITY,
  crashDetection: true,
  fencing: "optional",
  peerEndpoint: "its peer",
  stateEndpoint: "its state port",
  witnessEndpoint: "the witness",
  life: Nodes.ownLife,
  rights: {
    role,
    life: Nodes.ownLife,
    rightMillis: right * Nodes.tickMillis,
    guardMillis: guard * Nodes.tickMillis
  }
})

/**
 * Makes the model. Throws a `RangeError` if an option is too large.
 *
 * @category constructors
 */
export const make = (
  { core = Production, handovers = 0, kills = 0, pauses = 0, stops = 0, ticks = production }: Options
): World.Setup => {
  const budgets = { kills, pauses, handovers, stops }
  if (Math.max(...Object.values(budgets)) > maxBudget) {
    throw new RangeError(`budgets go up to ${maxBudget}`)
  }
  return { graph: new Nodes.Graph({ rules: rulesOf(ticks), core }), budgets }
}

/**
 * The longest time without service, in ticks, once two of the three can talk.
 *
 * @category constants
 */
export const serviceTicks = 6

/**
 * What must never be.
 *
 * @category models
 */
export interface Property {
  readonly name: "dual-answer" | "old-term" | "no-answer"
  readonly sentence: string
  readonly exception?: string
}

/**
 * All properties.
 *
 * @category constants
 */
export const properties: ReadonlyArray<Property> = [
  {
    name: "dual-answer",
    sentence: "two clients that send requests to both servers at one instant are both answered"
  },
  { name: "old-term", sentence: "a server answers with a smaller term than one in which another has answered before" },
  {
    name: "no-answer",
    sentence: `two of primary, backup and witness can talk, yet for longer than ${
      serviceTicks / 2
    } heartbeats no server answers`,
    exception: "a server that has started or lost its right while its peer and the witness are dead: it is one of three"
  }
]

const [dualAnswer, oldTerm, noAnswer] = properties as readonly [Property, Property, Property]

/** The property that a problem violates. */
export const propertyOf = (problem: World.Problem | "no-service"): Property =>
  problem === "two-serve" ? dualAnswer : problem === "old-term" ? oldTerm : noAnswer

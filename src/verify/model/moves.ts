/** What the environment can do, and when it is possible. */
import { canAdvance, isStepDue, isSubscriptionDue } from "./connections.ts"
import { heartbeatTicks, type Setup } from "./setup.ts"
import { mayPass } from "./tick.ts"
import { otherReception } from "./update.ts"
import { isRefusing, other, requestAt, type Side, sides, type World } from "./world.ts"

/**
 * Something that may happen. `ReceiveOther` is `Receive` of a message whose effect depends on more than its kind. `Probe` finds crash evidence and `PeerDown` delivers it. `Request` is one that changes a member; any
 * other makes no difference. A process that resumes receives what is late, and `early` messages that could have arrived later.
 *
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
      | "Drained"
      | "TermEnded"
      | "Accept"
      | "Handshake"
      | "Subscribe"
      | "Disconnect"
      | "Heartbeat"
      | "Receive"
      | "ReceiveOther"
      | "Probe"
      | "PeerDown"
      | "Request"
      | "Promote"
    readonly side: Side
  }
  | { readonly _tag: "Resume"; readonly side: Side; readonly early: number }

/** The passing of time. */
export const tick: Move = { _tag: "Tick" }

/** More messages than this are never under way to one side. */
const maxEarly = 12

/** All moves that take no time, in the order in which they are tried. */
export const moves: ReadonlyArray<Move> = [
  ...([
    "Request",
    "Promote",
    "Heartbeat",
    "Receive",
    "ReceiveOther",
    "PeerDown",
    "Start",
    "Kill",
    "Stop",
    "Pause",
    "HandOver",
    "Drained",
    "TermEnded",
    "Probe",
    "Accept",
    "Handshake",
    "Subscribe",
    "Disconnect"
  ] as const).flatMap((_tag) => sides.map((side): Move => ({ _tag, side }))),
  { _tag: "Cut" },
  { _tag: "Heal" },
  ...sides.flatMap((side) =>
    Array.from({ length: maxEarly + 1 }, (_, early): Move => ({ _tag: "Resume", side, early }))
  )
]

/** Moves that a model without these budgets does not have. */
export const movesOf = (
  { budgets: { cuts, handovers, kills, pauses, stops }, evidence }: Setup
): ReadonlyArray<Move> => {
  const limits: { readonly [T in Move["_tag"]]?: number } = {
    Kill: kills,
    Stop: stops,
    Pause: pauses,
    Resume: pauses,
    Cut: cuts,
    Heal: cuts,
    Disconnect: cuts,
    HandOver: handovers,
    Drained: handovers + stops,
    TermEnded: handovers + stops,
    Promote: handovers,
    Probe: Number(evidence),
    PeerDown: Number(evidence)
  }
  return moves.filter(({ _tag }) => limits[_tag] !== 0)
}

/** Whether a move is possible now. One switch: a table of functions takes twice as long. */
export const isPossible = (setup: Setup, world: World, move: Move): boolean => {
  switch (move._tag) {
    case "Tick":
      return mayPass(setup, world)
    case "Cut":
      return !world.isCut && world.cuts > 0
    case "Heal":
      return world.isCut
  }
  const { side } = move
  const { evidence, node, status } = world.processes[side]
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
    case "Drained":
      return isRunning && node.member.phase._tag === "Draining"
    case "TermEnded":
      return isRunning && node.member.phase._tag === "EndingTerm"
    case "Resume":
      return status === "paused" && (move.early === 0 || node.restarts && move.early <= earlyCount(setup, world, side))
    case "Heartbeat":
      return isRunning && node.heartbeatAge >= heartbeatTicks && !isSubscriptionDue(setup, world, side)
    case "Receive":
      return isRunning && world.messages[side].length > 0
    case "ReceiveOther":
      return isRunning && world.messages[side].length > 0 && otherReception(world, side) !== undefined
    case "Probe":
      return setup.evidence && isRunning && evidence !== "fresh" && mayFindEvidence(world, side) &&
        node.on("FreshEvidence").isEffective
    case "PeerDown":
      return isRunning && evidence !== "none"
    case "Request":
      return isRunning && !isStepDue(setup, world, side) && node.on(requestAt(world, side)).isEffective
    case "Accept":
      return world.connections[side].status === "down" && canAdvance(world, side)
    case "Handshake":
      return world.connections[side].status === "accepted" && canAdvance(world, side)
    case "Subscribe":
      return world.connections[side].status === "connected" && canAdvance(world, side)
    case "Disconnect":
      return world.isCut && isConnectionOpen(world, side)
    case "Promote":
      return isRunning && setup.budgets.handovers > 0 && node.member.promotion === undefined &&
        node.on("Promote").isEffective
  }
}

/** The number of messages to a side that are not late. */
const earlyCount = ({ lateAge }: Setup, { messages }: World, side: Side): number =>
  messages[side].filter(({ age }) => age < lateAge).length

/** A member looks for evidence once its connection is closed, so after it has received all messages. */
const mayFindEvidence = (world: World, side: Side): boolean =>
  !world.isCut && isRefusing(world, other(side)) && world.messages[side].length === 0

const isConnectionOpen = ({ connections }: World, side: Side): boolean =>
  connections[side].status !== "down" && connections[side].status !== "closed"

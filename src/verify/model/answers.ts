/** Whether the clients of a side are answered, in one state of the world. */
import { isStepDue } from "./connections.ts"
import type { Setup } from "./setup.ts"
import { isRunning, requestAt, type Side, type World } from "./world.ts"

/** Whether a side answers a client whose request arrives now; messages that have arrived come before a vote. */
export const answers = (setup: Setup, world: World, side: Side): boolean => {
  const { node, status } = world.processes[side]
  if (status !== "running") {
    return false
  }
  const request = (node.isStalled ? node.on("Run").node : node).on("Request")
  return request.isAccepted && !(request.isEffective && isStepDue(setup, world, side))
}

/** Whether both sides answer, and not because neither has noticed yet that it was paused. */
export const bothAnswer = (setup: Setup, world: World): boolean =>
  answers(setup, world, 0) && answers(setup, world, 1) &&
  !(world.processes[0].node.isStalled && world.processes[1].node.isStalled)

/** Whether a side answers a client that sends its request now: a draining member rejects new ones. */
export const serves = (setup: Setup, world: World, side: Side): boolean =>
  world.processes[side].node.member.phase._tag === "Serving" && answers(setup, world, side)

/** Whether a vote advances a member that still rejects it. */
export const awaitsVote = (world: World, side: Side): boolean => {
  const reaction = world.processes[side].node.on(requestAt(world, side))
  return isRunning(world, side) && reaction.isEffective && !reaction.isAccepted
}

/** Exceptions: a lone backup that has never received from its primary, and a member that has failed over too often. */
export const mayReject = (world: World, side: Side): boolean => {
  const { node } = world.processes[side]
  const { failovers, protocol } = node.member
  return isRunning(world, side) && (failovers.length > 0 ||
    protocol.state === "BACKUP" && !protocol.hasReceived && !node.afterTick().on(requestAt(world, side)).isEffective)
}

/** Which steps the connection of a side to its peer's state port can take, and which it has to. */
import type { Setup } from "./setup.ts"
import { isRefusing, isRunning, other, type Side, type World } from "./world.ts"

/** Whether the next step of a connection can be taken. The peer's host accepts connections for a paused process. */
export const canAdvance = (world: World, side: Side): boolean => {
  const peer = other(side)
  if (world.isCut || isRefusing(world, peer)) {
    return false
  }
  switch (world.connections[side].status) {
    case "down":
      return isRunning(world, side)
    case "accepted":
      return isRunning(world, side) && isRunning(world, peer)
    case "connected":
      return isRunning(world, peer)
    case "subscribed":
    case "closed":
      return false
  }
}

/** Whether the hosts advance a connection even for paused processes: they accept it, and receive a subscription. */
export const isAdvancedByHosts = (world: World, side: Side): boolean => {
  const { status } = world.connections[side]
  return !world.isCut && world.processes[side].status !== "down" && !isRefusing(world, other(side)) &&
    (status === "down" || status === "connected")
}

/** Whether the hosts have done a step of a connection, which only waits for the processes. */
export const isStepDue = ({ stepTicks }: Setup, world: World, side: Side): boolean => {
  const { age, status } = world.connections[side]
  return age >= stepTicks[status] && canAdvance(world, side)
}

/** Whether a side has to receive the subscription of its peer before it publishes. */
export const isSubscriptionDue = (setup: Setup, world: World, side: Side): boolean =>
  world.connections[other(side)].status === "connected" && isStepDue(setup, world, other(side))

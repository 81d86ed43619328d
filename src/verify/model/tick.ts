/** The passing of time: a tick is half a heartbeat. */
import { awaitsVote, mayReject, serves } from "./answers.ts"
import { canAdvance, isAdvancedByHosts, isStepDue } from "./connections.ts"
import { heartbeatTicks, messageOf, type Setup } from "./setup.ts"
import { dropMessages, setEvidence, setNode, type Update } from "./update.ts"
import { isRunning, serviceOf, type Side, sides, type World } from "./world.ts"

/** Whether a side has done everything that must not take longer. */
const isUpToDate = (setup: Setup, world: World, side: Side): boolean => {
  const { evidence, evidenceAge, node: { heartbeatAge, member: { phase } } } = world.processes[side]
  const messages = world.messages[side]
  return !isRunning(world, side) || (
    !isStepDue(setup, world, side) && heartbeatAge < heartbeatTicks &&
    (messages.length === 0 || messages[0]!.age < setup.delay) &&
    (evidence === "none" || evidenceAge < setup.delay) &&
    phase._tag !== "EndingTerm" && (phase._tag !== "Draining" || phase.until > 0)
  )
}

export const mayPass = (setup: Setup, world: World): boolean =>
  isUpToDate(setup, world, 0) && isUpToDate(setup, world, 1)

export const pass = (update: Update): void => {
  const { setup, world } = update
  world.unanswered = unansweredAfter(setup, world)
  const isAging = sides.map((side) => canAdvance(world, side) || isAdvancedByHosts(world, side))
  for (const side of sides) {
    if (isAging[side]) {
      const { age, status } = world.connections[side]
      world.connections[side] = { status, age: Math.min(age + 1, setup.stepTicks[status]) }
    }
    if (world.processes[side].status !== "down") {
      age(update, side)
    }
  }
}

/** Clients send requests to both sides until the end of a tick, unless a side waits for a vote to go on. */
const unansweredAfter = (setup: Setup, world: World): number => {
  const service = serviceOf(world)
  if (
    service === undefined ||
    sides.some((side) => serves(setup, world, side) || (service === "lone" && mayReject(world, side)))
  ) {
    return 0
  }
  return sides.some((side) => awaitsVote(world, side))
    ? world.unanswered
    : Math.min(world.unanswered + 1, setup.limits[service] + 1)
}

const age = (update: Update, side: Side): void => {
  const { setup, world } = update
  const { evidence, evidenceAge, node } = world.processes[side]
  setNode(world, side, node.afterTick())
  if (evidence !== "none") {
    setEvidence(world, side, evidence, Math.min(evidenceAge + 1, setup.lateAge))
  }
  world.messages[side] = world.messages[side].map(({ age, kind }) => messageOf(kind, Math.min(age + 1, setup.lateAge)))
  if (world.processes[side].node.isStalled) {
    forget(update, side)
  }
}

/**
 * A process may be paused for ever while messages arrive. A member that will restart ignores what is late; to any other, one of
 * several equal late messages in a row is enough.
 */
const forget = ({ setup, world }: Update, side: Side): void => {
  const { evidenceAge, node } = world.processes[side]
  const messages = world.messages[side]
  if (node.restarts) {
    dropMessages(world, side, messages.filter(({ age }) => age === setup.lateAge).length)
    if (evidenceAge === setup.lateAge) {
      setEvidence(world, side, "none", 0)
    }
    return
  }
  const kept = messages.filter((message, i) => message.age < setup.lateAge || message !== messages[i + 1])
  dropMessages(world, side, messages.length - kept.length)
  world.messages[side] = kept
}

/** What each move of the environment changes. */
import { answers } from "./answers.ts"
import { isPossible, type Move } from "./moves.ts"
import { heartbeatTicks, type Setup } from "./setup.ts"
import { pass } from "./tick.ts"
import * as Update from "./update.ts"
import { requestAt, serviceOf, type Side, type World } from "./world.ts"

/** The world after a move, or nothing if it is not possible now. */
export const after = (
  setup: Setup,
  world: World,
  move: Move,
  observe: Update.Observer | undefined
): World | undefined => {
  if (!isPossible(setup, world, move)) {
    return undefined
  }
  const update = Update.make(setup, world, observe)
  perform(update, move)
  Update.recordOvertaking(update)
  if (serviceOf(update.world) !== serviceOf(world)) {
    update.world.unanswered = 0
  }
  return update.world
}

const perform = (update: Update.Update, move: Move): void => {
  const { setup, world } = update
  switch (move._tag) {
    case "Tick":
      return pass(update)
    case "Cut":
      world.cuts--
      world.isCut = true
      return Update.unprove(world, 2)
    case "Heal":
      world.isCut = false
      return
  }
  const { side } = move
  switch (move._tag) {
    case "Start":
      world.processes[side] = setup.started[side]
      return
    case "Kill":
      world.kills--
      return Update.end(update, side)
    case "Stop":
      world.stops--
      return stop(update, side)
    case "Pause":
      world.pauses--
      return Update.setStatus(world, side, "paused")
    case "Resume":
      Update.setStatus(world, side, "running")
      return setup.readsLink ? Update.catchUp(update, side, move.early) : undefined
    case "Accept":
      world.connections[side] = { status: "accepted", age: 0 }
      return Update.notify(update, side, "LinkConnecting")
    case "Handshake":
      world.connections[side] = { status: "connected", age: 0 }
      return Update.notify(update, side, "LinkConnected")
    case "Subscribe":
      return Update.subscribe(update, side)
    case "Disconnect":
      return Update.disconnect(update, side)
    case "Heartbeat":
      Update.catchUp(update, side, 0)
      return world.processes[side].node.heartbeatAge >= heartbeatTicks
        ? Update.notify(update, side, "HeartbeatDue")
        : undefined
    case "Receive":
      return Update.receive(update, side)
    case "ReceiveOther":
      return Update.receive(update, side, Update.otherReception(world, side))
    case "Probe":
      return Update.setEvidence(world, side, "fresh", 0)
    case "PeerDown":
      return Update.receiveEvidence(update, side)
    case "Request":
      return request(update, side)
    case "Promote":
      Update.catchUp(update, side, 0)
      return Update.notify(update, side, "Promote")
    case "HandOver":
      world.handovers--
      // It has answered until now.
      world.unanswered = 0
      return Update.notify(update, side, "HandOver")
    case "Drained":
    case "TermEnded":
      return Update.notify(update, side, move._tag)
  }
}

const request = (update: Update.Update, side: Side): void => {
  if (update.setup.readsLink) {
    Update.catchUp(update, side, 0)
  }
  Update.notify(update, side, requestAt(update.world, side))
}

/** A member that has accepted nothing stops at once. */
const stop = (update: Update.Update, side: Side): void => {
  const { setup, world } = update
  // It has answered until now.
  world.unanswered = answers(setup, world, side) ? 0 : world.unanswered
  Update.notify(update, side, "Stop")
  if (world.processes[side].node.member.protocol.state !== "ACTIVE") {
    Update.notify(update, side, "Drained")
    Update.notify(update, side, "TermEnded")
  }
}

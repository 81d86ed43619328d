/**
 * What a process does for each output of the core. The runtime does the same as Effects, in `member/outputs.ts`: an Effect for each
 * output would make these runs many times slower, so the order is written twice and only the core and its data plane are shared.
 */
import * as Core from "../../member/Member.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import * as Challenge from "./challenge.ts"
import * as Link from "./coreLink.ts"
import { printInputs, printMember, printOutput } from "./coreTrace.ts"
import {
  chance,
  heartbeatMillis,
  type Message,
  note,
  plan,
  type Server,
  type Timer,
  trace,
  upTo,
  violate,
  type World
} from "./coreWorld.ts"

/** The time in which messages that have reached a host reach its process after a stall. */
export const arrivalMillis = 5

/** Sets a timer of a process, which is ignored once that has ended. */
export const setTimer = (world: World, { processId, side }: Server, millis: number, timer: Timer): void =>
  plan(world, millis, { _tag: "Timer", to: side, processId, timer })

/** A process ends: its host closes its port and its connections. */
export const end = (world: World, server: Server, how: string): void => {
  trace(world, `${server.rules.role} ${how}`)
  note(world, 16 + server.side)
  server.status = "down"
  server.connection.id++
  server.connection.status = "down"
  Link.closePort(world, server)
  Challenge.reset(server)
  for (const [id, { processId, side }] of world.commands) {
    if (side === server.side && processId === server.processId) {
      world.commands.delete(id)
    }
  }
}

export const pause = (world: World, server: Server): void => {
  server.status = "paused"
  server.outputsLeft = Number.POSITIVE_INFINITY
  trace(world, `${server.rules.role} is paused`)
  plan(world, server.pauseMillis, { _tag: "Resume", to: server.side, processId: server.processId })
}

export const step = (world: World, server: Server, inputs: ReadonlyArray<Core.Input>): void => {
  const { state } = server.member.protocol
  const { member, outputs } = Core.step(server.rules, server.member, inputs, world.now)
  server.member = member
  server.pending.push(...outputs)
  if (member.protocol.state !== state) {
    Challenge.reset(server)
    note(world, 32 + StateMachine.states.indexOf(member.protocol.state))
  }
  if (world.lines !== undefined) {
    trace(world, `${server.rules.role} < ${printInputs(inputs)}`)
    trace(world, `  ${printMember(member, world.now)}`)
  }
}

/** Whether a process can continue now. */
const mayRun = ({ isBlocked, status }: Server): boolean => !isBlocked && status === "running"

/** Performs all outputs, in order. Returns whether the process can continue then. */
export const performAll = (world: World, server: Server): boolean => {
  while (server.pending.length > 0 && mayRun(server)) {
    if (server.outputsLeft-- <= 0) {
      pause(world, server)
      return false
    }
    perform(world, server, server.pending.shift()!)
  }
  return mayRun(server)
}

const perform = (world: World, server: Server, output: Core.Output): void => {
  if (world.lines !== undefined) {
    trace(world, `${server.rules.role}   ${printOutput(output, world.now)}`)
  }
  switch (output._tag) {
    case "Publish":
      Link.publish(world, server, output)
      return output.isHeartbeat
        ? step(world, server, [{ _tag: "HeartbeatSent", startedAt: world.now, isPortOpen: true }])
        : undefined
    case "Reply":
      return Link.reply(world, server, output.heartbeat)
    case "ReadLink":
      readSocket(world, server)
      server.linkReadAt = world.now
      return step(world, server, [
        ...takeInputs(server),
        { _tag: "LinkRead", at: world.now, hasSubscriber: Link.hasSubscriber(world, server) }
      ])
    case "ResetLink":
      server.isBlocked = true
      server.nextEpoch = output.epoch
      server.refusal = undefined
      return output.probeMillis === undefined
        ? setTimer(world, server, arrivalMillis, { _tag: "Reset" })
        : Link.probe(world, server, output.probeMillis)
    case "EndTerm":
      server.responder.endTerm()
      server.isBlocked = output.isSilent
      return setTimer(world, server, finalizing(world), {
        _tag: output.isSilent ? "Released" : "TermEnded",
        end: output.end
      })
    case "Transitioned":
      world.takeOvers += output.transition.to === "ACTIVE" ? 1 : 0
      return
    case "WakeAt":
      return setTimer(world, server, Math.max(0, output.at - world.now), { _tag: "Woken" })
    case "Complete":
      world.commands.delete(output.id)
      return
    case "Abort":
      violate(world, "Ended", `${server.rules.role}: ${output.reason}`)
      return end(world, server, "aborts")
    case "Exit":
      server.requests.rejectAll(server.member.protocol.state)
      return end(world, server, "exits")
    case "BeginTerm":
    case "FailedOver":
    case "Conflict":
    case "Log":
      return
  }
}

/** The time in which everything that runs in a term is finalized. */
const finalizing = (world: World): number => {
  const millis = chance(world, 0.5) ? 0 : upTo(world, chance(world, 0.2) ? 2 : 0.3)
  return Math.min(millis, Math.max(0.1 * heartbeatMillis, world.end - world.now))
}

export const receiveMessage = (world: World, server: Server, message: Message): void => {
  const { connection, heartbeat, state } = message
  if (world.isFaulty || connection === server.connection.id) {
    server.inputs.push({ _tag: "PeerHeartbeat", state, heartbeat, receivedAt: world.now, linkEpoch: server.linkEpoch })
  }
}

/** Delivers the messages that have reached the socket of the link. */
export const readSocket = (world: World, server: Server): void => {
  const messages = server.backlog.Message
  server.backlog.Message = []
  messages.forEach((message) => receiveMessage(world, server, message))
}

export const takeInputs = (server: Server): ReadonlyArray<Core.Input> => {
  const { inputs } = server
  server.inputs = []
  return inputs
}

/**
 * The link between two processes: connections whose steps take time, messages in order, crash evidence. It follows the same rules
 * as `peerLinks.ts`, and besides a final heartbeat closes the port.
 */
import type * as Core from "../../member/Member.ts"
import type { Heartbeat } from "../../protocol/Heartbeat.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"
import {
  chance,
  delay,
  integer,
  other,
  plan,
  type Server,
  type Side,
  type Step,
  trace,
  type World
} from "./coreWorld.ts"

/** The time between two attempts to connect. */
const retryMillis = 25

/** The longest handshake, in delays. */
const handshakeDelays = 5

const isCut = ({ cut }: World): boolean => cut[0] || cut[1]

/** Begins to connect a side to its peer in place of its connection. */
export const connect = (world: World, { connection, side }: Server, millis = 0): void => {
  connection.id++
  connection.status = "down"
  const asOf = world.now + millis
  plan(world, millis + delay(world), { _tag: "Arrive", to: side, connection: connection.id, asOf })
}

const retry = (world: World, { connection, side }: Server, step: Step): void =>
  plan(world, retryMillis, { ...step, to: side, connection: connection.id })

const input = (world: World, { processId, side }: Server, input: Core.Input, millis = 0): void =>
  plan(world, millis, { _tag: "Link", to: side, processId, input })

/** A refused connection is crash evidence: no process listens. */
const onRefused = (world: World, server: Server, asOf: number): void => {
  input(world, server, {
    _tag: "PeerDown",
    evidence: { _tag: "ConnectionRefused", endpoint: "its peer", asOf },
    linkEpoch: server.linkEpoch
  }, delay(world))
  connect(world, server, retryMillis)
}

/** Takes a step of a connection, retries it later, or finds the port closed. */
export const step = (world: World, server: Server, step: Step): void => {
  const { connection } = server
  const peer = world.servers[other(server.side)]
  if (connection.id !== step.connection || server.status === "down") {
    return
  }
  const isOpen = peer.port !== 0 && (step._tag === "Arrive" || peer.port === connection.port)
  switch (step._tag) {
    case "Arrive":
      if (isCut(world) || server.status === "paused") {
        return connect(world, server, retryMillis)
      }
      connection.port = peer.port
      return isOpen
        ? plan(world, delay(world), { ...step, _tag: "Open" })
        : onRefused(world, server, step.asOf)
    case "Open":
      connection.status = "accepted"
      input(world, server, { _tag: "LinkConnecting" })
      return plan(world, handshakeMillis(world), { ...step, _tag: "Handshake" })
    case "Handshake":
      if (!isOpen || isCut(world) || server.status === "paused" || peer.status === "paused") {
        return isOpen ? retry(world, server, step) : lose(world, server)
      }
      connection.status = "connected"
      input(world, server, { _tag: "LinkConnected" })
      return plan(world, delay(world), { ...step, _tag: "Subscribe" })
    case "Subscribe":
      if (!isOpen || isCut(world)) {
        return isOpen ? retry(world, server, step) : lose(world, server)
      }
      connection.status = "subscribed"
      return input(world, peer, { _tag: "SubscriberJoined" })
    case "Lost":
      trace(world, `the connection of the ${server.rules.role} is lost`)
      input(world, server, { _tag: "LinkLost" })
      return connect(world, server)
  }
}

const handshakeMillis = (world: World): number => {
  let millis = 0
  for (let i = integer(world, handshakeDelays); i >= 0; i--) {
    millis += delay(world)
  }
  return millis
}

/** The peer's port is closed: a side notices it after it has received all messages. */
const lose = (world: World, server: Server): void => {
  const { connection, side } = server
  if (connection.status !== "closed") {
    connection.status = "closed"
    server.busyUntil = Math.max(server.busyUntil, world.now + delay(world))
    plan(world, server.busyUntil - world.now, { _tag: "Lost", to: side, connection: connection.id, asOf: world.now })
  }
}

/** Closes the state port of a side, and the connection to it. */
export const closePort = (world: World, server: Server): void => {
  const peer = world.servers[other(server.side)]
  const wasOpen = server.port !== 0
  server.port = 0
  if (wasOpen && peer.status !== "down" && peer.connection.status !== "down") {
    lose(world, peer)
  }
}

export const openPort = (world: World, server: Server): void => {
  server.port = server.port === 0 ? ++world.lastId : server.port
}

export const hasSubscriber = (world: World, { port, side }: Server): boolean => {
  const { connection, status } = world.servers[other(side)]
  return port !== 0 && status !== "down" && connection.status === "subscribed" && connection.port === port
}

const longDelays = 10

/** Carries a message to the peer, as the conditions are. */
const carry = (world: World, to: Side, state: StateMachine.PeerState, heartbeat: Heartbeat): void => {
  const peer = world.servers[to]
  const event = {
    _tag: "Message",
    to,
    connection: peer.connection.id,
    state,
    heartbeat: world.isLegacy ? undefined : heartbeat
  } as const
  if (!world.isFaulty) {
    peer.busyUntil = Math.max(peer.busyUntil, world.now + delay(world))
    return plan(world, peer.busyUntil - world.now, event)
  }
  for (let copies = drawCopies(world); copies > 0; copies--) {
    plan(world, delay(world) * (chance(world, 0.3) ? longDelays : 1), event)
  }
}

const drawCopies = (world: World): number => {
  if (chance(world, 0.1)) {
    return 0
  }
  return chance(world, 0.1) ? 2 : 1
}

const send = (world: World, server: Server, state: StateMachine.PeerState, heartbeat: Heartbeat): void => {
  if (hasSubscriber(world, server) && !world.cut[server.side]) {
    carry(world, other(server.side), state, heartbeat)
  }
}

/** Publishes a state and the heartbeat behind it. A port that was closed is opened; a final message closes it. */
export const publish = (
  world: World,
  server: Server,
  { heartbeat, isFinal, state }: Extract<Core.Output, { _tag: "Publish" }>
): void => {
  if (server.port === 0 && isFinal) {
    return
  }
  openPort(world, server)
  send(world, server, state, heartbeat)
  if (isFinal) {
    closePort(world, server)
  }
}

/** Sends a heartbeat without a state. */
export const reply = (world: World, server: Server, heartbeat: Heartbeat): void => {
  if (!world.isLegacy) {
    send(world, server, heartbeat.state, heartbeat)
  }
}

/** Probes the peer's state port after a stall. */
export const probe = (world: World, { processId, side }: Server, timeoutMillis: number): void => {
  const there = delay(world)
  const back = delay(world)
  const isInTime = there + back <= timeoutMillis
  plan(world, Math.min(there, timeoutMillis), {
    _tag: "Probe",
    to: side,
    processId,
    triedAt: world.now,
    isInTime,
    backMillis: isInTime ? back : Math.max(0, timeoutMillis - there)
  })
}

/** Whether a probe that arrives now is refused. */
export const isRefused = (world: World, { side }: Server): boolean =>
  world.servers[other(side)].port === 0 && !isCut(world)

/** The process of one side: the core with its data plane in a plain loop. Only events of the world take time. */
import * as Counters from "../../member/Counters.ts"
import * as Core from "../../member/Member.ts"
import { Requests } from "../../member/Requests.ts"
import * as Link from "./coreLink.ts"
import { arrivalMillis, performAll, readSocket, receiveMessage, setTimer, step, takeInputs } from "./corePerform.ts"
import { flush, followPhase, offer, serveFresh, serveNow } from "./coreRequests.ts"
import { PlainResponder } from "./coreResponder.ts"
import {
  anyOf,
  type Backlog,
  chance,
  type Delivery,
  heartbeatMillis,
  note,
  roles,
  type Server,
  type Side,
  type Timer,
  trace,
  upTo,
  type World
} from "./coreWorld.ts"

/** There is no limit for each client. */
const limitsOf = (concurrency: number) => ({ concurrency, maxFrames: 10, maxPerClient: Number.POSITIVE_INFINITY })

/** No decision depends on counters. */
const counters = Counters.make(heartbeatMillis)

const emptyBacklog = (): Backlog => ({ Message: [], Link: [], Timer: [], Request: [] })

const noResponder = new PlainResponder(() => undefined, () => {})

const noRequests = new Requests(limitsOf(1), noResponder, counters)

/** A side without a process. */
export const makeServer = (side: Side, rules: Omit<Core.Rules, "role">): Server => {
  const own = { ...rules, role: roles[side] }
  return {
    hasAnswered: false,
    isChallenged: false,
    side,
    rules: own,
    connection: { id: 0, status: "down", port: 0 },
    processId: 0,
    status: "down",
    member: Core.start(own, 0).member,
    requests: noRequests,
    responder: noResponder,
    port: 0,
    backlog: emptyBacklog(),
    inputs: [],
    completions: [],
    arrivals: [],
    isOffering: false,
    pending: [],
    isBlocked: false,
    refusal: undefined,
    nextEpoch: 0,
    linkEpoch: 0,
    linkReadAt: Number.NEGATIVE_INFINITY,
    outputsLeft: Number.POSITIVE_INFINITY,
    pauseMillis: 0,
    busyUntil: 0
  }
}

/** Starts a process where there is none. */
export const start = (world: World, server: Server): void => {
  if (server.status !== "down") {
    return
  }
  server.rules = { ...server.rules, life: `${server.side}x${++server.processId}` }
  const { member, outputs } = Core.start(server.rules, world.now)
  trace(world, `${server.rules.role} starts`)
  const responder = new PlainResponder(
    () => chance(world, 0.2) ? upTo(world, 0.5) : undefined,
    (millis, completion) => setTimer(world, server, millis, { _tag: "Completed", completion })
  )
  // Field by field, which is many times faster than to assign an object.
  server.responder = responder
  server.requests = new Requests(limitsOf(anyOf(world, [1, 2, 64])), responder, counters)
  server.status = "running"
  server.member = member
  server.backlog = emptyBacklog()
  server.inputs = []
  server.completions = []
  server.arrivals = []
  server.isOffering = false
  server.pending = [...outputs]
  server.isBlocked = false
  server.linkEpoch = 0
  server.linkReadAt = Number.NEGATIVE_INFINITY
  server.outputsLeft = Number.POSITIVE_INFINITY
  note(world, server.side)
  Link.openPort(world, server)
  Link.connect(world, server)
  setTimer(world, server, heartbeatMillis, { _tag: "HeartbeatDue" })
  runUntilIdle(world, server)
}

/** A process continues where it was. Then each source delivers its backlog, in random order of the sources. */
export const resume = (world: World, server: Server): void => {
  if (server.status !== "paused") {
    return
  }
  trace(world, `${server.rules.role} is resumed`)
  server.status = "running"
  runUntilIdle(world, server)
  const sources: Array<keyof Backlog> = ["Message", "Link", "Timer", "Request"]
  while (sources.length > 0) {
    const source = anyOf(world, sources)
    sources.splice(sources.indexOf(source), 1)
    const deliveries = server.backlog[source]
    server.backlog[source] = []
    for (const delivery of deliveries) {
      deliver(world, server, delivery)
    }
    runUntilIdle(world, server)
  }
}

/** An event reaches a process, or its host while it is paused. */
export const receive = (world: World, delivery: Delivery): void => {
  const server = world.servers[delivery.to]
  if (server.status === "running") {
    deliver(world, server, delivery)
    runUntilIdle(world, server)
  } else if (server.status === "paused") {
    postpone(server, delivery)
  }
}

const postpone = ({ backlog }: Server, delivery: Delivery): void => {
  const sameSource: Array<Delivery> = backlog[delivery._tag]
  sameSource.push(delivery)
}

const deliver = (world: World, server: Server, delivery: Delivery): void => {
  if (server.status === "paused") {
    postpone(server, delivery)
    return
  }
  switch (delivery._tag) {
    case "Message":
      return receiveMessage(world, server, delivery)
    case "Request":
      if (!serveNow(world, server, delivery.request)) {
        server.arrivals.push(delivery.request)
      }
      return
    case "Link":
      if (delivery.processId === server.processId) {
        const { input } = delivery
        server.inputs.push(input._tag === "PeerDown" ? { ...input, linkEpoch: server.linkEpoch } : input)
      }
      return
    case "Timer":
      return delivery.processId === server.processId ? fire(world, server, delivery.timer) : undefined
  }
}

/** The time until the next heartbeat, due at multiples of the period also after a pause. The margin keeps rounding from repeating one. */
const untilHeartbeat = (startedAt: number, now: number): number =>
  startedAt + (Math.floor((now - startedAt) / heartbeatMillis + 0.001) + 1) * heartbeatMillis - now

const fire = (world: World, server: Server, timer: Timer): void => {
  switch (timer._tag) {
    case "HeartbeatDue":
      setTimer(world, server, untilHeartbeat(server.member.startedAt, world.now), timer)
      // One that was not taken in yet stands for all that were due meanwhile.
      if (!server.inputs.some(({ _tag }) => _tag === "HeartbeatDue")) {
        server.inputs.push({ _tag: "HeartbeatDue" })
      }
      return
    case "Woken":
      server.inputs.push({ _tag: "Woken" })
      return
    case "TermEnded":
      server.inputs.push({ _tag: "TermEnded", end: timer.end })
      return
    case "Completed":
      server.responder.end(timer.completion)
      server.completions.push(timer.completion)
      return
    case "Probed":
      server.refusal = timer.isRefused ? { triedAt: timer.triedAt, knownAt: world.now } : undefined
      return setTimer(world, server, arrivalMillis, { _tag: "Reset" })
    case "Reset": {
      const { refusal } = server
      readSocket(world, server)
      const { nextEpoch } = server
      return unblock(world, server, [...takeInputs(server), { _tag: "LinkReset", refusal }], nextEpoch)
    }
    case "Released":
      return unblock(world, server, [{ _tag: "TermEnded", end: timer.end }], server.linkEpoch)
  }
}

const unblock = (world: World, server: Server, inputs: ReadonlyArray<Core.Input>, epoch: number): void => {
  server.isBlocked = false
  server.linkEpoch = epoch
  step(world, server, inputs)
}

/** Takes in what has arrived, or serves requests. Returns whether there was anything to do. */
const runOnce = (world: World, server: Server): boolean => {
  if (!performAll(world, server)) {
    return false
  }
  if (server.completions.length > 0) {
    server.requests.complete(server.completions)
    server.completions = []
    flush(world, server)
  }
  followPhase(world, server)
  if (!performAll(world, server)) {
    return false
  }
  const { requests } = server
  offer(world, server)
  requests.gather()
  flush(world, server)
  if (requests.isReady(Core.admission(server.rules, server.member, world.now) === "Accept")) {
    serveFresh(world, server)
    return true
  }
  if (server.inputs.length === 0) {
    return server.pending.length > 0 || server.completions.length > 0 ||
      (server.arrivals.length > 0 && !server.isOffering)
  }
  if (server.inputs.some(({ _tag }) => _tag === "PeerDown")) {
    readSocket(world, server)
  }
  step(world, server, takeInputs(server))
  return true
}

/** Runs a process until it waits for an event. */
export const runUntilIdle = (world: World, server: Server): void => {
  while (runOnce(world, server)) {
    // Until there is nothing to do.
  }
}

/**
 * The process of one side: the core with its data plane in a plain loop. It does for each output exactly what
 * `member/outputs.ts` does, and takes things in as `member/runtime.ts` does; only that nothing takes time but what the world says.
 */
import * as Counters from "../../member/Counters.ts"
import * as Core from "../../member/Member.ts"
import { Requests } from "../../member/Requests.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import type * as Frames from "../../wire/Frames.ts"
import * as Challenge from "./challenge.ts"
import * as Link from "./coreLink.ts"
import { PlainResponder } from "./coreResponder.ts"
import { printInputs, printMember, printOutput } from "./coreTrace.ts"
import {
  anyOf,
  broken,
  chance,
  type Delivery,
  dual,
  heartbeatMillis,
  note,
  other,
  type Piled,
  plan,
  roles,
  type Server,
  type Side,
  tell,
  type Timer,
  upTo,
  type World
} from "./coreWorld.ts"

/** What has arrived takes so long to come in after a stall. */
const arrivalMillis = 5

/** For so long everything that was received counts as all there is. */
const sliceMillis = 2

/** Without a limit for each client. */
const limitsOf = (concurrency: number) => ({ concurrency, maxFrames: 10, maxPerClient: Number.POSITIVE_INFINITY })

/** No decision depends on what is counted. */
const counters = Counters.make(heartbeatMillis)

const nothingPiled = (): Piled => ({ Message: [], Link: [], Timer: [], Request: [] })

/** A plan for a process, which is forgotten when that has ended. */
const later = (world: World, { life, side }: Server, millis: number, timer: Timer): void =>
  plan(world, millis, { _tag: "Timer", to: side, life, timer })

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
    life: 0,
    status: "down",
    member: Core.start(own, 0).member,
    requests: noRequests,
    responder: noResponder,
    port: 0,
    piled: nothingPiled(),
    inbox: [],
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
  const { member, outputs } = Core.start(server.rules, world.now)
  tell(world, `${server.rules.role} starts`)
  const responder = new PlainResponder(
    () => chance(world, 0.2) ? upTo(world, 0.5) : undefined,
    (millis, completion) => later(world, server, millis, { _tag: "Completed", completion })
  )
  // Field by field, which is many times faster than to assign an object.
  server.responder = responder
  server.requests = new Requests(limitsOf(anyOf(world, [1, 2, 64])), responder, counters)
  server.life++
  server.status = "running"
  server.member = member
  server.piled = nothingPiled()
  server.inbox = []
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
  later(world, server, heartbeatMillis, { _tag: "HeartbeatDue" })
  turn(world, server)
}

/** The process is gone: its host closes its port and its connections. */
export const end = (world: World, server: Server, how: string): void => {
  tell(world, `${server.rules.role} ${how}`)
  note(world, 16 + server.side)
  server.status = "down"
  server.connection.id++
  server.connection.status = "down"
  Link.closePort(world, server)
  Challenge.reset(server)
  for (const [id, { life, side }] of world.commands) {
    if (side === server.side && life === server.life) {
      world.commands.delete(id)
    }
  }
}

export const pause = (world: World, server: Server): void => {
  server.status = "paused"
  server.outputsLeft = Number.POSITIVE_INFINITY
  tell(world, `${server.rules.role} is paused`)
  plan(world, server.pauseMillis, { _tag: "Resume", to: server.side, life: server.life })
}

/** The process goes on where it was. Then each source delivers what has piled up, in an order that nobody knows. */
export const resume = (world: World, server: Server): void => {
  if (server.status !== "paused") {
    return
  }
  tell(world, `${server.rules.role} is resumed`)
  server.status = "running"
  turn(world, server)
  const sources: Array<keyof Piled> = ["Message", "Link", "Timer", "Request"]
  while (sources.length > 0) {
    const source = anyOf(world, sources)
    sources.splice(sources.indexOf(source), 1)
    const piled = server.piled[source]
    server.piled[source] = []
    for (const delivery of piled) {
      deliver(world, server, delivery)
    }
    turn(world, server)
  }
}

/** Something reaches a process, or its host while it is paused. */
export const receive = (world: World, delivery: Delivery): void => {
  const server = world.servers[delivery.to]
  if (server.status === "running") {
    deliver(world, server, delivery)
    turn(world, server)
  } else if (server.status === "paused") {
    server.piled[delivery._tag].push(delivery)
  }
}

const deliver = (world: World, server: Server, delivery: Delivery): void => {
  if (server.status === "paused") {
    server.piled[delivery._tag].push(delivery)
    return
  }
  switch (delivery._tag) {
    case "Message": {
      if (world.isFaulty || delivery.connection === server.connection.id) {
        const { linkEpoch } = server
        server.inbox.push({ _tag: "PeerHeartbeat", state: delivery.state, receivedAt: world.now, linkEpoch })
      }
      return
    }
    case "Request":
      if (!serveNow(world, server, delivery.request)) {
        server.arrivals.push(delivery.request)
      }
      return
    case "Link":
      if (delivery.life === server.life) {
        const { input } = delivery
        server.inbox.push(input._tag === "PeerDown" ? { ...input, linkEpoch: server.linkEpoch } : input)
      }
      return
    case "Timer":
      return delivery.life === server.life ? fire(world, server, delivery.timer) : undefined
  }
}

/** Heartbeats are due at multiples of their period, also after a pause; rounding makes no second one of the same. */
const untilHeartbeat = (startedAt: number, now: number): number =>
  startedAt + (Math.floor((now - startedAt) / heartbeatMillis + 0.001) + 1) * heartbeatMillis - now

const fire = (world: World, server: Server, timer: Timer): void => {
  switch (timer._tag) {
    case "HeartbeatDue":
      later(world, server, untilHeartbeat(server.member.startedAt, world.now), timer)
      // One that has not been taken in yet stands for all that were due meanwhile.
      if (!server.inbox.some(({ _tag }) => _tag === "HeartbeatDue")) {
        server.inbox.push({ _tag: "HeartbeatDue" })
      }
      return
    case "Woken":
      server.inbox.push({ _tag: "Woken" })
      return
    case "TermEnded":
      server.inbox.push({ _tag: "TermEnded", end: timer.end })
      return
    case "Completed":
      server.responder.end(timer.completion)
      server.completions.push(timer.completion)
      return
    case "Probed":
      server.refusal = timer.isRefused ? { triedAt: timer.triedAt, knownAt: world.now } : undefined
      return later(world, server, arrivalMillis, { _tag: "Reset" })
    case "Reset": {
      const { refusal } = server
      readSocket(world, server)
      const { nextEpoch } = server
      return unblock(world, server, [...takeInbox(server), { _tag: "LinkReset", refusal }], nextEpoch)
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

/** What has reached the socket of the link is delivered. */
const readSocket = (world: World, server: Server): void => {
  const { Message } = server.piled
  server.piled.Message = []
  for (const delivery of Message) {
    deliver(world, server, delivery)
  }
}

const takeInbox = (server: Server): ReadonlyArray<Core.Input> => {
  const { inbox } = server
  server.inbox = []
  return inbox
}

const step = (world: World, server: Server, inputs: ReadonlyArray<Core.Input>): void => {
  const { state } = server.member.protocol
  const { member, outputs } = Core.step(server.rules, server.member, inputs, world.now)
  server.member = member
  server.pending.push(...outputs)
  if (member.protocol.state !== state) {
    Challenge.reset(server)
    note(world, 32 + StateMachine.states.indexOf(member.protocol.state))
  }
  if (world.lines !== undefined) {
    tell(world, `${server.rules.role} < ${printInputs(inputs)}`)
    tell(world, `  ${printMember(member, world.now)}`)
  }
}

/** Whether this process can go on now. */
const mayGoOn = ({ isBlocked, status }: Server): boolean => !isBlocked && status === "running"

/** Performs all outputs, in order. Returns whether the process can go on then. */
const performAll = (world: World, server: Server): boolean => {
  while (server.pending.length > 0 && mayGoOn(server)) {
    if (server.outputsLeft-- <= 0) {
      pause(world, server)
      return false
    }
    perform(world, server, server.pending.shift()!)
  }
  return mayGoOn(server)
}

const perform = (world: World, server: Server, output: Core.Output): void => {
  if (world.lines !== undefined) {
    tell(world, `${server.rules.role}   ${printOutput(output, world.now)}`)
  }
  switch (output._tag) {
    case "Publish":
      Link.publish(world, server, output.state, output.isFinal)
      return output.isHeartbeat ? step(world, server, [{ _tag: "HeartbeatSent", startedAt: world.now }]) : undefined
    case "ReadLink":
      readSocket(world, server)
      server.linkReadAt = world.now
      return step(world, server, [
        ...takeInbox(server),
        { _tag: "LinkRead", at: world.now, hasSubscriber: Link.hasSubscriber(world, server) }
      ])
    case "ResetLink":
      server.isBlocked = true
      server.nextEpoch = output.epoch
      server.refusal = undefined
      return output.probeMillis === undefined
        ? later(world, server, arrivalMillis, { _tag: "Reset" })
        : Link.probe(world, server, output.probeMillis)
    case "EndTerm":
      server.responder.endTerm()
      server.isBlocked = output.isSilent
      return later(world, server, finalizing(world), {
        _tag: output.isSilent ? "Released" : "TermEnded",
        end: output.end
      })
    case "Transitioned":
      world.takeOvers += output.transition.to === "ACTIVE" ? 1 : 0
      return
    case "WakeAt":
      return later(world, server, Math.max(0, output.at - world.now), { _tag: "Woken" })
    case "Complete":
      world.commands.delete(output.id)
      return
    case "Abort":
      broken(world, "Ended", `${server.rules.role}: ${output.reason}`)
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

/** How long what runs in a term takes to be finalized. */
const finalizing = (world: World): number => {
  const millis = chance(world, 0.5) ? 0 : upTo(world, chance(world, 0.2) ? 2 : 0.3)
  return Math.min(millis, Math.max(0.1 * heartbeatMillis, world.end - world.now))
}

/** Sends what is in the outbox, unless the peer may have taken over. */
const flush = (world: World, server: Server): void => {
  const outbox = server.requests.takeOutbox()
  if (outbox !== undefined && Core.mayReply(server.rules, server.member, world.now)) {
    for (const reply of outbox.replies) {
      onReply(world, server, reply)
    }
  }
}

/** Whether a process accepts a request at this instant. */
export const accepts = ({ isBlocked, member, rules, status }: Server, now: number): boolean =>
  status === "running" && !isBlocked && Core.acceptsAtOnce(rules, member, now)

const numberOf = (body: Uint8Array): number => body[0]! | (body[1]! << 8)

const onReply = (world: World, server: Server, reply: Frames.Frames): void => {
  const peer = world.servers[other(server.side)]
  const { role } = server.rules
  const number = numberOf(reply[2]!)
  world.answers++
  note(world, 64 + server.side)
  tell(world, `${role} answers request ${number}`)
  if (world.replied.has(number)) {
    broken(world, "WrongReply", `request ${number} was answered twice`)
  }
  world.replied.add(number)
  const { state } = server.member.protocol
  if (Challenge.answer(server, peer, state === "ACTIVE" || state === "PRIMARY")) {
    dual(world, "DualAnswer", `${role} answered before and after the ${peer.rules.role} did`)
  }
  if (accepts(peer, world.now)) {
    dual(world, "DualAnswer", `${role} answered while the ${peer.rules.role} was active`)
  }
}

/** Brings the data plane to the phase of the member. */
const followPhase = (world: World, server: Server): void => {
  const { member: { phase, protocol }, requests } = server
  requests.close(phase._tag !== "Serving")
  if (phase._tag === "Draining" && requests.isIdle()) {
    step(world, server, [{ _tag: "RequestsDrained" }])
  } else if (phase._tag === "EndingTerm") {
    requests.rejectAll(protocol.state)
    flush(world, server)
  }
}

/** Offers to the data plane what clients have sent. */
const offer = (world: World, server: Server): void => {
  const { arrivals, requests } = server
  if (arrivals.length > 0 && !server.isOffering) {
    server.isOffering = true
    requests.offer(arrivals.splice(0, requests.demand()), world.now, () => {
      server.isOffering = false
    })
  }
}

/** Serves what is ready, by what the core says of it now. */
const serve = (world: World, server: Server): void => {
  const { member, requests, rules } = server
  if (Core.admission(rules, member) === "Vote") {
    const hasSubscriber = member.protocol.state === "BACKUP" && Link.hasSubscriber(world, server)
    step(world, server, [{ _tag: "Vote", voter: "a client", hasSubscriber }])
  }
  if (performAll(world, server)) {
    const isAccepted = Core.admission(rules, server.member) === "Accept"
    requests.serve({ isAccepted, state: server.member.protocol.state }, () => world.now, Number.POSITIVE_INFINITY)
    flush(world, server)
  }
}

/** What the peer has sent is taken in before requests are judged (H6), at least every slice of time. */
const serveFresh = (world: World, server: Server): void => {
  const isStale = world.now - server.linkReadAt > sliceMillis
  if (isStale) {
    server.linkReadAt = world.now
  }
  if (isStale && server.piled.Message.length > 0) {
    readSocket(world, server)
    return step(world, server, takeInbox(server))
  }
  step(world, server, takeInbox(server))
  if (performAll(world, server)) {
    serve(world, server)
  }
}

/** The fast path: answers a request at once, where nothing else has to come first. */
const serveNow = (world: World, server: Server, request: Frames.Frames): boolean => {
  const { arrivals, inbox, isOffering, member, requests } = server
  const isFresh = server.piled.Message.length === 0 || world.now - server.linkReadAt <= sliceMillis
  if (
    !isFresh || isOffering || arrivals.length + inbox.length > 0 || !requests.isFree() || !accepts(server, world.now)
  ) {
    return false
  }
  requests.serveNow([request], world.now, member.protocol.state, () => world.now, Number.POSITIVE_INFINITY)
  flush(world, server)
  return true
}

/** Takes in what has come, or serves requests. Returns whether there was anything to do. */
const goOn = (world: World, server: Server): boolean => {
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
  if (requests.isReady(Core.admission(server.rules, server.member) === "Accept")) {
    serveFresh(world, server)
    return true
  }
  if (server.inbox.length === 0) {
    return server.pending.length > 0 || server.completions.length > 0 ||
      (server.arrivals.length > 0 && !server.isOffering)
  }
  if (server.inbox.some(({ _tag }) => _tag === "PeerDown")) {
    readSocket(world, server)
  }
  step(world, server, takeInbox(server))
  return true
}

/** Runs a process until it waits for something. */
export const turn = (world: World, server: Server): void => {
  while (goOn(world, server)) {
    // As long as there is something to do.
  }
}

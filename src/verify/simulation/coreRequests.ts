/** How a process serves requests, in the order of `member/runtime.ts` and `member/fastPath.ts`. */
import * as Core from "../../member/Member.ts"
import type * as Frames from "../../wire/Frames.ts"
import * as Challenge from "./challenge.ts"
import * as Link from "./coreLink.ts"
import { performAll, readSocket, step, takeInputs } from "./corePerform.ts"
import { countDual, note, other, type Server, trace, violate, type World } from "./coreWorld.ts"

/** The time for which the link counts as read. */
const sliceMillis = 2

/** Sends the replies in the outbox, unless the peer may have taken over. */
export const flush = (world: World, server: Server): void => {
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
  trace(world, `${role} answers request ${number}`)
  if (world.replied.has(number)) {
    violate(world, "WrongReply", `request ${number} was answered twice`)
  }
  world.replied.add(number)
  const { state } = server.member.protocol
  if (Challenge.answer(server, peer, state === "ACTIVE" || state === "PRIMARY")) {
    countDual(world, "DualAnswer", `${role} answered before and after the ${peer.rules.role} did`)
  }
  if (accepts(peer, world.now)) {
    countDual(world, "DualAnswer", `${role} answered while the ${peer.rules.role} was active`)
  }
}

/** Brings the data plane to the phase of the member. */
export const followPhase = (world: World, server: Server): void => {
  const { member: { phase, protocol }, requests } = server
  requests.close(phase._tag !== "Serving")
  if (phase._tag === "Draining" && requests.isIdle()) {
    step(world, server, [{ _tag: "RequestsDrained" }])
  } else if (phase._tag === "EndingTerm") {
    requests.rejectAll(protocol.state)
    flush(world, server)
  }
}

/** Offers the requests that have arrived to the data plane. */
export const offer = (world: World, server: Server): void => {
  const { arrivals, requests } = server
  if (arrivals.length > 0 && !server.isOffering) {
    server.isOffering = true
    requests.offer(arrivals.splice(0, requests.demand()), world.now, () => {
      server.isOffering = false
    })
  }
}

/** Serves requests that are ready, by what the core decides of them now. */
const serve = (world: World, server: Server): void => {
  const { member, requests, rules } = server
  if (Core.admission(rules, member, world.now) === "Vote") {
    const hasSubscriber = member.protocol.state === "BACKUP" && Link.hasSubscriber(world, server)
    step(world, server, [{ _tag: "Vote", voter: "a client", hasSubscriber }])
  }
  if (performAll(world, server)) {
    const isAccepted = Core.admission(rules, server.member, world.now) === "Accept"
    requests.serve({ isAccepted, state: server.member.protocol.state }, () => world.now, Number.POSITIVE_INFINITY)
    flush(world, server)
  }
}

/** Takes in messages of the peer before requests are judged (H6), at least once a slice. */
export const serveFresh = (world: World, server: Server): void => {
  const isStale = world.now - server.linkReadAt > sliceMillis
  if (isStale) {
    server.linkReadAt = world.now
  }
  if (isStale && server.backlog.Message.length > 0) {
    readSocket(world, server)
    return step(world, server, takeInputs(server))
  }
  step(world, server, takeInputs(server))
  if (performAll(world, server)) {
    serve(world, server)
  }
}

/** The fast path: answers a request at once, where nothing else has to come first. */
export const serveNow = (world: World, server: Server, request: Frames.Frames): boolean => {
  const { arrivals, inputs, isOffering, member, requests } = server
  const isFresh = server.backlog.Message.length === 0 || world.now - server.linkReadAt <= sliceMillis
  if (
    !isFresh || isOffering || arrivals.length + inputs.length > 0 || !requests.isFree() || !accepts(server, world.now)
  ) {
    return false
  }
  requests.serveNow([request], world.now, member.protocol.state, () => world.now, Number.POSITIVE_INFINITY)
  flush(world, server)
  return true
}

/**
 * The core of a pair in virtual time, without fibers: two members with their data planes in a plain loop, a link whose making
 * costs time, clients, operators, and faults from a seed. What `Simulation.ts` does with whole servers, a hundred times as often.
 * The same seed gives the same run, event by event.
 */
import type * as Core from "../../member/Member.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"
import { timing } from "../../protocol/Timing.ts"
import * as Frames from "../../wire/Frames.ts"
import * as Link from "./coreLink.ts"
import * as Perform from "./corePerform.ts"
import * as Process from "./coreProcess.ts"
import * as Requests from "./coreRequests.ts"
import * as World from "./coreWorld.ts"
import * as Heap from "./heap.ts"
import type { Regime, Report } from "./Report.ts"

/**
 * What a run is made from. It is named by its seed and regime.
 *
 * @category models
 */
export interface Options {
  readonly seed: number
  readonly regime: Regime
  readonly policy: StateMachine.Policy
  /** How many heartbeats the faults go on. Defaults to `10`. */
  readonly heartbeats?: number | undefined
  /** Whether to keep the history as lines. Defaults to `false`. */
  readonly keepLines?: boolean | undefined
}

const { peerTimeoutMillis, heartbeatMillis } = World

/** The longest that a connection takes in this world, each way: to be tried again, TCP, handshake, subscription. */
const connectionMillis = 5 * heartbeatMillis

/** When all is well, at most one member answers after so long, and one does after twice as long. */
const graceMillis = 3 * heartbeatMillis

/** The same where an operator has handed over: the longest that `Model.ts` allows a pair to answer nobody. */
const handOverGraceMillis = 16 * heartbeatMillis

const rulesOf = (policy: StateMachine.Policy, drainMillis: number): Omit<Core.Rules, "role"> => ({
  policy,
  peerTimeoutMillis,
  handshakeMillis: timing.handshake * heartbeatMillis,
  lone: "wait",
  isSelfVoting: false,
  drainMillis,
  maxFailovers: Number.POSITIVE_INFINITY,
  failoverWindowMillis: 60_000,
  crashDetection: true,
  peerEndpoint: "its peer",
  stateEndpoint: "its state port"
})

const clients = [0, 1].map((client) => Frames.make(String(client))[0]!)

/** Numbers of requests in two bytes. */
const maxRequests = 0x10000
const bodies: Array<Uint8Array> = []
const bodyOf = (number: number): Uint8Array => bodies[number] ??= Uint8Array.of(number & 0xff, number >> 8)

const makeWorld = ({ heartbeats = 10, keepLines, policy, regime, seed }: Options): World.World => {
  const random = { random: Math.imul(seed, 0x9e3779b1) ^ (regime === "wild" ? 0x55555555 : 0) }
  const draw = () => World.draw(random)
  const rules = rulesOf(policy, (draw() < 0.3 ? 0.3 : 5) * heartbeatMillis)
  return {
    planned: [],
    servers: [Process.makeServer(0, rules), Process.makeServer(1, rules)],
    cut: [false, false],
    commands: new Map(),
    replied: new Set(),
    lines: keepLines === true ? [] : undefined,
    end: heartbeats * heartbeatMillis,
    isExtreme: draw() < 0.3,
    delayMillis: World.longestDelays[Math.floor(draw() * World.longestDelays.length)]!,
    hasCommands: draw() < 0.3,
    gapMillis: [0.3, 1, 2][Math.floor(draw() * 3)]! * heartbeatMillis,
    dual: { count: 0, lastAt: 0 },
    now: 0,
    order: 0,
    random: random.random,
    fingerprint: 0,
    isFaulty: regime === "wild",
    isWhole: false,
    isEnforced: regime === "bounded",
    lastId: 0,
    requestCount: 0,
    answers: 0,
    takeOvers: 0,
    faults: 0,
    violation: undefined
  }
}

/** A client sends a request to one of the servers; once all is well to both in turn. */
const send = (world: World.World, client: number): void => {
  const number = world.requestCount++
  const to: World.Side = (world.isWhole ? number % 2 === 0 : World.chance(world, 0.5)) ? 0 : 1
  if (number < maxRequests) {
    const request = [clients[client]!, Frames.delimiter, bodyOf(number)]
    World.plan(world, World.delay(world), { _tag: "Request", to, request })
  }
  const gapMillis = World.draw(world) * (world.isWhole ? 0.5 * heartbeatMillis : world.gapMillis)
  World.plan(world, gapMillis, { _tag: "Send", client })
}

const restart = (world: World.World, { side }: World.Server, atLeastMillis = 0): void =>
  World.plan(world, atLeastMillis + World.upTo(world, World.chance(world, 0.3) ? 0.2 : 5), { _tag: "Start", to: side })

/** Lengths of pauses that are about as long as what is to be noticed. */
const closeTo = [timing.briefStall, timing.stall, timing.peerTimeout]

const pauseOf = (world: World.World): number =>
  World.chance(world, 0.3)
    ? (World.anyOf(world, closeTo) + 0.1 * (World.draw(world) - 0.5)) * heartbeatMillis
    : World.upTo(world, World.chance(world, 0.5) ? 2 : 6)

const pause = (world: World.World, server: World.Server): void => {
  server.pauseMillis = pauseOf(world)
  if (World.chance(world, 0.7)) {
    Perform.pause(world, server)
  } else {
    server.outputsLeft = World.integer(world, 3)
  }
}

const command = (world: World.World, server: World.Server, _tag: "HandOver" | "Promote"): void => {
  const id = ++world.lastId
  world.commands.set(id, { side: server.side, process: server.process, name: _tag })
  World.trace(world, `${_tag} ${server.rules.role}, command ${id}`)
  const input = { _tag, id, reason: "a test" } as const
  World.plan(world, 0, { _tag: "Link", to: server.side, process: server.process, input })
}

const kill = (world: World.World, server: World.Server): void => {
  Perform.end(world, server, "is killed")
  restart(world, server)
}

const stop = (world: World.World, server: World.Server): void => {
  World.plan(world, 0, { _tag: "Link", to: server.side, process: server.process, input: { _tag: "Stop" } })
  restart(world, server, World.upTo(world, 1))
}

const cut = (world: World.World): void => {
  const directions = World.anyOf<ReadonlyArray<World.Side>>(world, [[0], [1], [0, 1]])
  World.trace(world, `cut from ${directions.map((side) => World.roles[side]).join(" and ")}`)
  directions.forEach((side) => {
    world.cut[side] = true
  })
  World.plan(world, World.upTo(world, 6), { _tag: "Heal", directions })
}

/** Something bad happens, and plans the next. Sometimes two things happen at once. */
const fault = (world: World.World): void => {
  if (world.isWhole) {
    return
  }
  World.plan(world, World.chance(world, 0.2) ? 0 : World.upTo(world, 4), { _tag: "Fault" })
  world.faults++
  if (world.isFaulty && World.chance(world, 0.5)) {
    return cut(world)
  }
  const server = world.servers[World.integer(world, 2) as World.Side]
  const kind = World.draw(world) * (world.hasCommands ? 5 : 3)
  if (server.status === "paused" ? kind >= 1 : server.status === "down") {
    return
  }
  if (kind < 1) {
    kill(world, server)
  } else if (kind < 2) {
    pause(world, server)
  } else if (kind < 3) {
    stop(world, server)
  } else {
    command(world, server, kind < 4 ? "HandOver" : "Promote")
  }
}

const perform = (world: World.World, event: World.Event): void => {
  switch (event._tag) {
    case "Message":
    case "Link":
    case "Timer":
    case "Request":
      return Process.receive(world, event)
    case "Arrive":
    case "Open":
    case "Handshake":
    case "Subscribe":
    case "Lost":
      return Link.step(world, world.servers[event.to], event)
    case "Probe":
      return answerProbe(world, event)
    case "Send":
      return send(world, event.client)
    case "Start":
      return Process.start(world, world.servers[event.to])
    case "Resume":
      return world.servers[event.to].process === event.process ? Process.resume(world, world.servers[event.to]) : undefined
    case "Fault":
      return fault(world)
    case "Heal":
      event.directions.forEach((side) => {
        world.cut[side] = false
      })
  }
}

const answerProbe = (world: World.World, { backMillis, isInTime, process, to, triedAt }: World.Probe): void => {
  const isRefused = isInTime && Link.isRefused(world, world.servers[to])
  World.plan(world, backMillis, { _tag: "Timer", to, process, timer: { _tag: "Probed", triedAt, isRefused } })
}

/** Looks for what must not be at any instant, whoever asks. */
const check = (world: World.World): void => {
  const [primary, backup] = world.servers
  if (Requests.accepts(primary, world.now) && Requests.accepts(backup, world.now)) {
    World.countDual(world, "DualAccept", "both would accept a request")
  }
  if (world.isWhole) {
    // Stopped before, or aborted.
    world.servers.forEach((server) => server.status === "down" ? Process.start(world, server) : undefined)
  }
}

/** Lets things happen until a time, or until there is a reason to stop. */
const runUntil = (world: World.World, end: number, isOver: () => boolean): void => {
  while (world.violation === undefined && world.planned.length > 0 && world.planned[0]!.at <= end && !isOver()) {
    const { at, event } = Heap.pop(world.planned)
    world.now = at
    perform(world, event)
    check(world)
  }
  world.now = isOver() ? world.now : Math.max(world.now, end)
}

const never = () => false

/** All is well from now on: both run, nothing is cut, and nothing old is under way. */
const makeWhole = (world: World.World): void => {
  world.isWhole = true
  World.trace(world, "whole")
  if (world.isFaulty) {
    world.isFaulty = false
    world.cut.fill(false)
    const kept = world.planned.filter(({ event: { _tag } }) => _tag !== "Message" && _tag !== "Request")
    world.planned.splice(0)
    kept.forEach((item) => Heap.push(world.planned, item))
  }
  for (const server of world.servers) {
    server.outputsLeft = Number.POSITIVE_INFINITY
    Process.resume(world, server)
    Process.start(world, server)
  }
}

/** Whether each server receives what the other one publishes. */
const isConnected = (world: World.World): boolean => world.servers.every((server) => Link.hasSubscriber(world, server))

/** Both run on a whole network: soon one answers, and never two. A pair that was cut first has to be connected again. */
const checkService = (world: World.World): void => {
  runUntil(world, world.isEnforced ? world.end : world.end + connectionMillis, () => isConnected(world))
  const since = world.now
  runUntil(world, since + graceMillis, never)
  world.isEnforced = true
  const { answers } = world
  const limitMillis = world.hasCommands ? handOverGraceMillis : 2 * graceMillis
  runUntil(world, since + limitMillis, () => world.answers > answers)
  if (world.violation === undefined && world.answers === answers) {
    World.violate(world, "NoService", `no answer from ${graceMillis} to ${limitMillis} ms after all was well`)
  }
  const [lost] = world.commands
  if (world.violation === undefined && lost !== undefined) {
    const [id, { name, side }] = lost
    World.violate(world, "CommandLost", `${name} of the ${World.roles[side]}, command ${id}`)
  }
}

/**
 * Makes one run.
 *
 * @category constructors
 */
export const run = (options: Options): Report => {
  const world = makeWorld(options)
  world.servers.forEach(({ side }) => World.plan(world, World.upTo(world, 3), { _tag: "Start", to: side }))
  clients.forEach((_, client) => World.plan(world, World.draw(world) * world.gapMillis, { _tag: "Send", client }))
  World.plan(world, World.upTo(world, 4), { _tag: "Fault" })
  runUntil(world, world.end, never)
  if (world.violation === undefined) {
    makeWhole(world)
    check(world)
    checkService(world)
  }
  return {
    seed: options.seed,
    regime: options.regime,
    violations: world.violation === undefined ? [] : [world.violation],
    answers: world.answers,
    takeOvers: world.takeOvers,
    faults: world.faults,
    dual: { count: world.dual.count, afterWholeMillis: Math.max(0, world.dual.lastAt - world.end) },
    fingerprint: world.fingerprint >>> 0,
    lines: world.lines ?? []
  }
}

/**
 * A pair of cores in virtual time, without fibers: two members with their data planes in a plain loop, a link whose steps take
 * time, clients, operators, and faults from a seed. It makes a hundred times as many runs as `Simulation.ts`, which runs whole
 * servers. The same seed gives the same run, event by event.
 */
import type * as Core from "../../member/Member.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"
import { timing } from "../../protocol/Timing.ts"
import * as Frames from "../../wire/Frames.ts"
import * as Faults from "./coreFaults.ts"
import * as Link from "./coreLink.ts"
import * as Process from "./coreProcess.ts"
import * as Requests from "./coreRequests.ts"
import * as World from "./coreWorld.ts"
import * as Heap from "./heap.ts"
import type { Regime, Report } from "./Report.ts"

/**
 * The options of a run, which is named by its seed and regime.
 *
 * @category models
 */
export interface Options {
  readonly seed: number
  readonly regime: Regime
  readonly policy: StateMachine.Policy
  /** The time of faults in heartbeats. Defaults to `10`. */
  readonly heartbeats?: number | undefined
  /** Whether to keep the history as lines. Defaults to `false`. */
  readonly keepLines?: boolean | undefined
}

const { peerTimeoutMillis, heartbeatMillis } = World

/** The longest time of a connection, each way: retry, TCP, handshake, subscription. */
const connectionMillis = 5 * heartbeatMillis

/** Once the faults are over, at most one member answers after this time, and one does after twice as long. */
const graceMillis = 3 * heartbeatMillis

/** The latter where an operator has handed over: the longest time without an answer that the model checker allows. */
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
  stateEndpoint: "its state port",
  life: "its life",
  fencing: "optional"
})

const clients = [0, 1].map((client) => Frames.make(String(client))[0]!)

/** Requests are numbered with two bytes. */
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
    isLegacy: draw() < 0.2,
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

/** A client sends a request to one of the servers; once the faults are over, to both alternately. */
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
      return world.servers[event.to].processId === event.processId
        ? Process.resume(world, world.servers[event.to])
        : undefined
    case "Fault":
      return Faults.inject(world)
    case "Heal":
      event.directions.forEach((side) => {
        world.cut[side] = false
      })
  }
}

const answerProbe = (world: World.World, { backMillis, isInTime, processId, to, triedAt }: World.Probe): void => {
  const isRefused = isInTime && Link.isRefused(world, world.servers[to])
  World.plan(world, backMillis, { _tag: "Timer", to, processId, timer: { _tag: "Probed", triedAt, isRefused } })
}

/** Checks the properties that must hold at any instant. */
const check = (world: World.World): void => {
  const [primary, backup] = world.servers
  if (Requests.accepts(primary, world.now) && Requests.accepts(backup, world.now)) {
    World.countDual(world, "DualAccept", "both would accept a request")
  }
  if (world.isWhole) {
    // Some were stopped before, or have aborted.
    world.servers.forEach((server) => server.status === "down" ? Process.start(world, server) : undefined)
  }
}

/** Performs planned events until a time, or until `isOver`. */
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

/** Ends all faults: both servers run, nothing is cut, and no old message is under way. */
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

/** Checks that soon one server answers on a whole network, and never two. A pair that was cut has to be connected first. */
const checkService = (world: World.World): void => {
  runUntil(world, world.isEnforced ? world.end : world.end + connectionMillis, () => isConnected(world))
  const since = world.now
  runUntil(world, since + graceMillis, never)
  world.isEnforced = true
  const { answers } = world
  const limitMillis = world.hasCommands ? handOverGraceMillis : 2 * graceMillis
  runUntil(world, since + limitMillis, () => world.answers > answers)
  if (world.violation === undefined && world.answers === answers) {
    World.violate(world, "NoService", `no answer from ${graceMillis} to ${limitMillis} ms after all faults were over`)
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

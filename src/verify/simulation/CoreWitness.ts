/**
 * A pair of cores with a witness in virtual time: everything on the three links may be lost, late by any time, overtaken or cut
 * one way; processes are killed, stopped and paused, also between two outputs; the witness stands still and restarts; clocks run at
 * different rates. The same seed gives the same run, event by event.
 */
import * as Core from "../../member/Member.ts"
import * as Policies from "../../protocol/Policies.ts"
import * as Term from "../../protocol/Term.ts"
import { timing } from "../../protocol/Timing.ts"
import * as Faults from "./coreWitnessFaults.ts"
import * as Process from "./coreWitnessProcess.ts"
import * as World from "./coreWitnessWorld.ts"
import * as Heap from "./heap.ts"
import type { Violation } from "./History.ts"

/**
 * The options of a run, which is named by its seed.
 *
 * @category models
 */
export interface Options {
  readonly seed: number
  /** The time of faults in heartbeats. Defaults to `20`. */
  readonly heartbeats?: number | undefined
  /** The core to be simulated. Defaults to the one that runs. */
  readonly core?: World.World["core"] | undefined
  /** Whether to keep the history as lines. Defaults to `false`. */
  readonly keepLines?: boolean | undefined
}

/**
 * The result of a run.
 *
 * @category models
 */
export interface Report {
  readonly seed: number
  readonly violation: Violation | undefined
  readonly answers: number
  readonly takeOvers: number
  readonly faults: number
  /** What works after the faults. */
  readonly ending: Faults.Ending
  /** Until the first answer after the faults, in milliseconds. */
  readonly serviceAfterMillis: number
  readonly fingerprint: number
  readonly lines: ReadonlyArray<string>
}

const { heartbeatMillis } = World

const rulesOf = (drainMillis: number) => (side: World.Side, life: string): Core.Rules => ({
  role: World.roles[side],
  policy: Policies.witnessed,
  peerTimeoutMillis: timing.peerTimeout * heartbeatMillis,
  handshakeMillis: timing.handshake * heartbeatMillis,
  lone: "wait",
  isSelfVoting: false,
  drainMillis,
  maxFailovers: Number.POSITIVE_INFINITY,
  failoverWindowMillis: 60_000,
  crashDetection: true,
  peerEndpoint: "its peer",
  stateEndpoint: "its state port",
  life,
  rights: {
    role: World.roles[side],
    life,
    rightMillis: timing.right * heartbeatMillis,
    guardMillis: timing.guard * heartbeatMillis
  },
  witnessEndpoint: "the witness",
  fencing: "optional"
})

/** Rates of two clocks that differ as much as the guard allows. */
const clockRates = [0.87, 1, 1.13]

const makeWorld = ({ core = Core, keepLines, seed }: Options): World.World => {
  const random = { random: Math.imul(seed, 0x9e3779b1) }
  const draw = () => World.draw(random)
  const any = <A>(all: ReadonlyArray<A>): A => all[Math.floor(draw() * all.length)]!
  const base = {
    lives: [0, 0] as [number, number],
    rulesOf: rulesOf(any([0.3, 5]) * heartbeatMillis),
    core,
    rates: draw() < 0.5 ? [1, 1] as const : [any(clockRates), any(clockRates)] as const
  }
  return {
    ...base,
    planned: [],
    processes: [Process.makeProcess(base, 0), Process.makeProcess(base, 1)],
    enabled: new Set(World.faults.filter(() => draw() < 0.5)),
    cut: [false, false],
    cutWitness: [false, false],
    longDelays: any([0, 0.1, 0.3, 0.6]),
    loss: any([0, 0.1, 0.3]),
    gapMillis: any([0.1, 0.5, 1.5]) * heartbeatMillis,
    lines: keepLines === true ? [] : undefined,
    holders: new Map(),
    register: undefined,
    versions: 0,
    held: undefined,
    underWay: new Set(),
    largestToken: -1,
    now: 0,
    order: 0,
    random: random.random,
    fingerprint: 0,
    lastId: 0,
    isWhole: false,
    settledAt: 0,
    mayRun: [true, true],
    mayRefuse: [true, true],
    isWitnessDead: () => false,
    answers: 0,
    lastAnswerAt: 0,
    longestGap: 0,
    takeOvers: 0,
    faults: 0,
    violation: undefined
  }
}

/** A client sends a request to each server in turn. */
const send = (world: World.World, side: World.Side): void => {
  const process = world.processes[side]
  if (process.status === "running" && !process.isBlocked) {
    const now = World.localNow(world, process)
    const admission = Core.admission(process.rules, process.member, now)
    if (admission === "Accept") {
      world.longestGap = Math.max(world.longestGap, world.now - world.lastAnswerAt)
      world.answers++
      world.lastAnswerAt = world.now
    } else if (admission === "Vote") {
      Process.give(world, process, { _tag: "Vote", voter: "a client", hasSubscriber: false })
    }
  }
  const gapMillis = world.isWhole ? 0.1 * heartbeatMillis : world.gapMillis
  World.plan(world, World.draw(world) * gapMillis, () => send(world, World.other(side)))
}

/** Checks what must hold at any instant. Between two events members only cease to serve. */
const check = (world: World.World): void => {
  const serving = world.processes.filter((process) => Process.serves(world, process))
  if (serving.length === 2) {
    World.violate(world, "DualAccept", "both serve")
  }
  for (const { member, rules } of serving) {
    const term = Core.termOf(member)
    if (term === undefined) {
      continue
    }
    const token = Term.toToken(term)
    if (token < world.largestToken) {
      World.violate(world, "OldTerm", `${rules.role} serves with ${Term.format(term)} after ${world.largestToken}`)
    }
    world.largestToken = Math.max(world.largestToken, token)
    const holder = world.holders.get(token)
    if (holder === undefined) {
      world.holders.set(token, rules.life)
    } else if (holder !== rules.life) {
      World.violate(world, "SharedTerm", `${rules.life} serves with ${Term.format(term)}, as ${holder} did`)
    }
  }
}

const runUntil = (world: World.World, end: number, isOver: () => boolean = () => false): void => {
  while (world.violation === undefined && world.planned.length > 0 && world.planned[0]!.at <= end && !isOver()) {
    const { at, run } = Heap.pop(world.planned)
    world.now = at
    run()
    check(world)
    if (world.isWhole) {
      Faults.settle(world)
    }
  }
  world.now = isOver() ? world.now : Math.max(world.now, end)
}

/** Commands of before are complete after this time. */
const maxSettlingHeartbeats = 20

/** How long service is checked for gaps. */
const steadyHeartbeats = 8

/** Checks that there is service soon, and that it stays. Returns how long it took. */
const checkService = (world: World.World, ending: Faults.Ending): number => {
  const limitMillis = Faults.limits[ending] * heartbeatMillis / Math.min(...clockRates)
  const { answers } = world
  world.settledAt = world.now
  const end = world.now + maxSettlingHeartbeats * heartbeatMillis
  while (
    world.answers === answers && world.violation === undefined &&
    world.now < Math.min(end, world.settledAt + limitMillis)
  ) {
    runUntil(world, world.settledAt + limitMillis, () => world.answers > answers)
  }
  const serviceAfterMillis = world.now - world.settledAt
  if (world.answers === answers) {
    World.violate(world, "NoService", `${ending}: no answer within ${limitMillis} ms after all faults were over`)
    return serviceAfterMillis
  }
  // A hand-over of before may still interrupt it.
  while (world.violation === undefined && world.now < Math.min(end, world.settledAt + limitMillis)) {
    runUntil(world, world.settledAt + limitMillis)
  }
  world.longestGap = 0
  world.lastAnswerAt = Math.max(world.lastAnswerAt, world.now)
  runUntil(world, world.now + steadyHeartbeats * heartbeatMillis)
  const gap = Math.max(world.longestGap, world.now - world.lastAnswerAt)
  if (gap > Faults.gaps[ending] * heartbeatMillis) {
    World.violate(world, "NoService", `${ending}: no answer for ${gap.toFixed(0)} ms long after all faults were over`)
  }
  return serviceAfterMillis
}

/**
 * Makes one run.
 *
 * @category constructors
 */
export const run = (options: Options): Report => {
  const world = makeWorld(options)
  World.sides.forEach((side) => World.plan(world, World.upTo(world, 3), () => Process.start(world, side)))
  send(world, 0)
  World.plan(world, World.upTo(world, 6), () => Faults.inject(world))
  runUntil(world, (options.heartbeats ?? 20) * heartbeatMillis)
  const ending = World.anyOf(world, Faults.endings)
  let serviceAfterMillis = Number.POSITIVE_INFINITY
  if (world.violation === undefined) {
    Faults.makeWhole(world, ending)
    check(world)
    serviceAfterMillis = checkService(world, ending)
  }
  return {
    seed: options.seed,
    violation: world.violation,
    answers: world.answers,
    takeOvers: world.takeOvers,
    faults: world.faults,
    ending,
    serviceAfterMillis,
    fingerprint: world.fingerprint >>> 0,
    lines: world.lines ?? []
  }
}

/** Two cores with a witness, without a data plane: processes, planned events, links and a register. Plain records. */
import type * as Core from "../../member/Member.ts"
import type { Seen } from "../../protocol/Rights.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"
import * as Heap from "./heap.ts"
import type { Violation } from "./History.ts"

export const heartbeatMillis = 1000

/** The primary is 0, the backup 1. */
export type Side = 0 | 1

export const sides = [0, 1] as const

export const roles = ["primary", "backup"] as const satisfies ReadonlyArray<StateMachine.Role>

export const other = (side: Side): Side => side === 0 ? 1 : 0

/** What can go wrong in a run; each run has some of it. */
export type Fault =
  | "kill"
  | "stop"
  | "pause"
  | "pauseOutputs"
  | "cut"
  | "cutWitness"
  | "witnessPause"
  | "witnessRestart"
  | "handOver"
  | "promote"
  | "operatorPause"
  | "probe"

export const faults: ReadonlyArray<Fault> = [
  "kill",
  "stop",
  "pause",
  "pauseOutputs",
  "cut",
  "cutWitness",
  "witnessPause",
  "witnessRestart",
  "handOver",
  "promote",
  "operatorPause",
  "probe"
]

interface Planned extends Heap.Planned {
  readonly run: () => void
  /** Whether it is void once all faults are over: a message of before, or a fault. */
  readonly isTransient: boolean
}

/** A process of one side. */
export interface Process {
  readonly side: Side
  readonly rules: Core.Rules
  /** Local milliseconds for each millisecond of the world, and the local time at its beginning. */
  readonly rate: number
  readonly offset: number
  status: "down" | "running" | "paused"
  member: Core.Member
  /** Whether the state port is bound. */
  isBound: boolean
  pending: Array<Core.Output>
  inputs: Array<Core.Input>
  /** Whether the answer to an output has to come before anything else. */
  isBlocked: boolean
  isTurnPlanned: boolean
  isDraining: boolean
  linkEpoch: number
  /** The number of outputs after which the process is paused; infinity for never. */
  outputsLeft: number
  pauseMillis: number
  /** Deliveries that reached the host of a paused process. */
  backlog: Array<() => void>
}

export interface World {
  readonly planned: Array<Planned>
  readonly processes: [Process, Process]
  readonly lives: [number, number]
  readonly rulesOf: (side: Side, life: string) => Core.Rules
  readonly core: Pick<typeof Core, "start" | "step">
  readonly enabled: ReadonlySet<Fault>
  readonly rates: readonly [number, number]
  /** Whether messages from a side to its peer are lost; likewise questions to the witness and its answers. */
  readonly cut: [boolean, boolean]
  readonly cutWitness: [boolean, boolean]
  readonly longDelays: number
  readonly loss: number
  readonly gapMillis: number
  readonly lines: Array<string> | undefined
  /** Who served each term. */
  readonly holders: Map<number, string>
  register: Seen | undefined
  versions: number
  /** Questions that have reached a witness that stands still, if it does. */
  held: Array<() => void> | undefined
  /** Questions on their way to the witness. */
  readonly underWay: Set<() => void>
  largestToken: number
  now: number
  order: number
  random: number
  fingerprint: number
  lastId: number
  isWhole: boolean
  /** When a process was last stopped or started, or a command was last in progress. */
  settledAt: number
  /** Whether a side may run once the faults are over. */
  mayRun: readonly [boolean, boolean]
  /** Whether the host of a side is there to refuse connections. */
  mayRefuse: readonly [boolean, boolean]
  /** Whether a side cannot reach the witness, ever. */
  isWitnessDead: (side: Side) => boolean
  answers: number
  lastAnswerAt: number
  longestGap: number
  takeOvers: number
  faults: number
  violation: Violation | undefined
}

/** A number from 0 to 1 (mulberry32). */
export const draw = (world: Pick<World, "random">): number => {
  world.random = (world.random + 0x6d2b79f5) | 0
  let bits = Math.imul(world.random ^ (world.random >>> 15), 1 | world.random)
  bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
  return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296
}

export const chance = (world: World, probability: number): boolean => draw(world) < probability

export const upTo = (world: World, heartbeats: number): number => draw(world) * heartbeats * heartbeatMillis

export const integer = (world: World, below: number): number => Math.floor(draw(world) * below)

export const anyOf = <A>(world: World, all: ReadonlyArray<A>): A => all[integer(world, all.length)]!

export const plan = (world: World, millis: number, run: () => void, isTransient = false): void => {
  Heap.push(world.planned, {
    at: world.now + millis,
    order: world.order++,
    run,
    isTransient: isTransient && !world.isWhole
  })
}

/** Delays close to which something ends, in heartbeats. */
const edges = [0.5, 1, 1.45, 1.5, 1.55, 1.95, 2, 2.05, 3]

/** How long something takes under way. */
export const delay = (world: World): number => {
  if (world.isWhole || !chance(world, world.longDelays)) {
    return upTo(world, 0.02)
  }
  return chance(world, 0.4) ? anyOf(world, edges) * heartbeatMillis : upTo(world, chance(world, 0.7) ? 2.5 : 10)
}

export const localNow = ({ now }: World, { offset, rate }: Process): number => offset + now * rate

export const trace = (world: World, side: Side | undefined, text: string): void => {
  world.lines?.push(`${world.now.toFixed(1).padStart(9)} ${side === undefined ? "" : `${roles[side]} `}${text}`)
}

export const violate = (world: World, property: Violation["property"], detail: string): void => {
  trace(world, undefined, `VIOLATION ${property}: ${detail}`)
  world.violation ??= { property, at: world.now, detail }
}

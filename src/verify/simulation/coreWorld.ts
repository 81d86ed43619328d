/** A simulated pair without fibers: two processes, planned events, and a source of randomness. Plain records. */
import type { ConnectionRefusal } from "../../member/Member.ts"
import type * as Core from "../../member/Member.ts"
import type { Requests } from "../../member/Requests.ts"
import type { Completion } from "../../member/Responder.ts"
import type { Heartbeat } from "../../protocol/Heartbeat.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"
import type * as Frames from "../../wire/Frames.ts"
import type * as Challenge from "./challenge.ts"
import type { PlainResponder } from "./coreResponder.ts"
import * as Heap from "./heap.ts"
import type { Violation } from "./History.ts"

export const heartbeatMillis = 100
export const peerTimeoutMillis = 2 * heartbeatMillis

/** Longest delays of messages, of which a run has one. With the shortest, a probe after a stall is answered in time. */
export const longestDelays: ReadonlyArray<number> = [0.5, 0.5, 0.1].map((heartbeats) => heartbeats * heartbeatMillis)

/** The primary is 0, the backup 1. */
export type Side = 0 | 1

export const roles = ["primary", "backup"] as const satisfies ReadonlyArray<StateMachine.Role>

export const other = (side: Side): Side => side === 0 ? 1 : 0

/** A timer of a process. `Probed` and `Reset` answer `ResetLink`, `Released` answers a silent `EndTerm`. */
export type Timer =
  | { readonly _tag: "HeartbeatDue" | "Woken" | "Reset" }
  | { readonly _tag: "TermEnded" | "Released"; readonly end: number }
  | { readonly _tag: "Probed"; readonly triedAt: number; readonly isRefused: boolean }
  | { readonly _tag: "Completed"; readonly completion: Completion }

/** A state message of the peer, with the heartbeat behind it. */
export interface Message {
  readonly _tag: "Message"
  readonly to: Side
  readonly connection: number
  readonly state: StateMachine.PeerState
  readonly heartbeat: Heartbeat | undefined
}

/** An event that a running process receives, each kind from its own source. */
export type Delivery =
  | Message
  | { readonly _tag: "Link"; readonly to: Side; readonly processId: number; readonly input: Core.Input }
  | { readonly _tag: "Timer"; readonly to: Side; readonly processId: number; readonly timer: Timer }
  | { readonly _tag: "Request"; readonly to: Side; readonly request: Frames.Frames }

/** A step of the connection of a side to its peer. `asOf` is when the attempt began. */
export interface Step {
  readonly _tag: "Arrive" | "Open" | "Handshake" | "Subscribe" | "Lost"
  readonly to: Side
  readonly connection: number
  readonly asOf: number
}

/** A probe of the peer's state port arrives there. */
export interface Probe {
  readonly _tag: "Probe"
  readonly to: Side
  readonly processId: number
  readonly triedAt: number
  /** Whether the answer arrives within the time-out. */
  readonly isInTime: boolean
  readonly backMillis: number
}

export type Event =
  | Delivery
  | Step
  | Probe
  | { readonly _tag: "Send"; readonly client: number }
  | { readonly _tag: "Start"; readonly to: Side }
  | { readonly _tag: "Resume"; readonly to: Side; readonly processId: number }
  | { readonly _tag: "Fault" }
  | { readonly _tag: "Heal"; readonly directions: ReadonlyArray<Side> }

interface Planned extends Heap.Planned {
  readonly event: Event
}

/** The latest connection of a side to its peer's state port. */
export interface Connection {
  id: number
  status: "down" | "accepted" | "connected" | "subscribed" | "closed"
  /** The number of the port to which it is connected. */
  port: number
}

/** Events that have reached the host of a paused process. */
export interface Backlog {
  Message: Array<Message>
  Link: Array<Delivery>
  Timer: Array<Delivery>
  Request: Array<Delivery>
}

/** One side of the pair, with its process while it has one. */
export interface Server extends Challenge.Challenge {
  readonly side: Side
  rules: Core.Rules
  readonly connection: Connection
  /** The number of the latest process. */
  processId: number
  status: "down" | "running" | "paused"
  member: Core.Member
  requests: Requests
  responder: PlainResponder
  /** The state port, 0 while it is closed. */
  port: number
  backlog: Backlog
  inputs: Array<Core.Input>
  completions: Array<Completion>
  arrivals: Array<Frames.Frames>
  isOffering: boolean
  pending: Array<Core.Output>
  /** Whether the answer to an output has to come before anything else. */
  isBlocked: boolean
  refusal: ConnectionRefusal | undefined
  nextEpoch: number
  linkEpoch: number
  linkReadAt: number
  /** The number of outputs after which the process is paused; infinity for never. */
  outputsLeft: number
  pauseMillis: number
  /** When the last message to this side arrives. */
  busyUntil: number
}

export interface World {
  readonly planned: Array<Planned>
  readonly servers: readonly [Server, Server]
  readonly cut: [boolean, boolean]
  readonly commands: Map<number, { readonly side: Side; readonly processId: number; readonly name: string }>
  /** The numbers of the requests that were answered. */
  readonly replied: Set<number>
  readonly lines: Array<string> | undefined
  readonly end: number
  /** Whether messages take the shortest or the longest time only. */
  readonly isExtreme: boolean
  /** The longest time that a message takes in this run. */
  readonly delayMillis: number
  readonly hasCommands: boolean
  /** Whether only states are carried, as between servers of other implementations. */
  readonly isLegacy: boolean
  readonly gapMillis: number
  readonly dual: { count: number; lastAt: number }
  now: number
  order: number
  random: number
  fingerprint: number
  isFaulty: boolean
  /** Whether the faults are over. */
  isWhole: boolean
  isEnforced: boolean
  lastId: number
  requestCount: number
  answers: number
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

/** The delay of the next message. */
export const delay = (world: World): number =>
  world.isExtreme ? (draw(world) < 0.5 ? 0 : world.delayMillis) : draw(world) * world.delayMillis

export const plan = (world: World, millis: number, event: Event): void => {
  Heap.push(world.planned, { at: world.now + millis, order: world.order++, event })
}

export const note = (world: World, code: number): void => {
  world.fingerprint = Math.imul(world.fingerprint ^ code ^ Math.trunc(world.now * 1000), 0x01000193)
}

/** A line of the trace. */
export const trace = (world: World, text: string): void => {
  world.lines?.push(`${world.now.toFixed(3)} ${text}`)
}

export const violate = (world: World, property: Violation["property"], detail: string): void => {
  trace(world, `VIOLATION ${property}: ${detail}`)
  world.violation ??= { property, at: world.now, detail }
}

export const countDual = (world: World, property: "DualAnswer" | "DualAccept", detail: string): void => {
  if (world.isEnforced) {
    violate(world, property, detail)
  } else {
    world.dual.count++
    world.dual.lastAt = world.now
  }
}

/** One simulated run: its seed, its network, its servers, and what has happened to them. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { PCGRandom } from "effect/Utils"
import type { PolicyName } from "../../protocol/Policies.ts"
import type { Role } from "../../protocol/StateMachine.ts"
import * as History from "./History.ts"
import * as Network from "./Network.ts"
import type { Regime } from "./Report.ts"
import * as VirtualTime from "./VirtualTime.ts"

export const heartbeatMillis = 100

export const roles: ReadonlyArray<Role> = ["primary", "backup"]

/** One server of the pair, with its process while it has one. */
export interface Server {
  readonly role: Role
  running: {
    readonly run: Network.ProcessRun
    readonly process: VirtualTime.Process
    readonly stop: () => void
    readonly kill: () => void
  } | undefined
}

export interface Run {
  readonly regime: Regime
  readonly policy: PolicyName
  readonly random: PCGRandom
  readonly time: VirtualTime.VirtualTime
  readonly clock: Clock.Clock
  readonly history: History.History
  readonly conditions: Network.Conditions
  readonly network: Network.Network
  /** The process of the clients and of the observers, which has no faults. */
  readonly outside: VirtualTime.Process
  readonly servers: ReadonlyArray<Server>
  /** The bodies of the requests that were executed. */
  readonly executed: Set<string>
  /** The offset of all wall clocks in milliseconds. */
  readonly wall: { offset: number }
  faults: number
  /** Whether the faults are over: a server that has ended is started at once. */
  isWhole: boolean
}

export const make = (options: {
  readonly seed: number
  readonly regime: Regime
  readonly policy: PolicyName
  readonly keepLines: boolean
}): Run => {
  const { policy, regime, seed } = options
  const random = new PCGRandom(seed)
  const time = VirtualTime.make()
  const history = new History.History(time.now, options)
  const wall = { offset: 0 }
  const conditions = { delayMillis: heartbeatMillis / 2, isFaulty: regime === "wild", cut: new Set<Role>() }
  return {
    regime,
    policy,
    random,
    time,
    clock: time.clock(() => wall.offset),
    history,
    conditions,
    network: Network.make(time, random, conditions, (role) => history.onAnswer(role)),
    outside: time.makeProcess(),
    servers: roles.map((role): Server => ({ role, running: undefined })),
    executed: new Set(),
    wall,
    faults: 0,
    isWhole: false
  }
}

/** A time of up to so many heartbeats, in milliseconds. */
export const upTo = ({ random }: Run, heartbeats: number): number => random.number() * heartbeats * heartbeatMillis

export const chance = ({ random }: Run, probability: number): boolean => random.number() < probability

export const anyOf = <A>({ random }: Run, all: ReadonlyArray<A>): A => all[random.integer(all.length)]!

/** Runs an effect in a simulated process, in virtual time. */
export const fork = <A, E>(
  { clock }: Run,
  effect: Effect.Effect<A, E>,
  process: VirtualTime.Process,
  log: (line: string) => void
): Fiber.RuntimeFiber<A, E> =>
  Effect.runFork(
    effect.pipe(
      Effect.withClock(clock),
      Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => log(String(message)))))
    ),
    { scheduler: process.scheduler }
  )

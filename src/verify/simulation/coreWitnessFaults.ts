/** The faults of a run of cores with a witness, the commands of its operator, and what works once the faults are over. */
import * as Process from "./coreWitnessProcess.ts"
import {
  anyOf,
  chance,
  type Fault,
  heartbeatMillis,
  integer,
  plan,
  type Process as Server,
  type Side,
  sides,
  trace,
  upTo,
  type World
} from "./coreWitnessWorld.ts"
import * as Heap from "./heap.ts"

/** Which two of the three can talk once the faults are over. */
export type Ending = "whole" | "linkCut" | "witnessDead" | "hostDead" | "processDead" | "witnessOfOne"

export const endings: ReadonlyArray<Ending> = [
  "whole",
  "linkCut",
  "witnessDead",
  "hostDead",
  "processDead",
  "witnessOfOne"
]

/** Within how many heartbeats there is service. */
export const limits: { readonly [E in Ending]: number } = {
  whole: 4,
  linkCut: 4,
  witnessDead: 6,
  hostDead: 4,
  processDead: 4,
  witnessOfOne: 6
}

/** The longest time without an answer after that, in heartbeats. */
export const gaps: { readonly [E in Ending]: number } = {
  whole: 1,
  linkCut: 1,
  witnessDead: 1,
  hostDead: 1,
  processDead: 1,
  witnessOfOne: 1
}

const pauseMillis = (world: World): number =>
  chance(world, 0.4)
    ? anyOf(world, [1.2, 1.45, 1.55, 1.95, 2.05, 3]) * heartbeatMillis
    : upTo(world, chance(world, 0.7) ? 3 : 8)

const restart = (world: World, side: Side): void =>
  plan(world, chance(world, 0.5) ? upTo(world, 0.2) : upTo(world, 5), () => Process.start(world, side), true)

const command = (world: World, server: Server, _tag: "HandOver" | "Promote" | "Pause" | "Resume"): void => {
  const id = ++world.lastId
  trace(world, server.side, `is told to ${_tag}`)
  Process.give(world, server, _tag === "Resume" ? { _tag, id } : { _tag, id, reason: "a test" })
}

const perform: { readonly [F in Fault]: (world: World, server: Server, side: Side) => void } = {
  kill: (world, server, side) => {
    Process.end(world, server, "is killed")
    restart(world, side)
  },
  stop: (world, server, side) => {
    Process.give(world, server, { _tag: "Stop" })
    restart(world, side)
    plan(world, upTo(world, 8), () => restart(world, side), true)
  },
  pause: (world, server) => {
    if (server.status === "running") {
      server.pauseMillis = pauseMillis(world)
      Process.pause(world, server)
    }
  },
  pauseOutputs: (world, server) => {
    server.pauseMillis = pauseMillis(world)
    server.outputsLeft = integer(world, 6)
  },
  cut: (world, _, side) => {
    const cut: ReadonlyArray<Side> = chance(world, 0.5) ? sides : [side]
    trace(world, undefined, `the link from ${cut.join(" and ")} is cut`)
    cut.forEach((from) => {
      world.cut[from] = true
      plan(world, upTo(world, 8), () => {
        world.cut[from] = false
      }, true)
    })
  },
  cutWitness: (world, _, side) => {
    trace(world, side, "is cut from the witness")
    world.cutWitness[side] = true
    plan(world, upTo(world, 8), () => {
      world.cutWitness[side] = false
    }, true)
  },
  witnessPause: (world) => {
    if (world.held === undefined) {
      trace(world, undefined, "the witness stands still")
      world.held = []
      plan(world, pauseMillis(world), () => release(world), true)
    }
  },
  witnessRestart: (world) => {
    trace(world, undefined, "the witness restarts")
    world.held = world.held?.filter(() => chance(world, 0.5))
  },
  handOver: (world, server) => command(world, server, "HandOver"),
  promote: (world, server) => command(world, server, "Promote"),
  operatorPause: (world, server) => {
    command(world, server, "Pause")
    plan(world, upTo(world, 3), () => command(world, server, "Resume"), true)
  },
  probe: (world, server) => server.status === "running" ? Process.probe(world, server) : undefined
}

/** The witness executes what has waited. */
const release = (world: World): void => {
  const { held } = world
  world.held = undefined
  held?.forEach((execute) => execute())
}

/** Injects a fault, and plans the next, sometimes at the same instant. */
export const inject = (world: World): void => {
  if (world.isWhole || world.enabled.size === 0) {
    return
  }
  plan(world, chance(world, 0.2) ? 0 : upTo(world, 4), () => inject(world), true)
  const side: Side = chance(world, 0.5) ? 0 : 1
  const server = world.processes[side]
  if (server.status !== "down") {
    world.faults++
    perform[anyOf(world, [...world.enabled])](world, server, side)
  }
}

/** Ends all faults, except that one of the three, or one link, may be lost for good. */
export const makeWhole = (world: World, ending: Ending): void => {
  trace(world, undefined, `all faults are over: ${ending}`)
  const lost: Side = chance(world, 0.5) ? 0 : 1
  world.isWhole = true
  world.cut.fill(ending === "linkCut")
  world.cutWitness.fill(false)
  world.isWitnessDead = (side) => ending === "witnessDead" || (ending === "witnessOfOne" && side === lost)
  const isLost = ending === "hostDead" || ending === "processDead"
  world.mayRun = isLost ? [lost !== 0, lost !== 1] : [true, true]
  world.mayRefuse = ending === "hostDead" ? [lost !== 0, lost !== 1] : [true, true]
  release(world)
  world.underWay.forEach((execute) => execute())
  world.underWay.clear()
  const kept = world.planned.filter(({ isTransient }) => !isTransient)
  world.planned.splice(0)
  kept.forEach((item) => Heap.push(world.planned, item))
  for (const side of sides) {
    const server = world.processes[side]
    if (isLost && side === lost) {
      Process.end(world, server, "is lost")
    } else {
      server.outputsLeft = Number.POSITIVE_INFINITY
      Process.resume(world, server)
      Process.start(world, side)
      command(world, world.processes[side], "Resume")
    }
  }
}

/** Once the faults are over, processes that were told to stop start again. */
export const settle = (world: World): void => {
  for (const side of sides) {
    const { isBlocked, member, status } = world.processes[side]
    if (status === "down" && world.mayRun[side]) {
      Process.start(world, side)
      world.settledAt = world.now
    } else if (
      status === "running" && (isBlocked || member.phase._tag !== "Serving" || member.protocol.state === "HANDING_OVER")
    ) {
      world.settledAt = world.now
    }
  }
}

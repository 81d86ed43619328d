/** The faults of a run of cores, and the commands of its operator. */
import { timing } from "../../protocol/Timing.ts"
import * as Perform from "./corePerform.ts"
import {
  anyOf,
  chance,
  draw,
  heartbeatMillis,
  integer,
  plan,
  roles,
  type Server,
  type Side,
  trace,
  upTo,
  type World
} from "./coreWorld.ts"

const restart = (world: World, { side }: Server, atLeastMillis = 0): void =>
  plan(world, atLeastMillis + upTo(world, chance(world, 0.3) ? 0.2 : 5), { _tag: "Start", to: side })

/** Some pauses are about as long as one of these. */
const closeTo = [timing.briefStall, timing.stall, timing.peerTimeout]

const pauseOf = (world: World): number =>
  chance(world, 0.3)
    ? (anyOf(world, closeTo) + 0.1 * (draw(world) - 0.5)) * heartbeatMillis
    : upTo(world, chance(world, 0.5) ? 2 : 6)

const pause = (world: World, server: Server): void => {
  server.pauseMillis = pauseOf(world)
  if (chance(world, 0.7)) {
    Perform.pause(world, server)
  } else {
    server.outputsLeft = integer(world, 3)
  }
}

const command = (world: World, server: Server, _tag: "HandOver" | "Promote"): void => {
  const id = ++world.lastId
  world.commands.set(id, { side: server.side, processId: server.processId, name: _tag })
  trace(world, `${_tag} ${server.rules.role}, command ${id}`)
  const input = { _tag, id, reason: "a test" } as const
  plan(world, 0, { _tag: "Link", to: server.side, processId: server.processId, input })
}

const kill = (world: World, server: Server): void => {
  Perform.end(world, server, "is killed")
  restart(world, server)
}

const stop = (world: World, server: Server): void => {
  plan(world, 0, { _tag: "Link", to: server.side, processId: server.processId, input: { _tag: "Stop" } })
  restart(world, server, upTo(world, 1))
}

const cut = (world: World): void => {
  const directions = anyOf<ReadonlyArray<Side>>(world, [[0], [1], [0, 1]])
  trace(world, `cut from ${directions.map((side) => roles[side]).join(" and ")}`)
  directions.forEach((side) => {
    world.cut[side] = true
  })
  plan(world, upTo(world, 6), { _tag: "Heal", directions })
}

/** Injects a fault, and plans the next, sometimes at the same instant. */
export const inject = (world: World): void => {
  if (world.isWhole) {
    return
  }
  plan(world, chance(world, 0.2) ? 0 : upTo(world, 4), { _tag: "Fault" })
  world.faults++
  if (world.isFaulty && chance(world, 0.5)) {
    return cut(world)
  }
  const server = world.servers[integer(world, 2) as Side]
  const kind = draw(world) * (world.hasCommands ? 5 : 3)
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

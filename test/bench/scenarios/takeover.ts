/**
 * A server whose code has not been called by clients yet.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Dealer } from "zeromq"
import type { Row } from "../figures.ts"
import { row } from "../figures.ts"
import type { EchoResult, Load } from "../loads.ts"
import { startLoad } from "../loads.ts"
import type { Server } from "../servers.ts"
import { startPair, startServer } from "../servers.ts"
import type { Scenario } from "./turns.ts"
import { manyRequests, oneRequest, send } from "./turns.ts"

/** Sends votes until the server answers one. */
const untilAnswered = async (frontend: string): Promise<void> => {
  const dealer = new Dealer({ linger: 0, receiveTimeout: 50 })
  dealer.connect(frontend)
  const giveUpAt = performance.now() + 10_000
  do {
    if (performance.now() > giveUpAt) {
      throw new Error("the backup has not taken over within 10 seconds")
    }
    await dealer.send(["", "a vote"])
  } while (!await dealer.receive().then(() => true, () => false))
  dealer.close()
}

/** The first 2 seconds of a server that has been idle, in the column of this project, and the same server when it is warm. */
const coldAndWarm = async (
  rounds: number,
  start: (load: Load) => Promise<Server>
): Promise<ReadonlyArray<Row>> => {
  const load = startLoad()
  const results: { readonly project: Array<EchoResult>; readonly plain: Array<EchoResult> } = { project: [], plain: [] }
  for (let round = 0; round < rounds; round++) {
    const server = await start(load)
    const measure = () => send(load, server, { ...oneRequest, warmUpSeconds: 0, seconds: 2 })
    results.project.push(await measure())
    await send(load, server, { ...manyRequests, seconds: 3 })
    results.plain.push(await measure())
    await server.stop()
  }
  return [
    row("latency p50, us", results, ({ p50 }) => p50),
    row("latency p99, us", results, ({ p99 }) => p99),
    row("latency p99.9, us", results, ({ p999 }) => p999)
  ]
}

/** The load itself must not be cold. */
const warmUp = (load: Load, server: Server) => send(load, server, { ...oneRequest, seconds: 1 })

/** A server that has just taken over. */
export const coldTakeover: Scenario = ({ rounds }) =>
  coldAndWarm(rounds, async (load) => {
    const { backup, primary } = await startPair(["--policy", "hardened"])
    await sleep(2000)
    // The backup receives none of it.
    await warmUp(load, primary)
    await primary.stop()
    await untilAnswered(backup.frontend)
    return backup
  })

/** The plain loop that has just been started, as a reference. */
export const coldPlain: Scenario = ({ rounds }) =>
  coldAndWarm(rounds, async (load) => {
    const other = await startServer("plain")
    await warmUp(load, other)
    await other.stop()
    return startServer("plain")
  })

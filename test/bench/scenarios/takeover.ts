/**
 * A server that has just taken over.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Dealer } from "zeromq"
import { row } from "../figures.ts"
import type { EchoResult } from "../loads.ts"
import { startLoad } from "../loads.ts"
import { startPair } from "../servers.ts"
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

/** The first 2 seconds after a takeover, in the column of this project, and the same server when it is warm. */
export const coldTakeover: Scenario = async ({ rounds }) => {
  const load = startLoad()
  const results: { readonly project: Array<EchoResult>; readonly plain: Array<EchoResult> } = { project: [], plain: [] }
  for (let round = 0; round < rounds; round++) {
    const { backup, primary } = await startPair(["--policy", "hardened"])
    await sleep(2000)
    // The load itself must not be cold. The backup receives none of it.
    await send(load, primary, { ...oneRequest, seconds: 1 })
    primary.kill()
    await untilAnswered(backup.frontend)
    const measure = () => send(load, backup, { ...oneRequest, warmUpSeconds: 0, seconds: 2 })
    results.project.push(await measure())
    await send(load, backup, { ...manyRequests, seconds: 3 })
    results.plain.push(await measure())
    await backup.stop()
  }
  return [
    row("latency p50, us", results, ({ p50 }) => p50),
    row("latency p99, us", results, ({ p99 }) => p99),
    row("latency p99.9, us", results, ({ p999 }) => p999)
  ]
}

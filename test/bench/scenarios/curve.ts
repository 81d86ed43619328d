/**
 * The cost of encryption.
 */
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { stopAll } from "../children.ts"
import { failover } from "../failover.ts"
import { row } from "../figures.ts"
import { startLoad } from "../loads.ts"
import type { Name } from "../servers.ts"
import { freeEndpoints, makeKeys, startMember, startPair } from "../servers.ts"
import type { Scenario } from "./turns.ts"
import { inTurns, manyRequests, send, throughputRows } from "./turns.ts"

/** In turns with keys, in the column of this project, and without keys. */
export const curve: Scenario = async ({ rounds, seconds }) => {
  const keys = await makeKeys()
  const load = startLoad()
  const startOne = async (options: ReadonlyArray<string>) => {
    const [frontend, state, peer] = await freeEndpoints()
    return startMember("primary", { frontend, state, peer }, options)
  }
  const servers = { plain: await startOne([]), project: await startOne(["--keys", keys.directory]) }
  const measure = (name: Name) =>
    send(load, servers[name], {
      ...manyRequests,
      bytes: 64,
      seconds,
      ...(name === "project" ? { keys: keys.of("primary") } : {})
    })
  await inTurns(1, measure)
  const rows = throughputRows(await inTurns(rounds, measure))
  await stopAll()

  const waits = await inTurns(rounds, async (name) => {
    const { backup, primary } = await startPair([
      ...["--policy", "hardened"],
      ...(name === "project" ? ["--keys", keys.directory] : [])
    ])
    await sleep(3000)
    const client = name === "project" ? path.join(keys.directory, "client-load") : undefined
    const wait = await failover([primary.frontend, backup.frontend], client, primary.kill)
    await backup.stop()
    return wait
  })
  return [...rows, row("kill -9 of the active server: wait for an answer, ms", waits, (wait) => wait)]
}

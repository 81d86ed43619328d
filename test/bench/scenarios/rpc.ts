/**
 * Typed calls.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { stopAll } from "../children.ts"
import type { Row } from "../figures.ts"
import { largest, lonelyRow, rateRow, row } from "../figures.ts"
import type { Name } from "../servers.ts"
import { startRpc, startRpcPair } from "../servers.ts"
import type { Scenario } from "./turns.ts"
import { inTurns } from "./turns.ts"

export const rpc: Scenario = async ({ rounds, seconds }) => {
  const [plain, project] = await Promise.all([startRpc("plain"), startRpc("project")])
  const ends = { plain, project }
  const measure = async (name: Name) => ({
    many: await ends[name]({ window: 64, seconds }),
    one: await ends[name]({ window: 1, seconds })
  })
  await inTurns(1, measure)
  const results = await inTurns(rounds, measure)
  return [
    rateRow("calls a second, 64 at a time", results, ({ many }) => many.callsPerSecond),
    row("one call at a time, p50, us", results, ({ one }) => one.p50),
    row("one call at a time, p99, us", results, ({ one }) => one.p99)
  ]
}

/**
 * From the signal to the active server until the next answer, with one call pending all the time. An answer that was sent before
 * may arrive after the signal: the longest wait that ended after the signal counts.
 */
export const rpcFailover: Scenario = async ({ rounds }) => {
  const rows: Array<Row> = []
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const waits: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      const { call, end } = await startRpcPair()
      // The pair is connected by then.
      await sleep(2500)
      const calls = call({ window: 1, seconds: 2 })
      await sleep(1000)
      const at = performance.timeOrigin + performance.now()
      end(signal)
      const after = (await calls).waits.filter(({ until }) => until > at)
      waits.push(Math.max(...after.map(({ millis, until }) => Math.min(millis, until - at))))
      await stopAll()
    }
    rows.push(lonelyRow(`${signal}: median wait for an answer, ms`, waits))
    rows.push(lonelyRow(`${signal}: longest wait for an answer, ms`, waits, largest))
  }
  return rows
}

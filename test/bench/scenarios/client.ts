/**
 * The cost of a request in a client.
 */
import type { ClientName } from "../clientPeer.ts"
import { rateRow, row } from "../figures.ts"
import { resultOf } from "../loads.ts"
import type { Name } from "../servers.ts"
import { startClient, startEcho } from "../servers.ts"
import type { Scenario } from "./turns.ts"
import { cpuPerRequest, inTurns, requestsPerSecond } from "./turns.ts"

/** A client and a plain DEALER, both with the same echo server. */
const besideDealer = (client: ClientName): Scenario => async ({ rounds, seconds, warmUpSeconds }) => {
  const { frontend } = await startEcho()
  const [plain, project] = await Promise.all([startClient("plain", frontend), startClient(client, frontend)])
  const clients = { plain, project }
  const measure = (seconds: number) => async (name: Name) => ({
    many: resultOf(await clients[name]({ window: 100, seconds })),
    one: resultOf(await clients[name]({ window: 1, seconds }))
  })
  await inTurns(1, measure(warmUpSeconds))
  const results = await inTurns(rounds, measure(seconds))
  return [
    rateRow("requests a second, 100 at a time", results, ({ many }) => requestsPerSecond(many)),
    row("  CPU per request, us", results, ({ many }) => cpuPerRequest(many)),
    row("one request at a time, p50, us", results, ({ one }) => one.p50),
    row("one request at a time, p99, us", results, ({ one }) => one.p99)
  ]
}

export const client = besideDealer("project")

/** The bounds of a client that matches replies and requests: with promises, and with fibers. */
export const clientMap = besideDealer("map")
export const clientFibers = besideDealer("fibers")

/**
 * The cost of a request.
 */
import type { Rounds } from "../figures.ts"
import { row } from "../figures.ts"
import { merge } from "../histogram.ts"
import type { EchoResult } from "../loads.ts"
import { startLoad } from "../loads.ts"
import type { Name, Writing } from "../servers.ts"
import { freeEndpoints, startEffect, startProxy, startWorker } from "../servers.ts"
import type { Both, Scenario } from "./turns.ts"
import {
  cpuPerRequest,
  inTurns,
  loadInTurns,
  manyRequests,
  oneRequest,
  send,
  startBoth,
  throughputRows
} from "./turns.ts"

export const throughput: Scenario = async (options) => throughputRows(await loadInTurns(options, manyRequests))

const distributionOf = (results: ReadonlyArray<EchoResult>) => merge(results.map(({ latencies }) => latencies))

export const latency: Scenario = async (options) => {
  const results: Rounds<EchoResult> = await loadInTurns(options, oneRequest)
  return [
    {
      ...row("latency p50, us", results, (result) => result.p50),
      distribution: { project: distributionOf(results.project), plain: distributionOf(results.plain) }
    },
    row("latency p99, us", results, (result) => result.p99),
    row("latency p99.9, us", results, (result) => result.p999),
    row("server CPU per request, us", results, cpuPerRequest)
  ]
}

export const clients: Scenario = async ({ rounds, seconds }) => {
  const inFlight = 1000
  const counts = [10, 100, 1000] as const
  const load = startLoad()
  const servers = await startBoth()
  const measure = async (name: Name) => {
    const costs: Array<number> = []
    for (const count of counts) {
      costs.push(cpuPerRequest(await send(load, servers[name], { clients: count, window: inFlight / count, seconds })))
    }
    return costs
  }
  await inTurns(1, measure)
  const results = await inTurns(rounds, measure)
  return [
    ...counts.map((count, i) => row(`server CPU per request, ${count} clients, us`, results, (costs) => costs[i]!)),
    row("  growth from 10 clients to 1000, factor", results, (costs) => costs.at(-1)! / costs[0]!)
  ]
}

const effectsOf = (writing: Writing, server: "member" | "loop" = "member"): Scenario => async (options) =>
  throughputRows(
    await loadInTurns(options, manyRequests, async () => ({
      plain: await startEffect("plain", writing, server),
      project: await startEffect("project", writing, server)
    }))
  )

export const effects = effectsOf("fn")

export const effectsGen = effectsOf("gen")

export const effectsGenLoop = effectsOf("gen", "loop")

/** Two proxies and the workers of both. */
const startProxies = async (): Promise<Both> => {
  const [forPlain, forProject] = await freeEndpoints()
  const both = { plain: await startProxy("plain", forPlain), project: await startProxy("project", forProject) }
  await Promise.all(Array.from({ length: 4 }, () => startWorker([forPlain, forProject])))
  return both
}

export const proxy: Scenario = async (options) => throughputRows(await loadInTurns(options, manyRequests, startProxies))

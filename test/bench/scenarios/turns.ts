/**
 * What the scenarios share: both sides are measured in turns.
 */
import type { Rounds, Row } from "../figures.ts"
import { rateRow, row } from "../figures.ts"
import type { EchoJob, EchoResult, Load } from "../loads.ts"
import { startLoad } from "../loads.ts"
import type { Name, Server } from "../servers.ts"
import { startServer } from "../servers.ts"

export interface Options {
  /** The number of rounds. */
  readonly rounds: number
  /** The duration of each measurement. */
  readonly seconds: number
  /** The load of each server before it is measured, so that its code is compiled. */
  readonly warmUpSeconds: number
  /** The number of requests of `memory` and `pauses`. */
  readonly requests: number
}

/** A scenario starts its own processes and returns rows of the table. */
export type Scenario = (options: Options) => Promise<ReadonlyArray<Row>>

/** Measures both in turns. The order alternates between rounds. */
export const inTurns = async <A>(rounds: number, measure: (name: Name) => Promise<A>): Promise<Rounds<A>> => {
  const results: { readonly [N in Name]: Array<A> } = { project: [], plain: [] }
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? ["plain", "project"] as const : ["project", "plain"] as const) {
      results[name].push(await measure(name))
    }
  }
  return results
}

/** The servers of both sides. */
export type Both = { readonly [N in Name]: Server }

export const startBoth = async (): Promise<Both> => ({
  plain: await startServer("plain"),
  project: await startServer("project")
})

export type Shape = Omit<EchoJob, "endpoint" | "pid">

/** The shape of most loads: the server is busy. */
export const manyRequests = { clients: 10, window: 100 }

export const oneRequest = { clients: 1, window: 1 }

/** Measures a server under load. */
export const send = (load: Load, server: Server, shape: Shape): Promise<EchoResult> =>
  load.echo({ endpoint: server.frontend, pid: server.pid, ...shape })

/** Measures both under load in turns, after they are warm. */
export const loadInTurns = async (
  { rounds, seconds, warmUpSeconds }: Options,
  shape: Shape,
  start = startBoth
): Promise<Rounds<EchoResult>> => {
  const load = startLoad()
  const servers = await start()
  await inTurns(1, (name) => send(load, servers[name], { ...shape, seconds: warmUpSeconds }))
  return inTurns(rounds, (name) => send(load, servers[name], { ...shape, seconds }))
}

export const cpuPerRequest = (result: EchoResult) => result.cpu * 1000 / result.replies

export const requestsPerSecond = (result: EchoResult) => result.replies / result.seconds

export const throughputRows = (results: Rounds<EchoResult>): ReadonlyArray<Row> => [
  rateRow("requests a second", results, requestsPerSecond),
  row("server CPU per request, us", results, cpuPerRequest),
  row("  of it in the event loop, us", results, (result) => result.loopCpu * 1000 / result.replies),
  row("latency p50, ms", results, (result) => result.p50 / 1000),
  row("latency p99, ms", results, (result) => result.p99 / 1000)
]

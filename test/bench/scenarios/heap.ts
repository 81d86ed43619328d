/**
 * Garbage, the pauses to collect it, and memory.
 */
import { largest, lonelyRow, row, sum } from "../figures.ts"
import { startLoad } from "../loads.ts"
import * as proc from "../proc.ts"
import { startWithGarbage, startWithPauses } from "../servers.ts"
import type { Scenario } from "./turns.ts"
import { inTurns, manyRequests, oneRequest, send, startBoth } from "./turns.ts"

/** The number of requests of each figure of `garbage`. */
const garbageRequests = 20_000

/** The bytes that a server allocates in V8's heap for a request. */
export const garbage: Scenario = async ({ rounds, warmUpSeconds }) => {
  const load = startLoad()
  const servers = { plain: await startWithGarbage("plain"), project: await startWithGarbage("project") }
  await inTurns(1, (name) => send(load, servers[name], { ...oneRequest, seconds: warmUpSeconds }))
  const results = await inTurns(rounds, async (name) => {
    await servers[name].measured()
    const { allReplies } = await send(load, servers[name], { ...oneRequest, requests: garbageRequests })
    return await servers[name].measured() / allReplies
  })
  return [row("garbage per request, KB", results, (bytes) => bytes / 1000)]
}

export const memory: Scenario = async ({ requests }) => {
  const load = startLoad()
  const servers = await startBoth()
  const tenth = Math.ceil(requests / 10)
  const results = await inTurns(10, async (name) => {
    await send(load, servers[name], { ...manyRequests, requests: tenth })
    return proc.residentMebibytes(servers[name].pid)
  })
  const at = (i: number) => ({ project: [results.project[i]!], plain: [results.plain[i]!] })
  const growth = (values: ReadonlyArray<number>) => values[9]! / values[1]!
  return [
    ...results.project.map((_, i) =>
      row(`RSS after ${((i + 1) * tenth).toLocaleString("en")} requests, MiB`, at(i), (mebibytes) => mebibytes)
    ),
    row(
      "  growth from the second tenth to the last, factor",
      { project: [growth(results.project)], plain: [growth(results.plain)] },
      (factor) => factor
    )
  ]
}

/** Shorter pauses are not counted. */
const pauseMillis = 2

/** The garbage collections that stop a busy server for long. */
export const pauses: Scenario = async ({ requests, warmUpSeconds }) => {
  const load = startLoad()
  const server = await startWithPauses()
  await send(load, server, { ...manyRequests, seconds: warmUpSeconds })
  await server.measured()
  const rounds: Array<ReadonlyArray<number>> = []
  for (let round = 0; round < 4; round++) {
    await send(load, server, { ...manyRequests, warmUpSeconds: 0, requests: Math.ceil(requests / 4) })
    rounds.push(await server.measured())
  }
  const long = (pauses: ReadonlyArray<number>) => pauses.filter((millis) => millis > pauseMillis).length
  return [
    lonelyRow("collections", rounds.map((pauses) => pauses.length), sum),
    lonelyRow(`  of more than ${pauseMillis} ms`, rounds.map(long), sum),
    lonelyRow("  longest, ms", rounds.map((pauses) => largest([0, ...pauses])), largest)
  ]
}

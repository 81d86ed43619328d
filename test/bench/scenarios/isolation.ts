/**
 * The effect of clients and readers that take more than their share.
 */
import { once } from "node:events"
import * as net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { stopAll } from "../children.ts"
import { lonelyRow, rateRow, row } from "../figures.ts"
import { startAbuser, startLoad } from "../loads.ts"
import * as proc from "../proc.ts"
import type { Name, Server } from "../servers.ts"
import { freeEndpoints, startHttpAbuse, startMember, startPair, startPlain } from "../servers.ts"
import { delayRows, watchHeartbeats } from "./heartbeats.ts"
import type { Scenario } from "./turns.ts"
import { inTurns, manyRequests, requestsPerSecond, send } from "./turns.ts"

export const flood: Scenario = async ({ rounds, seconds }) => {
  const heartbeatMillis = 100
  const [frontend, state, peer] = await freeEndpoints()
  await startMember("primary", { frontend, state, peer }, ["--heartbeat", `${heartbeatMillis} millis`])
  const abuser = startAbuser()
  const watch = watchHeartbeats(state, heartbeatMillis)
  const results: Array<{ readonly rate: number; readonly delay: number; readonly noise: number }> = []
  for (let round = 0; round < rounds; round++) {
    const { delay, noise, result } = await watch.during(() =>
      abuser.flood({ endpoint: frontend, seconds: seconds * 2 })
    )
    results.push({ rate: result.sent / result.seconds, delay, noise })
  }
  await watch.stop()
  return [
    { ...lonelyRow("requests sent a second", results.map(({ rate }) => rate)), better: "larger" },
    ...delayRows(results)
  ]
}

/** The effect of a client that sends 100,000 messages a second and reads nothing, on four others and on the server. */
export const abuse: Scenario = async ({ rounds, seconds }) => {
  const heartbeatMillis = 100
  const [forPlain, frontend, state, peer] = await freeEndpoints()
  const servers = {
    plain: await startPlain(forPlain),
    project: await startMember("primary", { frontend, state, peer }, ["--heartbeat", `${heartbeatMillis} millis`])
  }
  const [load, abuser] = [startLoad(), startAbuser()]
  const watch = watchHeartbeats(state, heartbeatMillis)
  const measure = async (name: Name) => {
    const server = servers[name]
    const others = () => send(load, server, { clients: 4, window: 1, seconds })
    const quiet = await others()
    const { delay, noise, result } = await watch.during(async () => {
      const abusing = abuser.abuse({ endpoint: server.frontend, seconds: seconds + 1, rate: 100_000 })
      await sleep(500)
      return { abused: await others(), ...(await abusing) }
    })
    const memory = proc.residentMebibytes(server.pid)
    return { ...result, quiet, rate: result.sent / result.seconds, memory, delay, noise }
  }
  await inTurns(1, measure)
  const results = await inTurns(rounds, measure)
  await watch.stop()
  return [
    rateRow("messages of the abuser a second", results, ({ rate }) => rate),
    row("others without abuse: p99, ms", results, ({ quiet }) => quiet.p99 / 1000),
    row("others under abuse: p50, ms", results, ({ abused }) => abused.p50 / 1000),
    row("others under abuse: p99, ms", results, ({ abused }) => abused.p99 / 1000),
    row("  factor", results, ({ abused, quiet }) => abused.p99 / quiet.p99),
    row("resident memory, MiB", results, ({ memory }) => memory),
    ...delayRows(results.project)
  ]
}

const portOf = (endpoint: string): number => Number(new URL(endpoint).port)

/** Starts a pair, with status servers if `isWatched`. Returns its primary. */
const startWatched = async (isWatched: boolean, options: ReadonlyArray<string> = []) => {
  const [http, otherHttp] = (await freeEndpoints()).map(portOf)
  const status = (own: number | undefined, other: number | undefined) =>
    isWatched ? ["--http", String(own), "--peer-http", `127.0.0.1:${other}`] : []
  const { primary, state } = await startPair(
    [...options, ...status(http, otherHttp)],
    [...options, ...status(otherHttp, http)]
  )
  return { server: primary, port: http!, state }
}

/** Subscribes a number of listeners to the events of a status server, and one more that reads nothing. */
const listenTo = async (port: number, listeners: number) => {
  let messages = 0
  const sockets = await Promise.all(Array.from({ length: listeners + 1 }, async (_, i) => {
    const socket = net.connect(port, "127.0.0.1")
    await once(socket, "connect")
    socket.write("GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return i === 0 ? socket.pause() : socket.on("data", () => messages++)
  }))
  return {
    messages: () => messages,
    stop: () => sockets.forEach((socket) => socket.destroy())
  }
}

export const events: Scenario = async ({ rounds, seconds }) => {
  const load = startLoad()
  const [without, withoutListeners, withListeners] = [
    await startWatched(false),
    await startWatched(true),
    await startWatched(true)
  ]
  // The pairs are connected by then.
  await sleep(3000)
  const listeners = await listenTo(withListeners.port, 100)
  const shape = { ...manyRequests, seconds }
  const against = async (other: { readonly server: Server }) => {
    const measure = (name: Name) => send(load, name === "project" ? withListeners.server : other.server, shape)
    await inTurns(1, measure)
    return inTurns(rounds, measure)
  }
  const rows = [
    rateRow("requests a second: 100 listeners / none", await against(withoutListeners), requestsPerSecond),
    rateRow("requests a second: 100 listeners / no status server", await against(without), requestsPerSecond)
  ]
  const before = listeners.messages()
  await sleep(2000)
  const received = (listeners.messages() - before) / 2 / 100
  rows.push({ ...lonelyRow("messages a second to each listener that reads", [received]), better: "larger" })
  listeners.stop()
  await stopAll()

  const heartbeatMillis = 100
  const { port, state } = await startWatched(true, ["--heartbeat", `${heartbeatMillis} millis`])
  const abuse = startHttpAbuse()
  const watch = watchHeartbeats(state, heartbeatMillis)
  const results: Array<{ readonly delay: number; readonly noise: number }> = []
  for (let round = 0; round < rounds; round++) {
    results.push(await watch.during(() => abuse(port)))
  }
  await watch.stop()
  return [...rows, ...delayRows(results)]
}

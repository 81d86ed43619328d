/**
 * The scenarios. Each starts its own processes and returns rows of the table.
 */
import { once } from "node:events"
import * as net from "node:net"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Subscriber } from "zeromq"
import { failover } from "./failover.ts"
import type { Rounds, Row } from "./figures.ts"
import { lonelyRow, row } from "./figures.ts"
import type { Echo, EchoResult } from "./load.ts"
import * as proc from "./proc.ts"
import type { Load, Name, Server } from "./servers.ts"
import {
  freeEndpoints,
  kill,
  makeKeys,
  startAbuse,
  startEffect,
  startLoad,
  startMeasured,
  startMember,
  startPlain,
  startProxy,
  startRpc,
  startRpcPair,
  startServer,
  startWorker,
  stopAll,
  untilOpen
} from "./servers.ts"

export interface Options {
  /** The number of rounds. */
  readonly rounds: number
  /** The duration of each measurement. */
  readonly seconds: number
  /** The number of requests of `memory`. */
  readonly requests: number
}

/** Measures both in turns. The order alternates between rounds. */
const inTurns = async <A>(rounds: number, measure: (name: Name) => Promise<A>): Promise<Rounds<A>> => {
  const results: { readonly [N in Name]: Array<A> } = { project: [], plain: [] }
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? ["plain", "project"] as const : ["project", "plain"] as const) {
      results[name].push(await measure(name))
    }
  }
  return results
}

type Both = { readonly [N in Name]: Server }

const startBoth = async (): Promise<Both> => ({
  plain: await startServer("plain"),
  project: await startServer("project")
})

/** Two proxies and the workers of both. */
const startProxies = async (): Promise<Both> => {
  const [forPlain, forProject] = await freeEndpoints()
  const both = { plain: await startProxy("plain", forPlain), project: await startProxy("project", forProject) }
  await Promise.all(Array.from({ length: 4 }, () => startWorker([forPlain, forProject])))
  return both
}

type Shape = Pick<Echo, "clients" | "window"> & Partial<Pick<Echo, "bytes" | "keys" | "seconds" | "requests">>

const send = (load: Load, server: Server, shape: Shape): Promise<EchoResult> =>
  load.echo({
    endpoint: server.frontend,
    pid: server.pid,
    // The job is sent as JSON, which has no infinity.
    seconds: Number.MAX_SAFE_INTEGER,
    requests: Number.MAX_SAFE_INTEGER,
    ...shape
  })

/** The load of each server before it is measured, so that its code is compiled. */
const warmUpSeconds = 2

/** Measures both under load in turns, after the warm-up. */
const loadInTurns = async (rounds: number, shape: Shape, start = startBoth): Promise<Rounds<EchoResult>> => {
  const load = startLoad()
  const servers = await start()
  await inTurns(1, (name) => send(load, servers[name], { ...shape, seconds: warmUpSeconds }))
  return inTurns(rounds, (name) => send(load, servers[name], shape))
}

const cpuPerRequest = (result: EchoResult) => result.cpu * 1000 / result.replies

const throughputRows = (results: Rounds<EchoResult>): ReadonlyArray<Row> => [
  row("requests a second", results, (result) => result.replies / result.seconds),
  row("server CPU per request, us", results, cpuPerRequest),
  row("  of it in the event loop, us", results, (result) => result.loopCpu * 1000 / result.replies),
  row("latency p50, ms", results, (result) => result.p50 / 1000),
  row("latency p99, ms", results, (result) => result.p99 / 1000)
]

const manyRequests = { clients: 10, window: 100 }

const throughput = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> =>
  throughputRows(await loadInTurns(rounds, { ...manyRequests, seconds }))

const effects = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> =>
  throughputRows(
    await loadInTurns(rounds, { ...manyRequests, seconds }, async () => ({
      plain: await startEffect("plain"),
      project: await startEffect("project")
    }))
  )

const proxy = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> =>
  throughputRows(await loadInTurns(rounds, { ...manyRequests, seconds }, startProxies))

const rpc = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> => {
  const ends = { plain: await startRpc("plain"), project: await startRpc("project") }
  const measure = async (name: Name) => ({
    many: await ends[name]({ window: 64, seconds }),
    one: await ends[name]({ window: 1, seconds })
  })
  await inTurns(1, measure)
  const results = await inTurns(rounds, measure)
  return [
    row("calls a second, 64 at a time", results, ({ many }) => many.callsPerSecond),
    row("one call at a time, p50, us", results, ({ one }) => one.p50),
    row("one call at a time, p99, us", results, ({ one }) => one.p99)
  ]
}

/**
 * From the signal to the active server until the next answer, with one call pending all the time. An answer that was sent before
 * may arrive after the signal: the longest wait that ended after the signal counts.
 */
const rpcFailover = async ({ rounds }: Options): Promise<ReadonlyArray<Row>> => {
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
    rows.push(lonelyRow(`${signal}: longest wait for an answer, ms`, waits, (waits) => Math.max(...waits)))
  }
  return rows
}

const latency = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> => {
  const results = await loadInTurns(rounds, { clients: 1, window: 1, seconds })
  return [
    row("latency p50, us", results, (result) => result.p50),
    row("latency p99, us", results, (result) => result.p99),
    row("latency p99.9, us", results, (result) => result.p999),
    row("server CPU per request, us", results, cpuPerRequest)
  ]
}

/** The number of requests of each figure of `garbage`. */
const garbageRequests = 20_000

/** The bytes that a server allocates in V8's heap for a request. */
const garbage = async ({ rounds }: Options): Promise<ReadonlyArray<Row>> => {
  const oneRequest = { clients: 1, window: 1 }
  const load = startLoad()
  const servers = { plain: await startMeasured("plain"), project: await startMeasured("project") }
  await inTurns(1, (name) => send(load, servers[name], { ...oneRequest, seconds: warmUpSeconds }))
  const results = await inTurns(rounds, async (name) => {
    await servers[name].allocated()
    const { allReplies } = await send(load, servers[name], { ...oneRequest, requests: garbageRequests })
    return await servers[name].allocated() / allReplies
  })
  return [row("garbage per request, KB", results, (bytes) => bytes / 1000)]
}

const clients = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> => {
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

/** Records the heartbeats of a server, and the ticks of a timer in this process. The machine causes the delays of the timer. */
const watchHeartbeats = (state: string, heartbeatMillis: number) => {
  const heartbeats: Array<number> = []
  const ticks: Array<number> = []
  const subscriber = new Subscriber({ linger: 0 })
  subscriber.subscribe()
  subscriber.connect(state)
  const listening = (async () => {
    for await (const _ of subscriber) {
      heartbeats.push(performance.now())
    }
  })()
  const timer = setInterval(() => ticks.push(performance.now()), heartbeatMillis)
  return {
    /** The largest delays while `work` runs. */
    during: async <A>(work: () => Promise<A>) => {
      await untilLater(heartbeats, performance.now())
      const start = performance.now()
      const result = await work()
      const end = performance.now()
      await untilLater(heartbeats, end)
      await untilLater(ticks, end)
      return {
        result,
        delay: largestGap(heartbeats, start, end) - heartbeatMillis,
        noise: largestGap(ticks, start, end) - heartbeatMillis
      }
    },
    stop: async () => {
      clearInterval(timer)
      subscriber.close()
      await listening
    }
  }
}

const worst = (values: ReadonlyArray<number>) => Math.max(...values)

const delayRows = (
  results: ReadonlyArray<{ readonly delay: number; readonly noise: number }>
): ReadonlyArray<Row> => [
  lonelyRow("largest delay of a heartbeat, ms", results.map(({ delay }) => delay), worst),
  lonelyRow("  of a timer in an idle process meanwhile, ms", results.map(({ noise }) => noise), worst)
]

const flood = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> => {
  const heartbeatMillis = 100
  const [frontend, state, peer] = await freeEndpoints()
  await startMember("primary", { frontend, state, peer }, ["--heartbeat", `${heartbeatMillis} millis`])
  const load = startLoad()
  const watch = watchHeartbeats(state, heartbeatMillis)
  const results: Array<{ readonly rate: number; readonly delay: number; readonly noise: number }> = []
  for (let round = 0; round < rounds; round++) {
    const { delay, noise, result } = await watch.during(() => load.flood({ endpoint: frontend, seconds: seconds * 2 }))
    results.push({ rate: result.sent / result.seconds, delay, noise })
  }
  await watch.stop()
  return [lonelyRow("requests sent a second", results.map(({ rate }) => rate)), ...delayRows(results)]
}

/** In turns with keys, in the column of this project, and without keys. */
const curve = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> => {
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
    const [frontend, state, otherFrontend, otherState] = await freeEndpoints()
    const options = ["--policy", "hardened", ...(name === "project" ? ["--keys", keys.directory] : [])]
    const primary = await startMember("primary", { frontend, state, peer: otherState }, options)
    const backup = await startMember("backup", { frontend: otherFrontend, state: otherState, peer: state }, options)
    // The pair is connected by then.
    await sleep(3000)
    const client = name === "project" ? path.join(keys.directory, "client-load") : undefined
    const wait = await failover([frontend, otherFrontend], client, () => kill(primary))
    await backup.stop()
    return wait
  })
  return [...rows, row("kill -9 of the active server: wait for an answer, ms", waits, (wait) => wait)]
}

/** The effect of a client that sends 100,000 messages a second and reads nothing, on four others and on the server. */
const abuse = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> => {
  const heartbeatMillis = 100
  const [forPlain, frontend, state, peer] = await freeEndpoints()
  const servers = {
    plain: await startPlain(forPlain),
    project: await startMember("primary", { frontend, state, peer }, ["--heartbeat", `${heartbeatMillis} millis`])
  }
  const [load, abuser] = [startLoad(), startLoad()]
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
    row("messages of the abuser a second", results, ({ rate }) => rate),
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
  const [frontend, state, otherFrontend, otherState] = await freeEndpoints()
  const [http, otherHttp] = (await freeEndpoints()).map(portOf)
  const status = (own: number | undefined, other: number | undefined) =>
    isWatched ? ["--http", String(own), "--peer-http", `127.0.0.1:${other}`] : []
  const primary = await startMember("primary", { frontend, state, peer: otherState }, [
    ...options,
    ...status(http, otherHttp)
  ])
  await startMember("backup", { frontend: otherFrontend, state: otherState, peer: state }, [
    ...options,
    ...status(otherHttp, http)
  ])
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

const events = async ({ rounds, seconds }: Options): Promise<ReadonlyArray<Row>> => {
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
    row(
      "requests a second: 100 listeners / none",
      await against(withoutListeners),
      (result) => result.replies / result.seconds
    ),
    row(
      "requests a second: 100 listeners / no status server",
      await against(without),
      (result) => result.replies / result.seconds
    )
  ]
  const before = listeners.messages()
  await sleep(2000)
  rows.push(lonelyRow("messages a second to each listener that reads", [(listeners.messages() - before) / 2 / 100]))
  listeners.stop()
  await stopAll()

  const heartbeatMillis = 100
  const { port, state } = await startWatched(true, ["--heartbeat", `${heartbeatMillis} millis`])
  const abuse = startAbuse()
  const watch = watchHeartbeats(state, heartbeatMillis)
  const results: Array<{ readonly delay: number; readonly noise: number }> = []
  for (let round = 0; round < rounds; round++) {
    results.push(await watch.during(() => abuse(port)))
  }
  await watch.stop()
  return [...rows, ...delayRows(results)]
}

/** Waits until `times` has an entry after `time`. */
const untilLater = async (times: ReadonlyArray<number>, time: number): Promise<void> => {
  while (!(times.length > 0 && times.at(-1)! > time)) {
    if (performance.now() > time + 10_000) {
      throw new Error("no heartbeat for 10 seconds")
    }
    await sleep(10)
  }
}

/** The largest gap between two times, from the last before `start` to the first after `end`. */
const largestGap = (times: ReadonlyArray<number>, start: number, end: number): number =>
  times.reduce((largest, time, i) => {
    const previous = times[i - 1] ?? time
    return time > start && previous <= end ? Math.max(largest, time - previous) : largest
  }, 0)

const startup = async (): Promise<ReadonlyArray<Row>> => {
  const results = await inTurns(7, async (name) => {
    const [frontend, state, peer] = await freeEndpoints()
    const [server, openAt] = await Promise.all([
      name === "plain" ? startPlain(frontend) : startMember("primary", { frontend, state, peer }),
      untilOpen(frontend)
    ])
    await server.stop()
    return { line: server.firstLineAt - server.startedAt, open: openAt - server.startedAt }
  })
  return [
    row("from start to first line, ms", results, ({ line }) => line),
    row("from start to open port, ms", results, ({ open }) => open)
  ]
}

const idle = async (): Promise<ReadonlyArray<Row>> => {
  const seconds = 5
  const [frontend, state, otherFrontend, otherState] = await freeEndpoints()
  const plain = await startServer("plain")
  const primary = await startMember("primary", { frontend, state, peer: otherState })
  const backup = await startMember("backup", { frontend: otherFrontend, state: otherState, peer: state })
  const all = [primary, backup, plain]
  // The pair is connected by then.
  await sleep(3000)
  const before = all.map(({ pid }) => proc.cpu(pid).all)
  await sleep(seconds * 1000)
  const [ofPrimary, ofBackup, ofPlain] = all.map(({ pid }, i) => (proc.cpu(pid).all - before[i]!) / seconds / 10)
  const compare = (what: string, share: number) =>
    row(what, { project: [share], plain: [ofPlain!] }, (percent) => percent)
  return [
    compare("CPU of a primary, % of a core", ofPrimary!),
    compare("CPU of its backup, % of a core", ofBackup!)
  ]
}

const memory = async ({ requests }: Options): Promise<ReadonlyArray<Row>> => {
  const load = startLoad()
  const servers = await startBoth()
  const tenth = Math.ceil(requests / 10)
  const results = await inTurns(10, async (name) => {
    await send(load, servers[name], { clients: 10, window: 100, requests: tenth })
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

export const scenarios: { readonly [name: string]: (options: Options) => Promise<ReadonlyArray<Row>> } = {
  throughput,
  latency,
  garbage,
  clients,
  effects,
  proxy,
  curve,
  rpc,
  rpcFailover,
  flood,
  abuse,
  events,
  startup,
  idle,
  memory
}

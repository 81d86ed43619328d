/**
 * The loss of the active server.
 */
import * as net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Subscriber } from "zeromq"
import { startFailoverClient, startLeastClient } from "../failover.ts"
import type { Rounds, Row } from "../figures.ts"
import { largest, median, percentileOf, row } from "../figures.ts"
import type { Name, Server } from "../servers.ts"
import { freeEndpoints, startLeastMember, startMember } from "../servers.ts"
import type { Scenario } from "./turns.ts"
import { inTurns } from "./turns.ts"

/** The pair is connected by then, and its passive server has rehearsed a takeover. */
const settleMillis = 2000

/** What other processes observe, in milliseconds after the signal. */
interface Moments {
  /** A connection to the state port of the lost server is closed. */
  readonly closed: number
  /** A connection to it is refused. */
  readonly refused: number
  /** The other server publishes that it is active. */
  readonly active: number
  /** A client has an answer. */
  readonly answered: number
}

const connect = (endpoint: string) => {
  const { hostname, port } = new URL(endpoint)
  const socket = net.connect(Number(port), hostname).on("error", () => {}).resume()
  return {
    connected: new Promise<void>((resolve) => socket.once("connect", resolve)),
    /** Whether it was closed by an error. */
    closed: new Promise<boolean>((resolve) => socket.once("close", resolve)),
    close: () => socket.destroy()
  }
}

/** Waits until connections are refused. */
const untilRefused = async (endpoint: string): Promise<number> => {
  let isRefused = false
  while (!isRefused) {
    const { close, closed, connected } = connect(endpoint)
    void connected.then(close)
    isRefused = await closed
  }
  return performance.now()
}

/** Observes the end of a state port. */
const watchEnd = async (endpoint: string) => {
  const connection = connect(endpoint)
  await connection.connected
  const closed = connection.closed.then(() => performance.now())
  return { closed, refused: closed.then(() => untilRefused(endpoint)) }
}

/** Waits until a server publishes that it is active, as the Guide's servers do. */
const watchActive = (endpoint: string) => {
  const subscriber = new Subscriber({ linger: 0 })
  subscriber.subscribe("3")
  subscriber.connect(endpoint)
  return subscriber.receive().then(() => {
    subscriber.close()
    return performance.now()
  })
}

/** A pair that loses its active server again and again. Each time the lost one is started again. */
interface Pair {
  readonly lose: (signal: NodeJS.Signals) => Promise<Moments>
  readonly stop: () => Promise<void>
}

const startPair = async (name: Name): Promise<Pair> => {
  const [frontend, state, otherFrontend, otherState] = await freeEndpoints()
  const endpoints = [
    { frontend, state, peer: otherState },
    { frontend: otherFrontend, state: otherState, peer: state }
  ] as const
  const start = (index: 0 | 1, isFirst: boolean) =>
    name === "plain"
      ? startLeastMember(isFirst ? "active" : "passive", endpoints[index])
      : startMember(index === 0 ? "primary" : "backup", endpoints[index], ["--policy", "hardened"])
  const servers: [Server, Server] = [await start(0, true), await start(1, false)]
  const frontends = [frontend, otherFrontend]
  const client = await (name === "plain" ? startLeastClient(frontends) : startFailoverClient(frontends))
  let active: 0 | 1 = 0
  return {
    lose: async (signal) => {
      const [lost, other] = active === 0 ? [0, 1] as const : [1, 0] as const
      await sleep(settleMillis)
      const end = await watchEnd(endpoints[lost].state)
      const activated = name === "plain" ? Promise.resolve(NaN) : watchActive(endpoints[other].state)
      let lostAt = 0
      let ended: Promise<void> | undefined
      const answered = await client.failover(() => {
        lostAt = performance.now()
        ended = servers[lost].end(signal)
      })
      const moments = {
        closed: await end.closed - lostAt,
        refused: await end.refused - lostAt,
        active: await activated - lostAt,
        answered
      }
      await ended
      servers[lost] = await start(lost, false)
      active = other
      return moments
    },
    stop: async () => {
      await client.close()
      await Promise.all(servers.map((server) => server.stop()))
    }
  }
}

/** The waits of a client, and what they consist of. */
const rowsOf = (signal: NodeJS.Signals, moments: Rounds<Moments>): ReadonlyArray<Row> => {
  const answered = ({ answered }: Moments) => answered
  const of = (what: string, pick: (values: ReadonlyArray<number>) => number): Row => {
    const figures = row(what, moments, answered)
    const [project, plain] = [pick(figures.rounds.project), pick(figures.rounds.plain)]
    return { ...figures, project, plain, ratio: project / plain }
  }
  const part = (what: string, duration: (moments: Moments) => number) => row(`  ${what}`, moments, duration)
  return [
    of(`${signal}: wait for an answer, median, ms`, median),
    of(`${signal}: the same, p99, ms`, percentileOf(0.99)),
    of(`${signal}: the same, longest, ms`, largest),
    ...(signal === "SIGKILL"
      ? [
        part("until the system closes the connections, ms", ({ closed }) => closed),
        part("from there until it refuses others, ms", ({ closed, refused }) => refused - closed),
        part("from there until the peer is active, ms", ({ active, refused }) => active - refused)
      ]
      : [part("until the peer is active, ms", ({ active }) => active)]),
    part("from there until the answer, ms", ({ active, answered }) => answered - active)
  ]
}

/** The pair of this project, and the least pair, which shows what the machine and the binding allow. */
export const failover: Scenario = async ({ rounds }) => {
  const pairs = { project: await startPair("project"), plain: await startPair("plain") }
  const rows: Array<Row> = []
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    rows.push(...rowsOf(signal, await inTurns(rounds, (name) => pairs[name].lose(signal))))
  }
  await Promise.all([pairs.project.stop(), pairs.plain.stop()])
  return rows
}

/**
 * The loss of the active server.
 */
import * as net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Subscriber } from "zeromq"
import { startFailoverClient } from "../failover.ts"
import type { Row } from "../figures.ts"
import { largest, lonelyRow, percentileOf } from "../figures.ts"
import type { Server } from "../servers.ts"
import { freeEndpoints, startMember } from "../servers.ts"
import type { Scenario } from "./turns.ts"

type Role = "primary" | "backup"

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

/** Loses the active server again and again. Each time the lost one is started again. */
const lose = async (rounds: number, signal: NodeJS.Signals): Promise<ReadonlyArray<Moments>> => {
  const [frontend, state, otherFrontend, otherState] = await freeEndpoints()
  const endpoints = {
    primary: { frontend, state, peer: otherState },
    backup: { frontend: otherFrontend, state: otherState, peer: state }
  }
  const start = (role: Role) => startMember(role, endpoints[role], ["--policy", "hardened"])
  const servers: { [R in Role]: Server } = { primary: await start("primary"), backup: await start("backup") }
  const client = await startFailoverClient([frontend, otherFrontend])
  const results: Array<Moments> = []
  for (let round = 0; round < rounds; round++) {
    const [lost, other] = round % 2 === 0 ? ["primary", "backup"] as const : ["backup", "primary"] as const
    await sleep(settleMillis)
    const end = await watchEnd(endpoints[lost].state)
    const active = watchActive(endpoints[other].state)
    let lostAt = 0
    let ended: Promise<void> | undefined
    const answered = await client.failover(() => {
      lostAt = performance.now()
      ended = servers[lost].end(signal)
    })
    results.push({
      closed: await end.closed - lostAt,
      refused: await end.refused - lostAt,
      active: await active - lostAt,
      answered
    })
    await ended
    servers[lost] = await start(lost)
  }
  await client.close()
  await Promise.all([servers.primary.stop(), servers.backup.stop()])
  return results
}

/** The waits of a client, and what they consist of. */
const rowsOf = (signal: NodeJS.Signals, moments: ReadonlyArray<Moments>): ReadonlyArray<Row> => {
  const waits = moments.map(({ answered }) => answered)
  const part = (what: string, duration: (moments: Moments) => number) => lonelyRow(`  ${what}`, moments.map(duration))
  return [
    lonelyRow(`${signal}: wait for an answer, median, ms`, waits),
    lonelyRow(`${signal}: the same, p99, ms`, waits, percentileOf(0.99)),
    lonelyRow(`${signal}: the same, longest, ms`, waits, largest),
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

export const failover: Scenario = async ({ rounds }) => [
  ...rowsOf("SIGKILL", await lose(rounds, "SIGKILL")),
  ...rowsOf("SIGTERM", await lose(rounds, "SIGTERM"))
]

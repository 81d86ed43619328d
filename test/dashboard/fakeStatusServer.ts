/**
 * A status server with the responses of a test, for what real servers do not do on demand.
 */
import { Effect } from "effect"
import { once } from "node:events"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { csp, html } from "../../src/dashboard/Dashboard.ts"
import type { HistoryEntry, NodeStatus, PairStatus, TransitionEvent } from "../../src/status/Status.ts"

const addresses = { primary: "http://10.0.0.1:8001", backup: "http://10.0.0.2:8001" }
const endpoints = { primary: "tcp://10.0.0.1:5003", backup: "tcp://10.0.0.2:5003" }

/** The status of a server of a healthy pair, with the fields that differ. */
export const statusOf = (role: "primary" | "backup", different: Partial<NodeStatus> = {}): NodeStatus => ({
  role,
  state: role === "primary" ? "ACTIVE" : "PASSIVE",
  answers: role === "primary",
  since: "2026-01-31T12:00:00.000Z",
  cause: role === "primary" ? "PeerBackup" : "PeerActive",
  message: role === "primary"
    ? "connected to backup (passive), ready as active"
    : "connected to primary (active), ready as passive",
  explanation: null,
  reason: null,
  policy: "hardened",
  takeoverBlock: null,
  peer: {
    endpoint: role === "primary" ? endpoints.backup : endpoints.primary,
    state: role === "primary" ? "PASSIVE" : "ACTIVE",
    ageMillis: 412,
    isExpired: false
  },
  counters: {
    accepted: 1_284_120,
    rejected: 3,
    failed: 0,
    limited: 0,
    heartbeats: 7204,
    malformed: 0,
    votes: 12,
    missed: 1,
    conflicts: 0,
    failovers: 1
  },
  latency: { count: 1_284_120, p50Millis: 0.42, p99Millis: 2.31 },
  config: {
    frontend: "tcp://*:5001",
    stateEndpoint: endpoints[role],
    peerEndpoint: endpoints[role === "primary" ? "backup" : "primary"],
    heartbeatMillis: 1000,
    vote: "clients",
    lone: "wait",
    crashDetection: true,
    concurrency: 1,
    timeoutMillis: null,
    drainMillis: 5000,
    maxFailovers: 3,
    failoverWindowMillis: 3_600_000
  },
  versions: { bstar: "0.1.0", node: "20.20.0" },
  host: role === "primary" ? "alpha" : "beta",
  pid: role === "primary" ? 4242 : 4343,
  uptimeMillis: 7_204_000,
  now: "2026-01-31T13:00:00.000Z",
  http: addresses[role],
  peerHttp: addresses[role === "primary" ? "backup" : "primary"],
  ...different
})

/** A command that was received, with its token. */
export interface Command {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: unknown
}

/** Starts one on a free port. It is closed with the scope. */
export const make = Effect.gen(function*() {
  const listeners = new Set<http.ServerResponse>()
  const commands: Array<Command> = []
  let pair: PairStatus | undefined
  let history: ReadonlyArray<HistoryEntry> = []
  let response: readonly [status: number, body: unknown] = [404, {}]
  const write = (event: string, data: unknown) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

  const server = http.createServer((request, reply) => {
    const path = request.url?.replace(/\?.*/, "")
    const json = (status: number, body: unknown) =>
      reply.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    if (path === "/") {
      reply.writeHead(200, { "content-type": "text/html", "content-security-policy": csp }).end(html)
    } else if (path === "/history") {
      json(200, history)
    } else if (path === "/events") {
      reply.writeHead(200, { "content-type": "text/event-stream" })
      reply.write(pair === undefined ? ": nothing yet\n\n" : write("pair", pair))
      listeners.add(reply)
      reply.on("close", () => listeners.delete(reply))
    } else if (request.method === "POST") {
      let text = ""
      request.setEncoding("utf8").on("data", (part: string) => text += part).on("end", () => {
        commands.push({
          path: request.url!,
          authorization: request.headers.authorization,
          body: text === "" ? undefined : JSON.parse(text)
        })
        json(...response)
      })
    } else {
      json(404, {})
    }
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening")),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return once(server.close(), "close")
      })
  )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    commands,
    /** Sends a status to every page, and to those that connect later. */
    sendPair: (next: PairStatus) => {
      pair = next
      listeners.forEach((listener) => listener.write(write("pair", next)))
    },
    sendTransition: (transition: TransitionEvent) =>
      listeners.forEach((listener) => listener.write(write("transition", transition))),
    setHistory: (entries: ReadonlyArray<HistoryEntry>) => {
      history = entries
    },
    respond: (status: number, body: unknown) => {
      response = [status, body]
    }
  }
})

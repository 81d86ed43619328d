/**
 * A status server with the responses of a test, for what real servers do not do on demand.
 */
import { Effect } from "effect"
import { once } from "node:events"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { csp, html } from "../../src/dashboard/Dashboard.ts"
import type { HistoryEntry, PairStatus, TransitionEvent } from "../../src/status/Status.ts"

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
  let check: readonly [status: number, body: unknown] | undefined
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
        // With this body a page checks its token.
        if (text === "{") {
          json(...check ?? [request.headers.authorization === "Bearer secret" ? 400 : 401, {}])
          return
        }
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
    /** Answers every check of a token in this way. By default the token `secret` is accepted. */
    respondToCheck: (status: number, body: unknown) => {
      check = [status, body]
    },
    /** Cuts all connections, and makes no new ones. */
    stop: () => {
      server.close()
      server.closeAllConnections()
    },
    respond: (status: number, body: unknown) => {
      response = [status, body]
    }
  }
})

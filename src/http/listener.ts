/**
 * An HTTP server whose clients cannot delay heartbeats: one request at a time on a connection, a time budget for each turn of
 * the event loop, limits for output that is not read, and connections that are reserved for health checks.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers"
import type { SocketReason } from "../ports/SocketError.ts"
import { SocketError } from "../ports/SocketError.ts"
import type * as Status from "../status/Status.ts"
import * as Connections from "./connections.ts"
import * as Hosts from "./hosts.ts"
import * as Turns from "./turns.ts"

export interface Listener {
  /** The URL of the server. */
  readonly url: string
  /** Sets the handler of requests. Until then the server answers that it is not ready. */
  readonly serve: (handler: RequestListener) => void
}

/** Closed requests per turn of the event loop, since each interrupts a fiber. */
const endsPerTurn = 10

/** How long the rest of a body may take after its request has been answered. */
const lingerMillis = 1_000

const healthChecks: ReadonlySet<string> = new Set(["/live", "/ready", "/active", "/passive"])

const isHealthCheck = ({ method, url = "" }: IncomingMessage): boolean =>
  (method === "GET" || method === "HEAD") && healthChecks.has(url.split("?", 1)[0]!)

const reject = (response: ServerResponse, status: number, message: string): void => {
  const body = JSON.stringify({ error: message } satisfies typeof Status.ErrorBody.Type)
  response.writeHead(status, {
    "content-length": Buffer.byteLength(body),
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    connection: "close"
  }).end(body)
}

const limits = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000
}

/** How long a connection with a request may be without a byte. */
const silenceMillis = 30_000

const reasons: { readonly [code: string]: SocketReason } = {
  EADDRINUSE: "AddressInUse",
  EADDRNOTAVAIL: "NoSuchDevice",
  EACCES: "PermissionDenied",
  ENOTFOUND: "UnknownHost",
  EAI_AGAIN: "UnknownHost",
  EMFILE: "TooManySockets"
}

const urlOf = (host: string, port: number): string => `http://${host.includes(":") ? `[${host}]` : host}:${port}`

interface State {
  readonly connections: Connections.Connections
  readonly turns: Turns.Turns
  readonly isOwnHost: (header: string | undefined) => boolean
  handler: RequestListener
}

const answer = (
  { connections, handler, isOwnHost }: State,
  request: IncomingMessage,
  response: ServerResponse
): void => {
  if (response.destroyed || request.socket.destroyed) {
    return
  }
  if (Hosts.countIn(request.rawHeaders) > 1) {
    return reject(response, 400, "a request has one Host header, and this one has several")
  }
  const isCheck = isHealthCheck(request)
  if (!isCheck && connections.reserved.has(request.socket)) {
    return reject(response, 503, "too many connections")
  }
  if (!isCheck && !isOwnHost(request.headers.host)) {
    return reject(response, 421, Hosts.explain(request.headers.host))
  }
  handler(request, response)
}

/** After an answer: the next request of its connection. */
const end = ({ connections }: State, connection: Connections.Connection, request: IncomingMessage): void => {
  const { socket, waiting } = connection
  connection.isBusy = false
  const next = waiting.shift()
  if (socket.destroyed || !connections.all.has(socket)) {
    return
  }
  if (next !== undefined) {
    return next()
  }
  if (!request.complete) {
    const timer = setTimeout(() => socket.destroy(), lingerMillis)
    request.once("end", () => clearTimeout(timer))
    socket.once("close", () => clearTimeout(timer))
  }
  Connections.setIdle(connections, connection)
}

const begin = (
  state: State,
  connection: Connections.Connection,
  request: IncomingMessage,
  response: ServerResponse
): void => {
  connection.isBusy = true
  state.connections.idle.delete(connection.socket)
  response.once("close", () => end(state, connection, request))
  if (!state.turns.add(() => answer(state, request, response), isHealthCheck(request))) {
    reject(response, 503, "too many requests")
  }
}

/** Delays the event of a disconnected client: hundreds of clients may disconnect at once. */
const delayClose = (response: ServerResponse, inTurns: (job: () => void) => void): void => {
  const emit = response.emit.bind(response)
  response.emit = (event: string, ...args: Array<unknown>) => {
    if (event !== "close" || response.writableFinished) {
      return emit(event, ...args)
    }
    inTurns(() => emit("close"))
    return true
  }
}

const make = (isOwnHost: State["isOwnHost"], warn: (error: Error) => void) => {
  const server = createServer(limits)
  const connections = Connections.make()
  const state: State = {
    connections,
    turns: Turns.make(),
    isOwnHost,
    handler: (_, response) => {
      response.writeHead(503).end("not ready")
    }
  }
  const endInTurns = Turns.makeCounted(endsPerTurn)
  server.setTimeout(silenceMillis)
  server.on("connection", (socket) => Connections.admit(connections, socket))
  server.on("request", (request, response) => {
    delayClose(response, endInTurns)
    const connection = connections.all.get(request.socket)
    if (connection !== undefined) {
      Connections.enqueue(connections, connection, () => begin(state, connection, request, response))
    }
  })
  const sweep = setInterval(() => Connections.closeUnread(connections), 1_000).unref()
  server.once("close", () => clearInterval(sweep))
  // Without it, a connection that cannot be accepted would end the process.
  server.on("error", (error) => {
    if (server.listening) {
      warn(error)
    }
  })
  return {
    server,
    serve: (handler: RequestListener) => {
      state.handler = handler
    }
  }
}

/** Listens as long as the scope. At its end all connections are closed at once. */
export const listen = (
  { host, port }: { readonly host: string; readonly port: number },
  hosts: ReadonlyArray<string> = []
): Effect.Effect<Listener, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const fork = Runtime.runFork(yield* Effect.runtime())
    const { serve, server } = yield* Effect.acquireRelease(
      Effect.sync(() =>
        make(Hosts.make(host, hosts), ({ message }) => fork(Effect.logWarning(`status server: ${message}`)))
      ),
      ({ server }) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    yield* Effect.async<void, SocketError>((resume) => {
      const onError = (cause: NodeJS.ErrnoException) =>
        resume(
          new SocketError({
            reason: reasons[cause.code ?? ""] ?? "Unknown",
            operation: "bind",
            endpoint: urlOf(host, port),
            cause
          })
        )
      server.once("error", onError)
      server.listen({ host, port }, () => {
        server.off("error", onError)
        resume(Effect.void)
      })
    })
    return { url: urlOf(host, (server.address() as AddressInfo).port), serve }
  })

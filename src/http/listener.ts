/**
 * An HTTP server whose clients cannot hold up the process: one request at a time on a connection, a budget for each turn of
 * the event loop, limits for what is sent and not read, and places that are kept for health checks.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { performance } from "node:perf_hooks"
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers"
import * as Descriptors from "../internal/Descriptors.ts"
import type { SocketReason } from "../ports/SocketError.ts"
import { SocketError } from "../ports/SocketError.ts"
import type * as Status from "../status/Status.ts"
import * as Hosts from "./hosts.ts"
import * as Turns from "./turns.ts"

export interface Listener {
  /** Where it listens. */
  readonly url: string
  /** Until this is called it answers that it is not ready. */
  readonly serve: (handler: RequestListener) => void
}

/**
 * Above this limit the longest-idle connection is closed. It is more than the system's backlog (511), so that a connection
 * that was accepted in the same turn as a full backlog is still there when its request is read.
 * Fewer where the process may open few files.
 */
const mostConnections = 768
const maxConnections = Math.min(mostConnections, Descriptors.connectionsFor(Descriptors.limit) ?? mostConnections)

/** Places above the limit, each for one health check; the oldest is closed for a new one. */
const reservedConnections = 64

/** How long a reserved place may be kept. */
const reservedMillis = 1_000

/** Requests on one connection that may wait for the answer to the one before. With more the connection is closed. */
const maxPipelined = 8

/** How long output may wait for a client that does not read. */
const unreadMillis = 5_000

/** Output that may wait for one client. */
const maxUnreadBytes = 256 * 1024

/** Requests without a complete answer that are ended in a turn of the event loop, since each interrupts a fiber. */
const endsPerTurn = 10

/** How long the rest of a body may take after its request has been answered. */
const lingerMillis = 1_000

const healthChecks: ReadonlySet<string> = new Set(["/live", "/ready", "/active", "/passive"])

const isHealthCheck = ({ method, url = "" }: IncomingMessage): boolean =>
  (method === "GET" || method === "HEAD") && healthChecks.has(url.split("?", 1)[0]!)

const refuse = (response: ServerResponse, status: number, message: string): void => {
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

/** How long a connection may be without a byte while it is not idle: who does not read an answer is not waited for. */
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

/** Requests of one connection, answered one after the other. */
interface Connection {
  readonly waiting: Array<() => void>
  isBusy: boolean
  unreadSince: number | undefined
}

/** Bytes that are parsed in one go: all requests in them are emitted before the connection can be closed. */
const sliceBytes = 1024

/** Node parses all that was received, 64 KiB of requests, even when the first of them has closed the connection. */
const parseInSlices = (socket: Socket, { waiting }: Connection): void => {
  const parsers = socket.listeners("data")
  socket.removeAllListeners("data")
  socket.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length && !socket.destroyed; at += sliceBytes) {
      // Node pauses when a request is pipelined behind output that is not read; its parser must get nothing more then.
      if (socket.isPaused() && waiting.length > 0) {
        socket.destroy()
        return
      }
      const slice = chunk.subarray(at, at + sliceBytes)
      parsers.forEach((parse) => parse(slice))
    }
  })
}

const make = (isOwnHost: (header: string | undefined) => boolean, warn: (error: Error) => void) => {
  const server = createServer(limits)
  const turns = Turns.make()
  const connections = new Map<Socket, Connection>()
  const idle = new Set<Socket>()
  const reserved = new Set<Socket>()
  let handler: RequestListener = (_, response) => {
    response.writeHead(503).end("not ready")
  }
  server.setTimeout(silenceMillis)

  const reserve = (socket: Socket) => {
    const [oldest] = reserved
    if (reserved.size >= reservedConnections) {
      oldest!.destroy()
      reserved.delete(oldest!)
    }
    reserved.add(socket)
    const timer = setTimeout(() => socket.destroy(), reservedMillis)
    socket.once("close", () => {
      clearTimeout(timer)
      reserved.delete(socket)
    })
  }
  const admit = (socket: Socket) => {
    const [oldest] = idle
    if (connections.size - reserved.size >= maxConnections) {
      if (oldest === undefined) {
        reserve(socket)
      } else {
        idle.delete(oldest)
        connections.delete(oldest)
        oldest.destroy()
      }
    }
    const connection: Connection = { waiting: [], isBusy: false, unreadSince: undefined }
    connections.set(socket, connection)
    parseInSlices(socket, connection)
    if (!reserved.has(socket)) {
      idle.add(socket)
    }
    socket.once("close", () => {
      connections.delete(socket)
      idle.delete(socket)
    })
  }
  server.on("connection", admit)

  const answer: RequestListener = (request, response) => {
    if (response.destroyed || request.socket.destroyed) {
      return
    }
    if (Hosts.countIn(request.rawHeaders) > 1) {
      return refuse(response, 400, "a request has one Host header, and this one has several")
    }
    const isCheck = isHealthCheck(request)
    if (!isCheck && reserved.has(request.socket)) {
      return refuse(response, 503, "too many connections")
    }
    if (!isCheck && !isOwnHost(request.headers.host)) {
      return refuse(response, 421, Hosts.explain(request.headers.host))
    }
    handler(request, response)
  }

  const begin = (connection: Connection, request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    connection.isBusy = true
    idle.delete(socket)
    response.once("close", () => {
      connection.isBusy = false
      const next = connection.waiting.shift()
      if (socket.destroyed || !connections.has(socket)) {
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
      if (!reserved.has(socket)) {
        idle.add(socket)
      }
    })
    if (!turns.add(() => answer(request, response), isHealthCheck(request))) {
      refuse(response, 503, "too many requests")
    }
  }
  const endInTurns = Turns.makeCounted(endsPerTurn)
  /** The handler learns in turns that a client has left: hundreds of clients may leave at once. */
  const delayEnd = (response: ServerResponse) => {
    const emit = response.emit.bind(response)
    response.emit = (event: string, ...args: Array<unknown>) => {
      if (event !== "close" || response.writableFinished) {
        return emit(event, ...args)
      }
      endInTurns(() => emit("close"))
      return true
    }
  }
  server.on("request", (request, response) => {
    delayEnd(response)
    const connection = connections.get(request.socket)
    if (connection === undefined) {
      return
    }
    if (!connection.isBusy) {
      return begin(connection, request, response)
    }
    if (connection.waiting.length >= maxPipelined) {
      connections.delete(request.socket)
      request.socket.destroy()
      return
    }
    connection.waiting.push(() => begin(connection, request, response))
  })

  const closeUnread = () => {
    const now = performance.now()
    for (const [socket, connection] of connections) {
      if (socket.writableLength === 0) {
        connection.unreadSince = undefined
        continue
      }
      connection.unreadSince ??= now
      if (socket.writableLength > maxUnreadBytes || now - connection.unreadSince >= unreadMillis) {
        socket.destroy()
      }
    }
  }
  const sweep = setInterval(closeUnread, 1_000).unref()
  server.once("close", () => clearInterval(sweep))
  // Without it, whatever goes wrong where a connection is accepted would end the process.
  server.on("error", (error) => {
    if (server.listening) {
      warn(error)
    }
  })
  return {
    server,
    serve: (given: RequestListener) => {
      handler = given
    }
  }
}

/** Listens as long as the scope. Then all connections are closed at once, whatever they wait for. */
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

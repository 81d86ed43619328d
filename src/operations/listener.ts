/**
 * An HTTP server that nobody can hold up: what is too large or too slow is refused, and who only connects has to give way
 * to others.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { RequestListener } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { SocketReason } from "../BinaryStarError.ts"
import { SocketError } from "../BinaryStarError.ts"
import * as Descriptors from "../internal/descriptors.ts"

export interface Listener {
  /** Where it listens. */
  readonly url: string
  /** Until this is called it answers that it is not ready. */
  readonly serve: (handler: RequestListener) => void
}

/** Above this, the connection that has been idle for longest is closed. Fewer where the process may open few files. */
const maxConnections = Math.min(256, Descriptors.connectionsFor(Descriptors.limit) ?? 256)

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

const make = (warn: (error: Error) => void) => {
  const server = createServer(limits)
  const idle = new Set<Socket>()
  let connections = 0
  let handler: RequestListener = (_, response) => {
    response.writeHead(503).end("not ready")
  }
  server.setTimeout(silenceMillis)
  server.on("connection", (socket) => {
    const [oldest] = idle
    if (connections >= maxConnections) {
      const victim = oldest ?? socket
      idle.delete(victim)
      victim.destroy()
    }
    connections++
    idle.add(socket)
    socket.once("close", () => {
      connections--
      idle.delete(socket)
    })
  })
  server.on("request", (request, response) => {
    idle.delete(request.socket)
    response.once("close", () => {
      if (!request.socket.destroyed) {
        idle.add(request.socket)
      }
    })
    handler(request, response)
  })
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
  { host, port }: { readonly host: string; readonly port: number }
): Effect.Effect<Listener, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const fork = Runtime.runFork(yield* Effect.runtime())
    const { serve, server } = yield* Effect.acquireRelease(
      Effect.sync(() => make(({ message }) => fork(Effect.logWarning(`status server: ${message}`)))),
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

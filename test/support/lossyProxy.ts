/** A TCP proxy that can lose what a server answers, after the server has received everything. */
import type { Scope } from "effect"
import { Effect } from "effect"
import { once } from "node:events"
import * as net from "node:net"

export interface LossyProxy {
  readonly port: number
  /** What happens to answers from now on: they pass, they are lost, or the connection is reset instead of the first of them. */
  readonly answers: (fate: "pass" | "lost" | "reset") => Effect.Effect<void>
  /** Connections of clients that are open. */
  readonly openCount: () => number
}

/** Listens until the scope ends. */
const listen = (server: net.Server, sockets: ReadonlySet<net.Socket>): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening")),
    () =>
      Effect.sync(() => {
        server.close()
        sockets.forEach((socket) => socket.destroy())
      })
  ).pipe(Effect.map(() => (server.address() as net.AddressInfo).port))

/** A server that accepts connections and never answers. */
export const makeSilentServer: Effect.Effect<Omit<LossyProxy, "answers">, never, Scope.Scope> = Effect.suspend(() => {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {}).on("close", () => sockets.delete(socket)).resume()
  })
  return Effect.map(listen(server, sockets), (port) => ({ port, openCount: () => sockets.size }))
})

export const makeLossyProxy = (target: number): Effect.Effect<LossyProxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    let fate: "pass" | "lost" | "reset" = "pass"
    const sockets = new Set<net.Socket>()
    const server = net.createServer((client) => {
      const upstream = net.connect(target, "127.0.0.1")
      for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
        sockets.add(one)
        one.on("error", () => {})
        one.on("close", () => {
          sockets.delete(one)
          other.destroy()
        })
      }
      client.on("data", (bytes) => upstream.write(bytes))
      upstream.on("data", (bytes) => {
        if (fate === "pass") {
          client.write(bytes)
        } else if (fate === "reset") {
          client.resetAndDestroy()
        }
      })
    })
    return {
      port: yield* listen(server, sockets),
      answers: (next) =>
        Effect.sync(() => {
          fate = next
        }),
      openCount: () => sockets.size / 2
    }
  })

/** The other ends of sockets under test. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as net from "node:net"
import type * as Frames from "../../src/wire/Frames.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"

export const anyPort = "tcp://127.0.0.1:*"

/** A TCP server for tests of what is not ZeroMQ; its endpoint. */
export const listener = (onConnection: (connection: net.Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
        const connections = new Set<net.Socket>()
        const server = net.createServer((connection) => {
          connections.add(connection)
          connection.on("error", () => {})
          onConnection(connection)
        }).listen(0, "127.0.0.1", () => {
          const close = () => {
            server.close()
            connections.forEach((connection) => connection.destroy())
          }
          resume(Effect.succeed({ port: (server.address() as net.AddressInfo).port, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ port }) => `tcp://127.0.0.1:${port}`
  )

/** A bound ROUTER and a DEALER that is connected to it. */
export const linkedOver = (where: string) =>
  Effect.gen(function*() {
    const router = yield* ZmqSocket.makeRouter()
    const endpoint = yield* router.bind(where)
    const dealer = yield* ZmqSocket.makeDealer()
    yield* dealer.connect(endpoint)
    return { router, dealer, endpoint }
  })

export const linked = linkedOver(anyPort)

/** Sends as soon as there is room. */
export const insist = (socket: ZmqSocket.Sender, message: Frames.Frames) =>
  Effect.retry(socket.send(message), {
    while: (error) => error.reason === "Full",
    schedule: Schedule.spaced("1 millis")
  })

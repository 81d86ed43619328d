/** Connections that must be rejected, over plain sockets of the binding. */
import { Effect } from "effect"
import { once } from "node:events"
import * as net from "node:net"
import * as zmq from "zeromq"

/** The credentials of an intruder. */
export type Credentials = "unknown" | "wrong" | "absent"

/** The options of an intruder that knows the public key of a server. */
const optionsOf = (credentials: Credentials, serverKey: string) => {
  if (credentials === "absent") {
    return {}
  }
  const { publicKey, secretKey } = zmq.curveKeyPair()
  return {
    curvePublicKey: publicKey,
    curveSecretKey: secretKey,
    curveServerKey: credentials === "unknown" ? serverKey : zmq.curveKeyPair().publicKey
  }
}

/** Connects once, with a request, until it is accepted or rejected. Whether it was accepted. */
const intrude = async (endpoint: string, options: object): Promise<boolean> => {
  // Without a second attempt, so that each counts once.
  const dealer = new zmq.Dealer({ linger: 0, sendTimeout: 0, reconnectInterval: -1, ...options })
  const ended = new Promise<unknown>((resolve) => dealer.events.on("end", resolve))
  try {
    const outcome = new Promise<boolean>((resolve) => {
      dealer.events.on("handshake", () => resolve(true))
      dealer.events.on("disconnect", () => resolve(false))
    })
    dealer.connect(endpoint)
    dealer.send(["", "let me in"]).catch(() => {})
    return await outcome
  } finally {
    dealer.close()
    // Otherwise more sockets would be open at a time than the process may have.
    await ended
  }
}

/** Connects many times, some at a time. Number of accepted connections. */
export const intrusions = (
  endpoint: string,
  credentials: Credentials,
  serverKey: string,
  count: number
): Effect.Effect<number> =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.promise(() => intrude(endpoint, optionsOf(credentials, serverKey))),
      { concurrency: 8 }
    ),
    (outcomes) => outcomes.filter((isIn) => isIn).length
  )

/** Connects again and again with a key that was accepted once, until it is rejected. */
export const untilLockedOut = (
  endpoint: string,
  options: { readonly curvePublicKey: string; readonly curveSecretKey: string; readonly curveServerKey: string }
): Effect.Effect<void> =>
  Effect.asVoid(Effect.repeat(Effect.promise(() => intrude(endpoint, options)), { until: (isIn) => !isIn }))

const portOf = (endpoint: string): number => Number(new URL(endpoint).port)

/** A proxy between a client and a server that records the bytes of the client. */
export const recorder = (endpoint: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const recorded: Array<Buffer> = []
        const sockets = new Set<net.Socket>()
        const server = net.createServer((client) => {
          const upstream = net.connect(portOf(endpoint), "127.0.0.1")
          for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
            sockets.add(from)
            from.on("error", () => to.destroy()).on("close", () => to.destroy()).pipe(to)
          }
          client.on("data", (bytes) => recorded.push(bytes))
        }).listen(0, "127.0.0.1")
        await once(server, "listening")
        return { server, recorded, sockets }
      }),
      ({ server, sockets }) =>
        Effect.promise(async () => {
          sockets.forEach((socket) => socket.destroy())
          await once(server.close(), "close")
        })
    ),
    ({ recorded, server }) => ({
      endpoint: `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
      recorded: () => Buffer.concat(recorded)
    })
  )

/** Replays recorded bytes, until the connection is closed. */
export const replay = (endpoint: string, bytes: Buffer): Effect.Effect<void> =>
  Effect.promise(async () => {
    const socket = net.connect(portOf(endpoint), "127.0.0.1")
    socket.on("error", () => {}).resume().on("connect", () => socket.write(bytes))
    await once(socket, "close")
  })

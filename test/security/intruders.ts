/** Those who must not come in, over plain sockets of the binding. */
import { Effect } from "effect"
import { once } from "node:events"
import * as net from "node:net"
import * as zmq from "zeromq"

/** What an intruder has, apart from the wish to come in. */
export type Credentials = "unknown" | "wrong" | "absent"

/** What they come with, of a server whose public key they have. */
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

/** Comes once, with a request in its hand, and waits until it is sent away; tells whether it was let in. */
const come = async (endpoint: string, options: object): Promise<boolean> => {
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
    // Or there would be more of them at a time than the process may have.
    await ended
  }
}

/** Has so many come, some at a time; tells how many were let in. */
export const intrusions = (
  endpoint: string,
  credentials: Credentials,
  serverKey: string,
  count: number
): Effect.Effect<number> =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.promise(() => come(endpoint, optionsOf(credentials, serverKey))),
      { concurrency: 8 }
    ),
    (outcomes) => outcomes.filter((isIn) => isIn).length
  )

/** Comes again and again with a key that was accepted once, until it is refused. */
export const untilLockedOut = (
  endpoint: string,
  options: { readonly curvePublicKey: string; readonly curveSecretKey: string; readonly curveServerKey: string }
): Effect.Effect<void> =>
  Effect.asVoid(Effect.repeat(Effect.promise(() => come(endpoint, options)), { until: (isIn) => !isIn }))

const portOf = (endpoint: string): number => Number(new URL(endpoint).port)

/** Stands between a client and a server, and keeps all that the client says on its first connection. */
export const recorder = (endpoint: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const said: Array<Buffer> = []
        const sockets = new Set<net.Socket>()
        const server = net.createServer((client) => {
          const upstream = net.connect(portOf(endpoint), "127.0.0.1")
          for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
            sockets.add(from)
            from.on("error", () => to.destroy()).on("close", () => to.destroy()).pipe(to)
          }
          client.on("data", (bytes) => said.push(bytes))
        }).listen(0, "127.0.0.1")
        await once(server, "listening")
        return { server, said, sockets }
      }),
      ({ server, sockets }) =>
        Effect.promise(async () => {
          sockets.forEach((socket) => socket.destroy())
          await once(server.close(), "close")
        })
    ),
    ({ said, server }) => ({
      endpoint: `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
      said: () => Buffer.concat(said)
    })
  )

/** Says the same again, byte by byte, and waits until it is hung up on. */
export const replay = (endpoint: string, bytes: Buffer): Effect.Effect<void> =>
  Effect.promise(async () => {
    const socket = net.connect(portOf(endpoint), "127.0.0.1")
    socket.on("error", () => {}).resume().on("connect", () => socket.write(bytes))
    await once(socket, "close")
  })

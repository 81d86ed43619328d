import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as Endpoint from "../Endpoint.ts"

/** How long the system may take to answer; who has no answer knows nothing. */
const patience = "1 second"

const addressOf = (endpoint: string): net.NetConnectOpts | undefined => {
  const parts = Endpoint.parse(endpoint)
  switch (parts?.protocol) {
    case "tcp":
      return parts.host.startsWith("[")
        ? { host: parts.host.slice(1, -1), port: Number(parts.port), family: 6 }
        : { host: parts.host, port: Number(parts.port), family: 4 }
    case "ipc":
      // A name in the abstract namespace is no file.
      return parts.name.startsWith("@") ? undefined : { path: parts.name }
    default:
      return undefined
  }
}

/**
 * Whether the system refuses connections to an endpoint, because no process listens there. A connection, no answer or
 * any other failure is no refusal.
 *
 * @internal
 */
export const isRefused = (endpoint: string): Effect.Effect<boolean> => {
  const address = addressOf(endpoint)
  return address === undefined ? Effect.succeed(false) : Effect.acquireUseRelease(
    Effect.sync(() => {
      const socket = net.connect(address)
      // A file that is not there says nothing about the process that made it, so there is one code that counts.
      const refused = new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(false))
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"))
      })
      return { socket, refused }
    }),
    ({ refused }) => Effect.promise(() => refused),
    ({ socket }) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.timeoutTo({ duration: patience, onTimeout: () => false, onSuccess: (refused) => refused }))
}

import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as Endpoint from "../Endpoint.ts"
import * as Addresses from "./addresses.ts"

/** How long the system may take to answer. Without an answer nothing is known. */
const patience = "1 second"

const addressOf = (endpoint: string): net.NetConnectOpts | undefined => {
  const parts = Endpoint.parse(endpoint)
  switch (parts?.protocol) {
    case "tcp":
      return {
        host: parts.host.replace(/^\[|\]$/g, ""),
        port: Number(parts.port),
        // Whatever is bound can share its port with the server that it belongs to, which a connection to itself would keep.
        localAddress: parts.host.startsWith("[") ? "::" : "0.0.0.0"
      }
    case "ipc":
      // A name in the abstract namespace is no file.
      return parts.name.startsWith("@") ? undefined : { path: parts.name }
    default:
      return undefined
  }
}

/** A port among those that the system gives to connections may be given to the very connection to it, if no process listens there. */
export const isConnectedToItself = (
  { localAddress, localPort, remoteAddress, remotePort }: Pick<
    net.Socket,
    "localAddress" | "localPort" | "remoteAddress" | "remotePort"
  >
): boolean => localPort === remotePort && localAddress === remoteAddress

const isAddressRefused = (endpoint: string): Effect.Effect<boolean> => {
  const address = addressOf(endpoint)
  return address === undefined ? Effect.succeed(false) : Effect.acquireUseRelease(
    Effect.sync(() => {
      const socket = net.connect(address)
      // A missing file says nothing about the process that made it, so only one code counts.
      const refused = new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(isConnectedToItself(socket)))
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"))
      })
      return { socket, refused }
    }),
    ({ refused }) => Effect.promise(() => refused),
    ({ socket }) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.timeoutTo({ duration: patience, onTimeout: () => false, onSuccess: (refused) => refused }))
}

/**
 * Whether the system refuses connections to an endpoint, because no process listens there. A connection, no answer or any other
 * failure is no refusal. Names are not looked up: what counts is the address of the last connection, or, before there was one,
 * each that is known.
 *
 * @internal
 */
export const isRefused = (endpoint: string): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const addresses = Addresses.whereabouts(endpoint)
    return addresses.length === 0
      ? Effect.succeed(false)
      : Effect.map(
        Effect.forEach(addresses, isAddressRefused, { concurrency: "unbounded" }),
        (refusals) => refusals.every((isRefused) => isRefused)
      )
  })

import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as Endpoint from "../wire/Endpoint.ts"
import * as Addresses from "./addresses.ts"

/** How long, in milliseconds, the system may take to answer. Without an answer nothing is known. */
const patienceMillis = 1000

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

const isAddressRefused = (endpoint: string, timeoutMillis: number): Effect.Effect<boolean> => {
  const address = addressOf(endpoint)
  return address === undefined ? Effect.succeed(false) : Effect.async((resume) => {
    const socket = net.connect(address)
    const end = (isRefused: boolean) => {
      socket.destroy()
      resume(Effect.succeed(isRefused))
    }
    // A process that stood still runs its timers first, and reads an answer that has arrived one turn later.
    socket.setTimeout(timeoutMillis, () => setImmediate(end, false))
    socket.once("connect", () => end(isConnectedToItself(socket)))
    // A missing file says nothing about the process that made it, so only one code counts.
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED"))
    return Effect.sync(() => socket.destroy())
  })
}

/**
 * Whether the system refuses connections to an endpoint, because no process listens there. A connection, no answer or any other
 * failure is no refusal. Names are not looked up: what counts is the address of the last connection, or, before there was one,
 * each that is known. `timeoutMillis` is for all of them.
 *
 * @internal
 */
export const isRefused = (endpoint: string, timeoutMillis = patienceMillis): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const addresses = Addresses.whereabouts(endpoint)
    const each = Math.max(1, Math.ceil(timeoutMillis / addresses.length))
    return addresses.length === 0
      ? Effect.succeed(false)
      // One after the other: interrupted, a concurrent `forEach` was seen never to end.
      : Effect.map(
        Effect.forEach(addresses, (address) => isAddressRefused(address, each)),
        (refusals) => refusals.every((isRefused) => isRefused)
      )
  })

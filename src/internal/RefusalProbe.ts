/**
 * Crash evidence: whether the system refuses a connection to an address, because no process listens there.
 *
 * Plain Node: the guardian of a command loads neither Effect nor the binding.
 */
import * as net from "node:net"

/**
 * The address of a port or of an ipc path.
 *
 * @internal
 */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** An endpoint as `wire/Endpoint` parses it. */
type Parts =
  | { readonly protocol: "tcp"; readonly host: string; readonly port: string }
  | { readonly protocol: "ipc" | "inproc"; readonly name: string }

/**
 * The address behind an endpoint. A name in the abstract namespace is not a path, and `inproc` has no address.
 *
 * @internal
 */
export const addressOf = (parts: Parts | undefined): Address | undefined => {
  switch (parts?.protocol) {
    case "tcp":
      return { host: parts.host.replace(/^\[|\]$/g, ""), port: Number(parts.port) }
    case "ipc":
      return parts.name.startsWith("@") ? undefined : { path: parts.name }
    default:
      return undefined
  }
}

/** By family. A bound socket shares its port, so that a connection to itself does not keep it from the server that it belongs to. */
const localAddresses: { readonly [family: number]: string } = { 4: "0.0.0.0", 6: "::" }

/**
 * Whether a connection is one to itself: the system may give it the very port to which it connects, if no process listens there.
 * Connections to a path have no ports.
 *
 * @internal
 */
export const isConnectedToItself = (
  { localAddress, localPort, remoteAddress, remotePort }: Pick<
    net.Socket,
    "localAddress" | "localPort" | "remoteAddress" | "remotePort"
  >
): boolean => localPort !== undefined && localPort === remotePort && localAddress === remoteAddress

/** Only one code counts: a missing file, for example, proves nothing about the process that made it. */
const isRefusal = (error: NodeJS.ErrnoException): boolean =>
  error instanceof AggregateError ? error.errors.every(isRefusal) : error.code === "ECONNREFUSED"

/**
 * Tries to connect to an address and reports once whether the system refuses it. A connection, any other failure, and no answer
 * within `timeoutMillis` are no refusal. Returns a function that ends the probe without a report.
 *
 * @internal
 */
export const probe = (address: Address, timeoutMillis: number, report: (isRefused: boolean) => void): () => void => {
  const localAddress = "host" in address ? localAddresses[net.isIP(address.host)] : undefined
  const socket = net.connect({ ...address, ...(localAddress === undefined ? {} : { localAddress }) })
  let isOver = false
  const end = () => {
    isOver = true
    socket.destroy()
  }
  const settle = (isRefused: boolean) => {
    if (!isOver) {
      end()
      report(isRefused)
    }
  }
  // After a stall timers run first; an answer that has arrived is read one turn of the event loop later.
  socket.setTimeout(timeoutMillis, () => setImmediate(settle, false))
  socket.once("connect", () => settle(isConnectedToItself(socket)))
  socket.on("error", (error) => settle(isRefusal(error)))
  return end
}

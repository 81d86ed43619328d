import * as fs from "node:fs"
import { networkInterfaces } from "node:os"
import * as Endpoint from "../wire/Endpoint.ts"

/** The ports that the system gives to connections; by default those of Linux. */
const [firstPort = 32_768, lastPort = 60_999] = (() => {
  try {
    return fs.readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/).map(Number)
  } catch {
    return []
  }
})()

const isOwn = (host: string): boolean =>
  host === "::1" || host.startsWith("127.") ||
  Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host))

/**
 * The address with which libzmq connects to a port of this host that the system also gives to connections. While no process listens
 * there, a connection may get that very port: it is connected to itself, and the system then keeps the port for a minute from all
 * sockets but those that share it. With a source address libzmq shares it (SO_REUSEADDR), so that the server to which it belongs can
 * bind it. Other addresses have no source: with one, libzmq reads all interfaces at each attempt, and aborts the process if no file
 * can be opened.
 *
 * @internal
 */
export const withSource = (address: string): string => {
  const parts = Endpoint.parse(address)
  if (parts?.protocol !== "tcp") {
    return address
  }
  const port = Number(parts.port)
  return port >= firstPort && port <= lastPort && isOwn(parts.host.replace(/^\[|\]$/g, ""))
    ? `tcp://${parts.host.startsWith("[") ? "[::]" : "0.0.0.0"}:0;${parts.host}:${parts.port}`
    : address
}

/**
 * The same address as libzmq reports it, with or without its source.
 *
 * @internal
 */
export const withoutSource = (address: string): string => address.replace(/^tcp:\/\/.*;/, "tcp://")

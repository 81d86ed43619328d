import { networkInterfaces } from "node:os"
import * as Endpoint from "../Endpoint.ts"

const isOwn = (host: string): boolean =>
  host === "::1" || host.startsWith("127.") ||
  Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host))

/**
 * The address with which libzmq connects to this host. A port that the system also gives to connections may be connected to
 * itself, which keeps it for a minute after it is closed from all but sockets that share it. With a source address libzmq
 * lets it be shared (SO_REUSEADDR), so that the server to which it belongs can bind it.
 *
 * @internal
 */
export const withSource = (address: string): string => {
  const parts = Endpoint.parse(address)
  if (parts?.protocol !== "tcp" || !isOwn(parts.host.replace(/^\[|\]$/g, ""))) {
    return address
  }
  return `tcp://${parts.host.startsWith("[") ? "[::]" : "0.0.0.0"}:0;${parts.host}:${parts.port}`
}

/**
 * The same address as libzmq reports it, with or without its source.
 *
 * @internal
 */
export const withoutSource = (address: string): string => address.replace(/^tcp:\/\/.*;/, "tcp://")

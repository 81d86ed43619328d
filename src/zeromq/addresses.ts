/** Addresses of the hosts of endpoints, as numeric endpoints. They outlive the sockets that connect to them. */
import { isIP } from "node:net"
import * as os from "node:os"
import * as Names from "../internal/Names.ts"
import * as Endpoint from "../wire/Endpoint.ts"

interface Addresses {
  readonly host: string
  readonly port: string
  known: ReadonlyArray<string>
  /** Index of the address that is in use, or next. */
  current: number
  /** The address of the last connection whose handshake was done. */
  proven: string | undefined
  /** Whether the address in use was tried and has not led to a connection. */
  isUnproven: boolean
}

const all = new Map<string, Addresses>()

const make = (endpoint: string): Addresses => {
  const parts = Endpoint.parse(endpoint)
  const isName = parts?.protocol === "tcp" && isIP(parts.host.replace(/^\[|\]$/g, "")) === 0
  const [host, port, known] = isName ? [parts.host, parts.port, []] : ["", "", [endpoint]]
  return { host, port, known, current: 0, proven: undefined, isUnproven: false }
}

const of = (endpoint: string): Addresses => {
  const addresses = all.get(endpoint) ?? make(endpoint)
  if (addresses.host !== "") {
    all.set(endpoint, addresses)
  }
  return addresses
}

/** Whether the host of an endpoint has to be looked up. */
export const isName = (endpoint: string): boolean => of(endpoint).host !== ""

export const known = (endpoint: string): ReadonlyArray<string> => of(endpoint).known

/** The address to connect to. `undefined` while none is known. */
export const current = (endpoint: string): string | undefined => {
  const { current, known } = of(endpoint)
  return known[current]
}

/** Makes the address after this one the next to use. Whether that is another one. Several sockets may share an endpoint. */
export const skip = (endpoint: string, address: string | undefined): boolean => {
  const addresses = of(endpoint)
  addresses.current = (addresses.known.indexOf(address ?? "") + 1) % Math.max(1, addresses.known.length)
  return addresses.known.length > 1
}

/** The addresses of the peer: the one that was connected last, or else each known one. */
export const peerAddresses = (endpoint: string): ReadonlyArray<string> => {
  const { known, proven } = of(endpoint)
  return proven !== undefined && known.includes(proven) ? [proven] : known
}

/** Notes that the current address is being connected. */
export const attempt = (endpoint: string): void => {
  of(endpoint).isUnproven = true
}

/** Begins with another address than one that an earlier socket tried without success. */
export const begin = (endpoint: string): void => {
  if (of(endpoint).isUnproven) {
    skip(endpoint, current(endpoint))
  }
}

/** Notes that the handshake of a connection to an address is done. */
export const prove = (endpoint: string, address: string | undefined): void => {
  Object.assign(of(endpoint), { proven: address, isUnproven: false })
}

const numeric = (address: string, port: string): string =>
  `tcp://${address.includes(":") ? `[${address}]` : address}:${port}`

/** The endpoint to bind: a name that is not one of an interface is looked up. */
export const toBind = async (endpoint: string): Promise<string> => {
  const { host, port } = of(endpoint)
  if (host === "" || host === "*" || host in os.networkInterfaces()) {
    return endpoint
  }
  const [address] = await Names.addressesOf(host)
  return address === undefined ? endpoint : numeric(address, port)
}

/** Looks up the host again. If that fails, known addresses stay in use. */
export const lookUp = async (endpoint: string): Promise<void> => {
  const addresses = of(endpoint)
  const before = current(endpoint)
  const found = await Names.addressesOf(addresses.host)
  addresses.known = found.map((address) => numeric(address, addresses.port))
  addresses.current = Math.max(0, addresses.known.indexOf(before ?? ""))
}

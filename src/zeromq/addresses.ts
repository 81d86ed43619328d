/** Which addresses the endpoints that are connected to have, as numeric endpoints. They outlive the sockets that use them. */
import { isIP } from "node:net"
import * as os from "node:os"
import * as Names from "../internal/Names.ts"
import * as Endpoint from "../wire/Endpoint.ts"

interface Addresses {
  readonly host: string
  readonly port: string
  known: ReadonlyArray<string>
  /** The address that is in use, or next. */
  current: number
  /** The address of the last connection whose handshake was done. */
  proven: string | undefined
  /** Whether the address in use has not led to a connection yet. */
  isInVain: boolean
}

const all = new Map<string, Addresses>()

const make = (endpoint: string): Addresses => {
  const parts = Endpoint.parse(endpoint)
  const isName = parts?.protocol === "tcp" && isIP(parts.host.replace(/^\[|\]$/g, "")) === 0
  return isName
    ? { host: parts.host, port: parts.port, known: [], current: 0, proven: undefined, isInVain: false }
    : { host: "", port: "", known: [endpoint], current: 0, proven: undefined, isInVain: false }
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

/** The addresses that are known. */
export const known = (endpoint: string): ReadonlyArray<string> => of(endpoint).known

/** The address to connect to. `undefined` while none is known. */
export const current = (endpoint: string): string | undefined => {
  const { current, known } = of(endpoint)
  return known[current]
}

/** Has the address behind this one used next; tells whether that is another one. Several sockets may have it used. */
export const skip = (endpoint: string, address: string | undefined): boolean => {
  const addresses = of(endpoint)
  addresses.current = (addresses.known.indexOf(address ?? "") + 1) % Math.max(1, addresses.known.length)
  return addresses.known.length > 1
}

/** Where the peer is: the address that was connected last, or else each that is known. */
export const whereabouts = (endpoint: string): ReadonlyArray<string> => {
  const { known, proven } = of(endpoint)
  return proven !== undefined && known.includes(proven) ? [proven] : known
}

/** The current address is being connected. */
export const attempt = (endpoint: string): void => {
  of(endpoint).isInVain = true
}

/** Begins with another address than that which an earlier socket has used without success. */
export const begin = (endpoint: string): void => {
  if (of(endpoint).isInVain) {
    skip(endpoint, current(endpoint))
  }
}

/** The handshake of a connection to an address is done. */
export const prove = (endpoint: string, address: string | undefined): void => {
  Object.assign(of(endpoint), { proven: address, isInVain: false })
}

const numeric = (address: string, port: string): string =>
  `tcp://${address.includes(":") ? `[${address}]` : address}:${port}`

/** What to bind for an endpoint: a name that is not that of an interface is looked up. */
export const toBind = async (endpoint: string): Promise<string> => {
  const { host, port } = of(endpoint)
  if (host === "" || host === "*" || host in os.networkInterfaces()) {
    return endpoint
  }
  const [address] = await Names.addressesOf(host)
  return address === undefined ? endpoint : numeric(address, port)
}

/** Looks the host up again. What is known stays in use where that fails. */
export const lookUp = async (endpoint: string): Promise<void> => {
  const addresses = of(endpoint)
  const before = current(endpoint)
  const found = await Names.addressesOf(addresses.host)
  addresses.known = found.map((address) =>
    `tcp://${address.includes(":") ? `[${address}]` : address}:${addresses.port}`
  )
  addresses.current = Math.max(0, addresses.known.indexOf(before ?? ""))
}

/**
 * Host names that a status server accepts. A page whose name leads here after a change of its DNS record (DNS rebinding)
 * sends its own name, and is rejected.
 */
import { isIP } from "node:net"
import { hostname } from "node:os"

/** The host of a `Host` header, without its port. */
const nameIn = (header: string): string => {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]*))(?::[0-9]*)?$/.exec(header) ?? []
  return canonical(bracketed ?? plain ?? "")
}

const canonical = (name: string): string => name.toLowerCase().replace(/\.$/, "")

/** Names of this machine in every network (RFC 6761). */
const loopback = /^(?:[^.]+\.)*localhost$/

/** Number of header fields `Host`: Node keeps the first and hides the others, which a proxy in between may have used. */
export const countIn = (rawHeaders: ReadonlyArray<string>): number =>
  rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length

/** The error for a name that is not accepted. */
export const explain = (header: string | undefined): string =>
  header === undefined || header === ""
    ? "the request names no host: use a client that sends the Host header"
    : `${JSON.stringify(header.slice(0, 255))} is not a name of this server: use its IP address, or start it with ` +
      "--http-host and this name"

const urlIn = (text: string): URL | undefined => URL.canParse(text) ? new URL(text) : undefined

/**
 * Whether an `Origin` header is that of this server's own page. Browsers send the header with every command of a page. The
 * scheme may differ: a proxy that keeps the `Host` header may have ended TLS.
 */
export const isOwnOrigin = (origin: string, host = ""): boolean => {
  const page = urlIn(origin)
  return page !== undefined && /^https?:$/.test(page.protocol) && urlIn(`${page.protocol}//${host}`)?.host === page.host
}

/** Accepts IP literals, `localhost` and names that end with it, the machine's own name, the address listened on and the configured names. */
export const make = (listening: string, configured: ReadonlyArray<string>) => {
  const names = new Set([hostname(), listening, ...configured].map(canonical))
  return (header: string | undefined): boolean => {
    const name = nameIn(header ?? "")
    return name !== "" && (isIP(name) !== 0 || loopback.test(name) || names.has(name))
  }
}

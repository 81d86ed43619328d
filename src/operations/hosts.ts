/**
 * Host names under which a status server may be asked. A page whose name leads here after a change of its DNS record
 * (DNS rebinding) sends its own name, and is refused.
 */
import { isIP } from "node:net"
import { hostname } from "node:os"

/** The host of a `Host` header, without its port. */
const nameIn = (header: string): string => {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]*))(?::[0-9]*)?$/.exec(header) ?? []
  return canonical(bracketed ?? plain ?? "")
}

const canonical = (name: string): string => name.toLowerCase().replace(/\.$/, "")

/** Accepts IP literals, `localhost`, the machine's own name, the address listened on and the configured names. */
export const make = (listening: string, configured: ReadonlyArray<string>) => {
  const names = new Set(["localhost", hostname(), listening, ...configured].map(canonical))
  return (header: string | undefined): boolean => {
    const name = nameIn(header ?? "")
    return name !== "" && (isIP(name) !== 0 || names.has(name))
  }
}

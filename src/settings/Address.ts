/** Addresses where an HTTP server listens, and where one is reached. */
import * as Schema from "effect/Schema"
import * as Endpoint from "../wire/Endpoint.ts"

/** `HOST:PORT`, `*:PORT` or `PORT`. */
const pattern = /^(?:(\[[0-9a-fA-F:.%]+\]|[^\s:/[\]@?#]*):)?([0-9]{1,5})$/

const parse = (address: string) => {
  const [, host = "", port] = pattern.exec(address) ?? []
  if (port === undefined || Number(port) > 65535) {
    return undefined
  }
  return {
    host: host === "" ? "127.0.0.1" : host === "*" ? "0.0.0.0" : host.replace(/^\[|\]$/g, ""),
    port: Number(port)
  }
}

/** Where to listen, which is this machine alone where no host is given. */
export const ListenAddress = Schema.transform(
  Schema.String.pipe(Schema.filter((address) => parse(address) !== undefined, {
    message: ({ actual }) => `expected an address to listen on such as "127.0.0.1:5011", got ${JSON.stringify(actual)}`
  })),
  Schema.Struct({ host: Schema.String, port: Schema.Number }),
  {
    strict: true,
    decode: (address) => parse(address)!,
    encode: ({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`
  }
)

/** A host name as it stands in a `Host` header, without a port. */
export const HostName = Schema.String.pipe(Schema.pattern(/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_.])?$/, {
  message: ({ actual }) => `expected a host name such as "primary.example", got ${JSON.stringify(actual)}`
}))

/** The URL of a status server: of a URL without a query and credentials, `HOST:PORT`, or `PORT`. `undefined` for anything else. */
export const statusUrl = (address: string): string | undefined => {
  const hostAndPort = /^(?:(\[[0-9a-fA-F:.%]+\]|[^\s:/[\]@?#]+):|:?)([0-9]{1,5})$/.exec(address)
  const text = hostAndPort === null ? address : `http://${hostAndPort[1] ?? "127.0.0.1"}:${hostAndPort[2]}`
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) {
    return undefined
  }
  const { hash, href, password, search, username } = new URL(text)
  return hash + search + username + password === "" ? href.replace(/\/+$/, "") : undefined
}

/** Whether the URL or address of a status server leads to one that listens at an address of this machine, as far as the texts show. */
export const isSameServer = (url: string, listen: string): boolean => {
  const [status, own] = [statusUrl(url), parse(listen)]
  if (status === undefined || own === undefined) {
    return false
  }
  const { hostname, port, protocol } = new URL(status)
  const host = own.host.includes(":") ? `[${own.host}]` : own.host
  return protocol === "http:" && Endpoint.isSame(`tcp://${hostname}:${port || 80}`, `tcp://${host}:${own.port}`)
}

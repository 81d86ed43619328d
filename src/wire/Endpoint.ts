/**
 * ZeroMQ endpoints.
 *
 * libzmq takes a port modulo 65536 and reports no error for a destination that cannot exist, so endpoints are checked here.
 */
import * as Schema from "effect/Schema"

/**
 * The parts of an endpoint: `tcp://host:port`, `ipc://path` or `inproc://name`.
 *
 * @category models
 */
export type Parts =
  | { readonly protocol: "tcp"; readonly host: string; readonly port: string }
  | { readonly protocol: "ipc" | "inproc"; readonly name: string }

/**
 * Parses an endpoint. `undefined` if it is malformed.
 *
 * @category combinators
 */
export const parse = (endpoint: string): Parts | undefined => {
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.%]+\]|[^\s:/[\]]+):([0-9]{1,5}|\*)$/.exec(endpoint)
  if (tcp !== null) {
    return { protocol: "tcp", host: tcp[1]!, port: tcp[2]! }
  }
  const other = /^(ipc|inproc):\/\/(\S+)$/.exec(endpoint)
  return other === null ? undefined : { protocol: other[1] as "ipc" | "inproc", name: other[2]! }
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "[::1]" || /^127\./.test(host)

const isEvery = (host: string): boolean => ["*", "0.0.0.0", "[::]"].includes(host)

/** Whether two hosts are one by their names alone; `localhost` may be any address of this machine. */
const isSameHost = (a: string, b: string): boolean =>
  a === b || a === "localhost" && isLoopback(b) || b === "localhost" && isLoopback(a)

/**
 * Whether an endpoint leads to one that is bound on this machine, or cannot be bound beside it, as far as the two texts show.
 *
 * @category guards
 */
export const isSame = (endpoint: string, bound: string): boolean => {
  const [a, b] = [parse(endpoint), parse(bound)]
  if (a === undefined || b === undefined) {
    return false
  }
  if (a.protocol !== "tcp" || b.protocol !== "tcp") {
    return a.protocol !== "tcp" && b.protocol !== "tcp" && a.protocol === b.protocol && a.name === b.name
  }
  const { host, port } = a
  return port !== "*" && Number(port) > 0 && Number(port) === Number(b.port) &&
    (isSameHost(host, b.host) || isEvery(host) || isEvery(b.host) && isLoopback(host))
}

const isPort = (port: string): boolean => Number(port) >= 1 && Number(port) <= 65535

/**
 * Whether an endpoint can be bound.
 *
 * @category guards
 */
export const isBindable = (endpoint: string): boolean => {
  const parts = parse(endpoint)
  return parts !== undefined && (parts.protocol !== "tcp" || parts.port === "*" || isPort(parts.port))
}

/**
 * Whether an endpoint can be connected to.
 *
 * @category guards
 */
export const isConnectable = (endpoint: string): boolean => {
  const parts = parse(endpoint)
  return parts !== undefined && (parts.protocol !== "tcp" || (parts.host !== "*" && isPort(parts.port)))
}

/**
 * An endpoint to bind: `tcp://*:5001` (every interface, of IPv4 and IPv6), `tcp://127.0.0.1:*` (any free port), `tcp://eth0:5001`,
 * `ipc:///run/bstar`, `inproc://name`. Ports are 1 to 65535.
 *
 * @category schemas
 */
export const Bindable = /* @__PURE__ */ Schema.String.pipe(
  /* @__PURE__ */ Schema.filter(isBindable, {
    identifier: "Bindable",
    message: ({ actual }) => `expected an endpoint to bind such as "tcp://*:5001", got ${JSON.stringify(actual)}`
  })
)

/**
 * An endpoint to connect to: `tcp://10.0.0.2:5001`, `tcp://[fd00::2]:5001`, `ipc:///run/bstar`, `inproc://name`. Ports are 1 to
 * 65535. The addresses of a host name are tried one after the other.
 *
 * @category schemas
 */
export const Connectable = /* @__PURE__ */ Schema.String.pipe(
  /* @__PURE__ */ Schema.filter(isConnectable, {
    identifier: "Connectable",
    message: ({ actual }) =>
      `expected an endpoint to connect to such as "tcp://localhost:5001", got ${JSON.stringify(actual)}`
  })
)

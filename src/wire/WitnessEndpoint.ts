/** URLs of witnesses: the engine, and the name of the pair there. */

/**
 * An etcd cluster, whose endpoints are tried in order: `etcd://[USER@]HOST:PORT[,HOST:PORT]/NAME`; with TLS `etcds://`.
 *
 * @category models
 */
export interface Etcd {
  readonly engine: "etcd"
  /** Each as `HOST:PORT`. */
  readonly servers: ReadonlyArray<string>
  readonly isSecure: boolean
  readonly user: string | undefined
  /** The name of the pair. */
  readonly name: string
}

/**
 * How a connection to PostgreSQL is secured, as in libpq: not at all; by TLS; by TLS with a certificate that a known authority has
 * signed; and that is also that of the host.
 *
 * @category models
 */
export type SslMode = "disable" | "require" | "verify-ca" | "verify-full"

/**
 * A PostgreSQL database: `postgres://USER@HOST[:PORT]/DB?pair=NAME[&sslmode=MODE]`.
 *
 * @category models
 */
export interface Postgres {
  readonly engine: "postgres"
  /** Without the brackets of an IPv6 address. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** Without one it depends on whether there is a certificate of an authority. */
  readonly sslMode: SslMode | undefined
  /** The name of the pair. */
  readonly name: string
}

/**
 * Where a witness is.
 *
 * @category models
 */
export type WitnessEndpoint = Etcd | Postgres

/**
 * The URL cannot be used. The problem never contains a password.
 *
 * @category models
 */
export interface Invalid {
  readonly problem: string
}

/**
 * Examples of URLs, as they follow "expected".
 *
 * @category models
 */
export const expected =
  `a witness such as "etcd://10.0.0.3:2379/orders" or "postgres://bstar@10.0.0.3/bstar?pair=orders"`

const sslModes: ReadonlyArray<SslMode> = ["disable", "require", "verify-ca", "verify-full"]

/**
 * Whether a text can be the name of a pair at a witness: 1 to 100 letters, digits, `.`, `_`, `-`, and `/` between them.
 *
 * @category guards
 */
export const isName = (name: string): boolean => name.length <= 100 && /^[\w.-]+(?:\/[\w.-]+)*$/.test(name)

const invalidName = (name: string): Invalid => ({
  problem: `the pair's name has 1 to 100 letters, digits, ".", "_", "-" and "/", got ${JSON.stringify(name)}`
})

const hostPattern = String.raw`\[[0-9a-fA-F:.%]+\]|[^\s:/?#@,[\]]+`

const isPort = (port: string): boolean => Number(port) >= 1 && Number(port) <= 65535

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const parseEtcd = (isSecure: boolean, user: string | undefined, rest: string): Etcd | Invalid => {
  const [, authority = "", name = ""] = /^([^/]*)(?:\/(.*))?$/.exec(rest) ?? []
  const servers = authority.split(",")
  const wrong = servers.find((server) => {
    const [, port = ""] = new RegExp(`^(?:${hostPattern}):([0-9]{1,5})$`).exec(server) ?? []
    return !isPort(port)
  })
  if (wrong !== undefined) {
    return {
      problem: `expected HOST:PORT[,HOST:PORT] after etcd${isSecure ? "s" : ""}://, got ${JSON.stringify(wrong)}`
    }
  }
  return isName(name) ? { engine: "etcd", servers, isSecure, user, name } : invalidName(name)
}

const parsePostgres = (user: string | undefined, rest: string): Postgres | Invalid => {
  const [, host, port = "5432", path, query = ""] =
    new RegExp(String.raw`^(${hostPattern})(?::([0-9]{1,5}))?/([^/?#]+)(?:\?([^#]*))?$`).exec(rest) ?? []
  const database = decoded(path ?? "")
  if (host === undefined || !isPort(port) || database === undefined || user === undefined) {
    return { problem: "expected postgres://USER@HOST[:PORT]/DB?pair=NAME" }
  }
  const { pair: name, sslmode, ...others } = Object.fromEntries(new URLSearchParams(query))
  const [other] = Object.keys(others)
  if (other !== undefined) {
    return {
      problem: other.toLowerCase() === "password"
        ? passwordProblem
        : `expected no parameter but pair and sslmode, got ${JSON.stringify(other)}`
    }
  }
  const sslMode = sslModes.find((mode) => mode === sslmode)
  if (sslmode !== undefined && sslMode === undefined) {
    return { problem: `expected sslmode=${sslModes.join("|")}, got ${JSON.stringify(sslmode)}` }
  }
  return name !== undefined && isName(name)
    ? {
      engine: "postgres",
      host: host.replaceAll(/[[\]]/g, ""),
      port: Number(port),
      database,
      user,
      sslMode,
      name
    }
    : invalidName(name ?? "")
}

const passwordProblem =
  "a password does not belong into the URL, which other users of this machine can see: give it in BSTAR_WITNESS_PASSWORD, or " +
  "in a file by --witness-password-file"

/**
 * Parses the URL of a witness.
 *
 * @category combinators
 */
export const parse = (url: string): WitnessEndpoint | Invalid => {
  const [, scheme, rest = ""] = /^(etcds?|postgres):\/\/(.*)$/s.exec(url) ?? []
  if (scheme === undefined) {
    return { problem: `expected ${expected}${url.includes("@") ? "" : `, got ${JSON.stringify(url)}`}` }
  }
  // The last "@" ends the user, so that no part of a password is taken for a host, and printed.
  const [, given, address = ""] = /^(?:(.*)@)?(.*)$/s.exec(rest) ?? []
  if (given?.includes(":") === true) {
    return { problem: passwordProblem }
  }
  const user = given === undefined ? undefined : decoded(given)
  if (given !== undefined && (user === undefined || user === "" || /[/?#\s]/.test(given))) {
    return { problem: `expected a user before "@"` }
  }
  return scheme === "postgres" ? parsePostgres(user, address) : parseEtcd(scheme === "etcds", user, address)
}

/**
 * Whether a URL could not be parsed.
 *
 * @category guards
 */
export const isInvalid = (parsed: WitnessEndpoint | Invalid): parsed is Invalid => "problem" in parsed

/**
 * The engine and the pair's name there, for people: a URL without the user.
 *
 * @category combinators
 */
export const format = (endpoint: WitnessEndpoint): string => {
  if (endpoint.engine === "etcd") {
    return `etcd${endpoint.isSecure ? "s" : ""}://${endpoint.servers.join(",")}/${endpoint.name}`
  }
  const { database, host, name, port } = endpoint
  return `postgres://${host.includes(":") ? `[${host}]` : host}:${port}/${encodeURIComponent(database)}?pair=${name}`
}

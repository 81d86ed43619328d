/**
 * Look-up of host addresses.
 *
 * The look-up of the system (getaddrinfo) cannot be interrupted. While a name server is silent it blocks threads of libuv's pool,
 * which files and `bind` need, and the process cannot end. Names are therefore looked up without it if possible.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as dns from "node:dns"
import * as fs from "node:fs/promises"
import type * as net from "node:net"
import { isIP } from "node:net"
import * as process from "node:process"

const hostsFile = process.platform === "win32"
  ? `${process.env["SystemRoot"]}\\System32\\drivers\\etc\\hosts`
  : "/etc/hosts"

/** Timeouts of a look-up: of one name server, of all, and of the other address family once one has an address. */
const timeouts = { serverMillis: 1000, all: "4 seconds", family: "200 millis" } as const

/** Names of this machine, independent of name servers (RFC 6761). */
const isLocal = (name: string): boolean => name === "localhost" || name.endsWith(".localhost")

const loopback = ["127.0.0.1", "::1"]

const fromFile = async (name: string): Promise<ReadonlyArray<string>> => {
  const text = await fs.readFile(hostsFile, "utf8").catch(() => "")
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().toLowerCase().split(/\s+/)
    return isIP(address) !== 0 && names.includes(name) ? [address] : []
  })
}

/** No address of a host was found. `code` is that of `dns`. */
export class UnknownHost extends Data.TaggedError("UnknownHost")<{ readonly code: string; readonly message: string }> {}

/** Whether the name is unknown to the name server, or there is no name server; not a timeout. */
const isDefinite = ({ code }: UnknownHost): boolean => ["ENODATA", "ENOTFOUND", "ECONNREFUSED"].includes(code)

const attempt = <A>(lookUp: () => Promise<A>) =>
  Effect.tryPromise({
    try: lookUp,
    catch: (error) => {
      const { code = "", message } = error as NodeJS.ErrnoException
      return new UnknownHost({ code, message })
    }
  })

const fromServer = (name: string): Effect.Effect<ReadonlyArray<string>, UnknownHost> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new dns.promises.Resolver({ timeout: timeouts.serverMillis, tries: 2 })),
    (resolver) =>
      Effect.gen(function*() {
        const addresses: Array<string> = []
        const errors: Array<UnknownHost> = []
        const isFound = yield* Effect.makeLatch(false)
        const query = (lookUp: () => Promise<ReadonlyArray<string>>) =>
          Effect.matchEffect(attempt(lookUp), {
            onFailure: (error) => Effect.sync(() => errors.push(error)),
            onSuccess: (found) => {
              addresses.push(...found)
              return isFound.open
            }
          })
        yield* Effect.all([query(() => resolver.resolve4(name)), query(() => resolver.resolve6(name))], {
          concurrency: "unbounded"
        }).pipe(
          Effect.raceFirst(Effect.zipRight(isFound.await, Effect.sleep(timeouts.family))),
          Effect.timeoutOption(timeouts.all)
        )
        if (addresses.length > 0) {
          return addresses
        }
        if (errors.length === 2 && errors.every(isDefinite)) {
          // The system has more sources, and search domains. Its name server is not silent.
          const found = yield* attempt(() => dns.promises.lookup(name, { all: true, verbatim: true }))
          return found.map(({ address }) => address)
        }
        return yield* errors.find((error) => !isDefinite(error)) ??
          new UnknownHost({ code: "ETIMEOUT", message: "no answer from a name server" })
      }),
    (resolver) => Effect.sync(() => resolver.cancel())
  )

const find = (name: string): Effect.Effect<ReadonlyArray<string>, UnknownHost> =>
  Effect.gen(function*() {
    const found = yield* Effect.promise(() => fromFile(name))
    const addresses = isLocal(name) ? [...found, ...loopback] : found.length > 0 ? found : yield* fromServer(name)
    return [...new Set([...addresses].sort((a, b) => isIP(a) - isIP(b)))]
  })

const pending = new Map<string, Promise<ReadonlyArray<string>>>()

/** Addresses of a host, IPv4 first. A name has one look-up at a time, which ends within seconds. */
export const addressesOf = (host: string): Promise<ReadonlyArray<string>> => {
  const name = host.toLowerCase()
  const lookUp = pending.get(name) ??
    Effect.runPromise(Effect.either(find(name))).then(Either.getOrThrowWith((error) => error))
      .finally(() => pending.delete(name))
  pending.set(name, lookUp)
  return lookUp
}

/** {@link addressesOf} as a look-up function for `net` and `http`. */
export const lookup: net.LookupFunction = (host, { all, family }, callback) => {
  const wanted = family === 4 || family === "IPv4" ? 4 : family === 6 || family === "IPv6" ? 6 : 0
  addressesOf(host).then(
    (addresses) => {
      const found = addresses.map((address) => ({ address, family: isIP(address) }))
        .filter((found) => wanted === 0 || found.family === wanted)
      const [first] = found
      if (first === undefined) {
        callback(new UnknownHost({ code: "ENOTFOUND", message: `no address of ${host}` }), "")
      } else if (all === true) {
        callback(null, found)
      } else {
        callback(null, first.address, first.family)
      }
    },
    (error: UnknownHost) => callback(error, "")
  )
}

/**
 * What can be configured by a file and by the environment as well as by options: the names, what is right for each, and
 * what holds where nothing is said. The parser of options is not asked, since it stops at the first thing that is wrong.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as BinaryStarClient from "../client/BinaryStarClient.ts"
import * as LazyPirate from "../client/LazyPirate.ts"
import * as Hooks from "../command/Hooks.ts"
import { HostName, ListenAddress } from "../http/Address.ts"
import { policyNames } from "../protocol/Policies.ts"
import * as Proxy from "../proxy/Proxy.ts"
import { BinaryStarConfig, defaults } from "../settings/BinaryStarConfig.ts"
import { DurationInput } from "../settings/Validation.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import { backends, runDefaults } from "./options.ts"

/** Something that can be configured. */
export interface Setting {
  /** Its name in the environment. */
  readonly variable: string
  /** What is wrong with a value of a file, if anything is. */
  readonly complaint: (value: unknown) => string | undefined
  /** What was typed, or stands in the environment, as it would stand in a file. */
  readonly fromText: (text: string) => unknown
  /** What holds where nothing is said, for people. */
  readonly fallback: string | { readonly primary: string; readonly backup: string }
}

export type Settings = { readonly [name: string]: Setting }

const variableOf = (name: string): string => `BSTAR_${name.toUpperCase().replaceAll("-", "_")}`

const asIs = (text: string): unknown => text

const shown = (value: unknown): string => JSON.stringify(value) ?? String(value)

const text = (name: string, example: string, fallback: Setting["fallback"] = "none"): Setting => ({
  variable: variableOf(name),
  complaint: (value) =>
    typeof value === "string" && value !== "" ? undefined : `expected text such as "${example}", got ${shown(value)}`,
  fromText: asIs,
  fallback
})

/** Text that something else has to agree with, too. */
const that = (setting: Setting, complaint: (value: string) => string | undefined): Setting => ({
  ...setting,
  complaint: (value) => setting.complaint(value) ?? complaint(value as string)
})

const decoded = <A, I>(setting: Setting, schema: Schema.Schema<A, I>): Setting => {
  const decode = Schema.decodeUnknownEither(schema)
  return that(setting, (value) =>
    Either.match(decode(value), {
      onLeft: (error) => ParseResult.ArrayFormatter.formatErrorSync(error)[0]!.message,
      onRight: () => undefined
    }))
}

const word = (name: string, words: ReadonlyArray<string>, fallback: string): Setting => ({
  ...text(name, words[0]!, fallback),
  complaint: (value) =>
    words.includes(value as string)
      ? undefined
      : `expected ${words.map((word) => `"${word}"`).join(" or ")}, got ${shown(value)}`
})

const whole = (name: string, maximum: number, fallback: string): Setting => ({
  variable: variableOf(name),
  complaint: (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= maximum
      ? undefined
      : `expected a whole number from 1 to ${maximum}, got ${shown(value)}`,
  fromText: (text) => /^[0-9]{1,15}$/.test(text) ? Number(text) : text,
  fallback
})

const { fields } = BinaryStarConfig
const { backup, primary } = defaults

const endpoint = (name: string, field: "frontend" | "stateEndpoint" | "peerEndpoint") =>
  decoded(text(name, primary[field], { primary: primary[field], backup: backup[field] }), fields[field])

const duration = <A, I>(name: string, schema: Schema.Schema<A, I>, fallback: string) =>
  decoded(text(name, "250 millis", fallback), schema)

const upToADay = (minimum: 0 | "1 millis") => DurationInput({ minimum, maximum: "1 day" })

/** An address to listen on: a port alone, which may be a number, is one of this machine. */
const address = (name: string): Setting => {
  const setting = decoded(text(name, "127.0.0.1:5011"), ListenAddress)
  return { ...setting, complaint: (value) => setting.complaint(typeof value === "number" ? String(value) : value) }
}

/** A whole number within the bounds of a field. */
const limit = (
  name: string,
  field: "maxMessageSize" | "maxFrames" | "queue" | "maxMemory"
): Setting => {
  const decode = Schema.decodeUnknownEither(fields[field])
  return {
    ...whole(name, Number.MAX_SAFE_INTEGER, String(primary[field])),
    complaint: (value) =>
      Either.match(decode(value), {
        onLeft: (error) => ParseResult.ArrayFormatter.formatErrorSync(error)[0]!.message,
        onRight: () => undefined
      })
  }
}

const isUrl = (value: string): boolean => {
  const url = value.includes("://") ? value : `http://${value}`
  return /^https?:/.test(url) && URL.canParse(url)
}

const keys = text("keys", "/etc/bstar/keys")

export const logFormat = word("log-format", ["plain", "json", "pretty"], "plain")

export const role: Setting = word("role", ["primary", "backup"], "none")

const isHostName = Schema.is(HostName)

const httpHosts: Setting = {
  variable: "BSTAR_HTTP_HOSTS",
  complaint: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((name) => isHostName(name))
      ? undefined
      : `expected a list of host names such as ["primary.example"], got ${shown(value)}`,
  fromText: (text) => text.split(","),
  fallback: "none"
}

/** What every server of a pair can be told. */
export const server: Settings = {
  "frontend": endpoint("frontend", "frontend"),
  "state": endpoint("state", "stateEndpoint"),
  "peer": endpoint("peer", "peerEndpoint"),
  "heartbeat": duration("heartbeat", fields.heartbeat, primary.heartbeat),
  "policy": word("policy", policyNames, "classic; with bstar proxy and bstar run hardened"),
  "crash-detection": word("crash-detection", ["policy", "on", "off"], "policy"),
  "lone": word("lone", ["wait", "serve"], backup.lone),
  "drain": duration("drain", fields.drain, primary.drain),
  "max-failovers": whole("max-failovers", 1000, "no limit"),
  "failover-window": duration("failover-window", fields.failoverWindow, primary.failoverWindow),
  keys,
  "clients": word("clients", ["listed", "anyone"], "listed"),
  "max-message-size": limit("max-message-size", "maxMessageSize"),
  "max-frames": limit("max-frames", "maxFrames"),
  "max-connections": whole("max-connections", 1_000_000, "no limit"),
  "queue": limit("queue", "queue"),
  "max-memory": limit("max-memory", "maxMemory"),
  "handshake-timeout": duration("handshake-timeout", fields.handshakeTimeout, primary.handshakeTimeout),
  "ping": duration("ping", fields.ping, primary.ping),
  "keep-alive": duration("keep-alive", fields.keepAlive, primary.keepAlive),
  "on-active": text("on-active", "a command"),
  "on-passive": text("on-passive", "a command"),
  "on-stop": text("on-stop", "a command"),
  "hook-timeout": duration("hook-timeout", upToADay("1 millis"), Hooks.defaults.timeout),
  "http": address("http"),
  "http-host": httpHosts,
  "peer-http": that(
    text("peer-http", "10.0.0.2:5011"),
    (value) => isUrl(value) ? undefined : `expected HOST:PORT or a URL, got ${shown(value)}`
  ),
  "http-token-file": text("http-token-file", "/etc/bstar/token"),
  "log-format": logFormat
}

/** What else `bstar proxy` can be told. */
export const proxy: Settings = {
  "backend": decoded(text("backend", backends.primary, backends), Endpoint.Bindable),
  "concurrency": whole("concurrency", 100_000, String(Proxy.defaults.concurrency)),
  "timeout": duration("timeout", fields.timeout, Proxy.defaults.timeout),
  "max-per-client": whole("max-per-client", 1_000_000, "no limit"),
  "when-busy": word("when-busy", ["answer", "drop"], Proxy.defaults.whenBusy)
}

/** What else `bstar run` can be told. */
export const run: Settings = {
  "grace": duration("grace", upToADay(0), runDefaults.grace),
  "restart": word("restart", ["never", "on-failure", "always"], runDefaults.restart)
}

const servers: Setting = {
  variable: "BSTAR_SERVERS",
  complaint: (value) =>
    Array.isArray(value) && value.length > 0 &&
      value.every((item) => typeof item === "string" && Endpoint.isConnectable(item))
      ? undefined
      : `expected a list of endpoints to connect such as ${shown(BinaryStarClient.defaults.servers)}, got ${
        shown(value)
      }`,
  fromText: (text) => text.split(","),
  fallback: BinaryStarClient.defaults.servers.join(",")
}

/** What `bstar client` can be told. */
export const client: Settings = {
  "server": servers,
  "timeout": duration("timeout", upToADay("1 millis"), BinaryStarClient.defaults.timeout),
  "retry-after": duration("retry-after", upToADay("1 millis"), BinaryStarClient.defaults.retryAfter),
  "reconnect-delay": duration("reconnect-delay", upToADay(0), LazyPirate.defaults.reconnectDelay),
  "interval": duration("interval", upToADay(0), "1 second"),
  keys,
  "count": whole("count", 999_999_999_999_999, "no end"),
  "log-format": logFormat
}

/**
 * What can be said on the command line, in one place. Most can also come from the environment.
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import * as BinaryStarClient from "../client/BinaryStarClient.ts"
import * as LazyPirate from "../client/LazyPirate.ts"
import * as Hooks from "../command/Hooks.ts"
import { policyNames } from "../protocol/Policies.ts"
import * as Proxy from "../proxy/Proxy.ts"
import * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import * as Limits from "../settings/Limits.ts"

const text = (name: string, variable: string, description: string): Options.Options<Option.Option<string>> =>
  Options.text(name).pipe(
    Options.withFallbackConfig(Config.string(variable)),
    Options.optional,
    Options.withDescription(`${description} Environment: ${variable}.`)
  )

/** One of a few words. The library's own `Options.choice` refuses others without naming the option. */
const choice = <Word extends string>(name: string, words: ReadonlyArray<Word>, variable: string, fallback: Word) =>
  Options.text(name).pipe(
    Options.withPseudoName(words.join(" | ")),
    Options.withFallbackConfig(Config.string(variable)),
    Options.withDefault(fallback as string),
    Options.mapEffect((given) => {
      const word = words.find((word) => word === given)
      return word === undefined
        ? refuse(`--${name} (${variable}): expected ${words.join(" or ")}, got "${given}"`)
        : Effect.succeed(word)
    })
  )

const refuse = (message: string) => Effect.fail(ValidationError.invalidValue(HelpDoc.p(message)))

const whole = (name: string, variable: string, what: string, description: string) =>
  text(name, variable, description).pipe(
    Options.mapEffect(Option.match({
      onNone: () => Effect.succeedNone,
      onSome: (given) =>
        /^[1-9][0-9]{0,14}$/.test(given)
          ? Effect.succeedSome(Number(given))
          : refuse(`--${name} (${variable}): expected a number of ${what}, got "${given}"`)
    }))
  )

const { backup, primary } = BinaryStarConfig.defaults

/** Those of `ActiveCommand`, which is loaded when it runs. A test holds them against it. */
export const runDefaults = { grace: "10 seconds", restart: "never" } as const

export const logFormat = choice("log-format", ["plain", "json", "pretty"], "BSTAR_LOG_FORMAT", "plain").pipe(
  Options.withDescription("How lines are written; plain, the default, is the Guide's. Environment: BSTAR_LOG_FORMAT.")
)

/** The file is read before the command line is parsed; see `configFile.ts`. */
const config = text(
  "config",
  "BSTAR_CONFIG",
  "A file, TOML or JSON, that holds what is not said by options or the environment."
)

const hookOf = (when: string, variable: string, description: string) =>
  text(when, variable, `A command that is run when ${description}`)

export const hooks = {
  onActive: hookOf("on-active", "BSTAR_ON_ACTIVE", "this server has become active."),
  onPassive: hookOf("on-passive", "BSTAR_ON_PASSIVE", "this server stands by, before it says so."),
  onStop: hookOf("on-stop", "BSTAR_ON_STOP", "this server stops, before it says goodbye."),
  hookTimeout: text(
    "hook-timeout",
    "BSTAR_HOOK_TIMEOUT",
    `How long each of these may take before it is ended. Default: ${Hooks.defaults.timeout}.`
  )
}

export const http = {
  http: text(
    "http",
    "BSTAR_HTTP",
    "Where this server tells its status over HTTP, such as 127.0.0.1:5011; of a port alone, to this machine alone. " +
      "Default: nowhere."
  ),
  httpHost: Options.text("http-host").pipe(
    Options.withPseudoName("NAME"),
    Options.repeated,
    Options.withDescription(
      "A host name under which --http may be asked, besides IP addresses, localhost, this machine's own name and that of " +
        "--http; may be given several times. Environment: BSTAR_HTTP_HOSTS, separated by commas."
    )
  ),
  peerHttp: text(
    "peer-http",
    "BSTAR_PEER_HTTP",
    "Where the other server tells its status: HOST:PORT or a URL."
  ),
  httpTokenFile: text(
    "http-token-file",
    "BSTAR_HTTP_TOKEN_FILE",
    "A file with the token that orders over HTTP need, the same on both servers. Without it the token is taken from " +
      "BSTAR_HTTP_TOKEN; without either there are no orders."
  )
}

const keys = (description: string) => text("keys", "BSTAR_KEYS", description)

/** Keys of a server that has clients. */
const security = {
  keys: keys(
    "A directory of key files, made by bstar keygen: only the peer and clients with a key may talk to this server. " +
      "Default: none; then whoever reaches a port may."
  ),
  clients: choice("clients", ["listed", "anyone"], "BSTAR_CLIENTS", "listed").pipe(
    Options.withDescription(
      "With --keys: whose requests are taken; listed, the default, is those with a key in DIR/clients, anyone is whoever " +
        "has this server's public key. Environment: BSTAR_CLIENTS."
    )
  )
}

const limit = (name: keyof typeof Limits.defaults, option: string, what: string, description: string) =>
  whole(option, variableOf(option), what, `${description} Default: ${Limits.defaults[name]}.`)

const variableOf = (option: string): string => `BSTAR_${option.toUpperCase().replaceAll("-", "_")}`

/** What clients may take. */
export const limits = {
  maxMessageSize: limit("maxMessageSize", "max-message-size", "bytes", "How large a frame may be, in bytes."),
  maxFrames: limit("maxFrames", "max-frames", "frames", "How many frames a request may have."),
  maxConnections: whole(
    "max-connections",
    "BSTAR_MAX_CONNECTIONS",
    "connections",
    "How many clients may be connected; further ones come again by themselves. Default: no limit, unless the process may open few files."
  ),
  queue: limit(
    "queue",
    "queue",
    "messages",
    "How many messages of each client may wait in this process, and four times as many to it."
  ),
  maxMemory: limit(
    "maxMemory",
    "max-memory",
    "MiB",
    "With more MiB than this besides JavaScript's heap, all clients are cut off, which frees what they have sent."
  ),
  handshakeTimeout: text(
    "handshake-timeout",
    "BSTAR_HANDSHAKE_TIMEOUT",
    `How long a connection may take until it has said who it is. Default: ${Limits.defaults.handshakeTimeout}.`
  ),
  ping: text(
    "ping",
    "BSTAR_PING",
    "How long a client may be silent until ZeroMQ asks whether it is there, and then as long again until it is cut off. " +
      `Default: ${Limits.defaults.ping}.`
  ),
  keepAlive: text(
    "keep-alive",
    "BSTAR_KEEP_ALIVE",
    `How long a connection may be idle until the system asks whether its other end is there. ` +
      `Default: ${Limits.defaults.keepAlive}.`
  )
}

export const server = {
  primary: Options.boolean("primary", { aliases: ["p"] }).pipe(Options.withDescription("Run the primary server.")),
  backup: Options.boolean("backup", { aliases: ["b"] }).pipe(Options.withDescription("Run the backup server.")),
  frontend: text(
    "frontend",
    "BSTAR_FRONTEND",
    `Where clients connect (bound). Default: ${primary.frontend} with -p, ${backup.frontend} with -b.`
  ),
  state: text(
    "state",
    "BSTAR_STATE",
    `Where this server publishes its state (bound). Default: ${primary.stateEndpoint} with -p, ${backup.stateEndpoint} with -b.`
  ),
  peer: text(
    "peer",
    "BSTAR_PEER",
    `Where the other server publishes its state (connected). Default: ${primary.peerEndpoint} with -p, ${backup.peerEndpoint} with -b.`
  ),
  heartbeat: text(
    "heartbeat",
    "BSTAR_HEARTBEAT",
    `Time between two heartbeats, such as "250 millis"; the same on both servers. Default: ${primary.heartbeat}.`
  ),
  policy: choice("policy", policyNames, "BSTAR_POLICY", "classic").pipe(
    Options.withDescription(
      "The rules: classic, the default, is the Guide's; hardened is for production. Environment: BSTAR_POLICY."
    )
  ),
  crashDetection: choice("crash-detection", ["policy", "on", "off"], "BSTAR_CRASH_DETECTION", "policy").pipe(
    Options.withDescription(
      "Whether the peer counts as dead as soon as connections to it are refused. " +
        "Default: policy, which is on with hardened and off with classic. Environment: BSTAR_CRASH_DETECTION."
    )
  ),
  lone: choice("lone", ["wait", "serve"], "BSTAR_LONE", backup.lone).pipe(
    Options.withDescription(
      "What a backup does that has received nothing from its primary since it started: wait, the default, refuses " +
        "requests; serve takes over after two heartbeats when a client asks, unless a subscriber is connected to its " +
        "state port. With serve two servers answer if the network is cut while both start. Needs --policy hardened. " +
        "Environment: BSTAR_LONE."
    )
  ),
  drain: text(
    "drain",
    "BSTAR_DRAIN",
    `How long a server that is asked to stop may take to answer what it has accepted. Default: ${primary.drain}.`
  ),
  maxFailovers: whole(
    "max-failovers",
    "BSTAR_MAX_FAILOVERS",
    "failovers",
    "How often votes may make this server take over within the window; then they are refused. Default: no limit."
  ),
  failoverWindow: text(
    "failover-window",
    "BSTAR_FAILOVER_WINDOW",
    `The time in which failovers are counted. Default: ${primary.failoverWindow}.`
  ),
  ...security,
  ...limits,
  ...hooks,
  ...http,
  logFormat,
  config
}

/** The policy of commands that are new, so that nobody expects the Guide's. */
const hardened = choice("policy", policyNames, "BSTAR_POLICY", "hardened").pipe(
  Options.withDescription("The rules, as for bstar. Default: hardened. Environment: BSTAR_POLICY.")
)

/** Where workers connect: next to the Guide's ports. */
export const backends = { primary: "tcp://*:5005", backup: "tcp://*:5006" } as const

export const proxy = {
  ...server,
  policy: hardened,
  backend: text(
    "backend",
    "BSTAR_BACKEND",
    `Where workers connect (bound). Default: ${backends.primary} with -p, ${backends.backup} with -b.`
  ),
  concurrency: whole(
    "concurrency",
    "BSTAR_CONCURRENCY",
    "requests",
    `How many requests may wait for a worker or be with one; more stay with the clients. ` +
      `Default: ${Proxy.defaults.concurrency}.`
  ),
  timeout: text(
    "timeout",
    "BSTAR_TIMEOUT",
    `How long a request may take in all until it is given up. Default: ${Proxy.defaults.timeout}.`
  ),
  maxPerClient: whole(
    "max-per-client",
    "BSTAR_MAX_PER_CLIENT",
    "requests",
    "How many of these may be of one client; more of them are refused. Default: no limit."
  ),
  whenBusy: choice("when-busy", ["answer", "drop"], "BSTAR_WHEN_BUSY", Proxy.defaults.whenBusy).pipe(
    Options.withDescription(
      "What becomes of a request for which no worker is free in time: answer, the default, tells bstar's own clients so; " +
        "drop says nothing. Environment: BSTAR_WHEN_BUSY."
    )
  )
}

const serverWithoutClients = Struct.omit(server, "frontend", "drain", "clients", ...Struct.keys(limits))

export const run = {
  ...serverWithoutClients,
  policy: hardened,
  grace: text(
    "grace",
    "BSTAR_GRACE",
    `How long the command may take to end after SIGTERM, before SIGKILL. Default: ${runDefaults.grace}.`
  ),
  restart: choice("restart", ["never", "on-failure", "always"], "BSTAR_RESTART", runDefaults.restart).pipe(
    Options.withDescription(
      "When the command is started again that has ended by itself. " +
        "Default: never; then bstar ends with its exit code. Environment: BSTAR_RESTART."
    )
  )
}

/** What can be checked as it would be used by a server: the same options, which are read one by one there. */
const { backup: _backup, config: _config, primary: _primary, ...checked } = { ...proxy, ...run }
const nameOf = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

export const configCheck = {
  primary: server.primary,
  backup: server.backup,
  config,
  options: Options.all(
    Object.fromEntries(
      Object.keys(checked).map((key) => [nameOf(key), Options.text(nameOf(key)).pipe(Options.optional)])
    )
  )
}

export const client = {
  server: Options.text("server").pipe(
    Options.repeated,
    Options.withDescription(
      `A server's frontend; give it twice, in the order to try. Default: ${
        BinaryStarClient.defaults.servers.join(", ")
      }. ` +
        "Environment: BSTAR_SERVERS, separated by commas."
    )
  ),
  timeout: text(
    "timeout",
    "BSTAR_TIMEOUT",
    `How long a request may take in all; with --legacy, how long to wait before the other server is asked. ` +
      `Default: ${BinaryStarClient.defaults.timeout}; with --legacy ${LazyPirate.defaults.timeout}.`
  ),
  reconnectDelay: text(
    "reconnect-delay",
    "BSTAR_RECONNECT_DELAY",
    `With --legacy: time between closing a connection and connecting to the other server. ` +
      `Default: ${LazyPirate.defaults.reconnectDelay}.`
  ),
  legacy: Options.boolean("legacy").pipe(
    Options.withDescription("Behave like the Guide's Lazy Pirate client: one server at a time, failover in seconds.")
  ),
  retryAfter: text(
    "retry-after",
    "BSTAR_RETRY_AFTER",
    `Time after which the active server receives an unanswered request again. ` +
      `Default: ${BinaryStarClient.defaults.retryAfter}.`
  ),
  interval: text(
    "interval",
    "BSTAR_INTERVAL",
    "How long to wait between a reply and the next request. Default: 1 second."
  ),
  keys: keys("A directory with this client's secret key and the servers' public ones, made by bstar keygen --client."),
  count: whole("count", "BSTAR_COUNT", "requests", "How many requests to send. Default: no end.").pipe(
    Options.map(Option.getOrElse(() => Number.POSITIVE_INFINITY))
  ),
  logFormat,
  config
}

const member = (name: "client" | "worker") =>
  Options.text(name).pipe(
    Options.withPseudoName("NAME"),
    Options.optional,
    Options.withDescription(
      `Make a key for a ${name}: DIR/${name}s/NAME.key for the servers, and DIR/${name}-NAME to be moved to it.`
    )
  )

export const keygen = {
  client: member("client"),
  worker: member("worker"),
  next: Options.choice("next", ["primary", "backup"]).pipe(
    Options.optional,
    Options.withDescription(
      "Make the key that is going to take the place of a server's: DIR/primary.next.key and so on."
    )
  )
}

export const fsm = {
  format: choice("format", ["table", "mermaid", "json"], "BSTAR_FORMAT", "table").pipe(
    Options.withDescription("How to write the state machine. Default: table. Environment: BSTAR_FORMAT.")
  ),
  policy: server.policy
}

/** Which servers an operator's command is about. */
export const operator = {
  http: Options.text("http").pipe(
    Options.withPseudoName("HOST:PORT"),
    Options.repeated,
    Options.withDescription(
      "Where a server tells its status, which is its --http: give it twice, or once where that server has --peer-http. " +
        "Environment: BSTAR_HTTP_SERVERS, separated by commas."
    )
  )
}

/** What orders need besides. */
export const orders = {
  tokenFile: text(
    "token-file",
    "BSTAR_HTTP_TOKEN_FILE",
    "A file that holds the servers' token. Without it the token itself is taken from BSTAR_HTTP_TOKEN."
  )
}

const json = Options.boolean("json").pipe(Options.withDescription("Write JSON."))

export const status = {
  ...operator,
  json,
  watch: Options.boolean("watch").pipe(
    Options.withDescription("Go on until Ctrl-C; how long to wait in between may follow. Default: 2 seconds.")
  )
}

export const history = {
  ...operator,
  json,
  limit: whole("limit", "BSTAR_LIMIT", "transitions", "How many of the latest transitions. Default: 50.").pipe(
    Options.map(Option.getOrElse(() => 50))
  )
}

export const doctor = { ...operator, ...orders, json }

export const resume = { ...operator, ...orders }

/** The options of orders that have to be given a reason. */
export const reasoned = {
  ...resume,
  reason: Options.text("reason").pipe(
    Options.withDescription("Why. It is told in the logs, in status and in the history.")
  )
}

const budget = (name: string, fallback: number, description: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("number"),
    Options.withDefault(String(fallback)),
    Options.mapEffect((given) =>
      /^[0-9]{1,3}$/.test(given)
        ? Effect.succeed(Number(given))
        : refuse(`--${name}: expected a small number, got "${given}"`)
    ),
    Options.withDescription(`${description} Default: ${fallback}.`)
  )

export const verify = {
  policy: choice("policy", policyNames, "BSTAR_POLICY", "hardened").pipe(
    Options.withDescription("Whose rules. Default: hardened. Environment: BSTAR_POLICY.")
  ),
  lone: choice("lone", ["wait", "serve"], "BSTAR_LONE", backup.lone).pipe(
    Options.withDescription("What a backup does that starts alone. Default: wait. Environment: BSTAR_LONE.")
  ),
  kills: budget("kills", 1, "How often a process is killed at most."),
  stops: budget("stops", 1, "How often a server is stopped in good order at most."),
  pauses: budget("pauses", 1, "How often a process stands still at most."),
  cuts: budget("cuts", 0, "How often the link is cut at most."),
  handovers: budget(
    "handovers",
    0,
    "How often an operator hands over at most; if at all, he promotes servers, too."
  ),
  delay: budget("delay", 1, "How long a word is under way at most, in halves of a heartbeat."),
  format: choice("format", ["text", "json"], "BSTAR_VERIFY_FORMAT", "text").pipe(
    Options.withDescription("How to write the result. Default: text. Environment: BSTAR_VERIFY_FORMAT.")
  )
}

/** What the parsers above give. */
export type Parsed<O extends { readonly [K in string]: Options.Options<unknown> }> = {
  readonly [K in keyof O]: O[K] extends Options.Options<infer A> ? A : never
}

/**
 * The settings of `bstar` and of the library: one table.
 *
 * A setting is declared here and nowhere else. Derived from its entry are the field of `BinaryStarConfig.Options`, its check and
 * its default, the option of the command line with its help, the environment variable, the key of the configuration file, the row
 * of `bstar config check`, the text of the row in the documentation, and, in the groups `member` and `limits`, the field of the status JSON.
 */
import type * as Duration from "effect/Duration"
import { policyNames } from "../protocol/Policies.ts"
import type { Kind, UnboundedDuration } from "./kinds.ts"
import * as kinds from "./kinds.ts"

/** Commands that have options. `server` is `bstar -p` and `bstar -b`; `legacy` is `bstar client --legacy`. */
export type Command =
  | "server"
  | "proxy"
  | "run"
  | "client"
  | "legacy"
  | "check"
  | "keygen"
  | "fsm"
  | "verify"
  | "status"
  | "history"
  | "doctor"
  | "switchover"
  | "pause"
  | "resume"
  | "promote"
  | "witnessStatus"
  | "witnessInit"

/** Places where a setting can be given. */
export type Source = "library" | "option" | "environment" | "file"

/** A value as a user writes it, or one for each role or policy. */
export type Default =
  | string
  | number
  | boolean
  | ReadonlyArray<string>
  | { readonly primary: string; readonly backup: string }
  | { readonly classic: boolean; readonly hardened: boolean }

/** A duration as the library takes it, also as text with a short unit, such as `500ms` or `1.5s`. */
export type DurationInput = Duration.DurationInput | `${number}${"ms" | "s" | "m" | "h" | "d"}` | "Infinity"

/** An entry of the table. */
interface Entry {
  readonly kind: Kind<any>
  /** One sentence for help and documentation, or a few. */
  readonly help: string
  /** A few words for the short help of commands with many options, which lists only the usual ones: those that have them. */
  readonly short?: string
  /** The value is the name of a file or of a directory, which completions offer. */
  readonly path?: "file" | "directory"
  /** The commands that have it. */
  readonly commands: ReadonlyArray<Command>
  readonly default?: Default
  /** Defaults of commands that differ from `default`. */
  readonly commandDefaults?: { readonly [C in Command]?: Default }
  /** The behaviour without a value where there is no default, for people. */
  readonly none?: string
  /** The option, which is the key in the configuration file, too. By default the key in kebab case. */
  readonly flag?: string
  /** The environment variable. By default `BSTAR_` and the option in constant case. */
  readonly variable?: string
  /** Where it can be given, if not where its group is. */
  readonly from?: ReadonlyArray<Source>
  /** A command does not run without it. */
  readonly isRequired?: true
  /** Each value is an option of its own, with its first letter as an alias. */
  readonly isFlags?: true
  /** Text that stands for the default, so that an option can override a file. */
  readonly unset?: string
  /** It is never printed and never inherited by a child process. */
  readonly isSecret?: true
  /** Values that need the policy `hardened`. */
  readonly hardenedOnly?: ReadonlyArray<unknown>
}

/** A setting. `A` is its decoded value, `C` are the commands that have it, `K` is its kind. */
export interface Setting<A = any, C extends Command = Command, K extends Kind<any> = Kind<any>>
  extends Omit<Entry, "commands">
{
  /** Only a type: the decoded value. */
  readonly Type?: A
  readonly kind: K
  readonly commands: ReadonlyArray<C>
  readonly key: string
  readonly flag: string
  readonly variable: string
  readonly from: ReadonlyArray<Source>
}

/** The decoded value: `undefined` only where there is no default. */
type ValueOf<E> = E extends { readonly kind: Kind<infer A> }
  ? E extends { readonly default: {} } | { readonly isRequired: true } ? A : A | undefined
  : never

type CommandOf<E> = E extends { readonly commands: ReadonlyArray<infer C extends Command> } ? C : never

type Group<G> = {
  readonly [K in keyof G]: G[K] extends Entry
    ? Setting<ValueOf<G[K]>, CommandOf<G[K]>, G[K]["kind"]> & Pick<G[K], keyof G[K] & ("default" | "commandDefaults")>
    : never
}

const kebab = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** Completes the entries of a group with their names. */
const group = <const G extends { readonly [key: string]: Entry }>(from: ReadonlyArray<Source>, entries: G): Group<G> =>
  Object.fromEntries(
    Object.entries(entries).map(([key, entry]) => {
      const flag = entry.flag ?? kebab(key)
      const variable = `BSTAR_${flag.toUpperCase().replaceAll("-", "_")}`
      return [key, { from, variable, ...entry, key, flag }]
    })
  ) as unknown as Group<G>

const everywhere = ["library", "option", "environment", "file"] as const
const program = ["option", "environment", "file"] as const
const option = ["option"] as const

const members = ["server", "proxy", "run"] as const
const withClients = ["server", "proxy"] as const
const clients = ["client", "legacy"] as const
const commanding = ["doctor", "switchover", "pause", "resume", "promote"] as const
const reporting = ["status", "history", "doctor"] as const
const ofWitness = ["witnessStatus", "witnessInit"] as const

/** Options of the library that have no default there. */
export const identity = group(everywhere, {
  /** Which server of the pair this is. */
  role: {
    kind: kinds.choice("primary", "backup"),
    commands: [...members, "check"],
    isRequired: true,
    isFlags: true,
    help: "The server of the pair that runs."
  },
  /**
   * The rules by which it becomes active and passive: `classic` is the Guide's, `hardened` is for production, and `witnessed` is for
   * production with a third party, the layer of a `Witness`.
   */
  policy: {
    kind: kinds.choice(...policyNames),
    commands: [...members, "fsm", "verify"],
    default: "classic",
    commandDefaults: { proxy: "hardened", run: "hardened", fsm: "hardened", verify: "hardened" },
    short: "The rules: hardened for production; classic is a proof of concept",
    help:
      "The rules: classic is the Guide's, a proof of concept; hardened is for production, witnessed is for production with --witness, which " +
      "implies it; the same on both servers."
  }
})

/** Options of the library for a server of a pair. */
export const member = group(everywhere, {
  /** Where clients connect: bound. Defaults to `tcp://*:5001` for a primary and `tcp://*:5002` for a backup. */
  frontend: {
    kind: kinds.bindable,
    commands: withClients,
    default: { primary: "tcp://*:5001", backup: "tcp://*:5002" },
    short: "Where clients connect",
    help: "Where clients connect (bound)."
  },
  /**
   * Where this server publishes its state to its peer: bound. Defaults to `tcp://*:5003` for a primary and `tcp://*:5004` for a
   * backup.
   */
  stateEndpoint: {
    kind: kinds.bindable,
    flag: "state",
    commands: members,
    default: { primary: "tcp://*:5003", backup: "tcp://*:5004" },
    short: "Where it publishes its state",
    help: "Where this server publishes its state (bound)."
  },
  /**
   * Where the peer publishes its state: connected. Defaults to `tcp://localhost:5004` for a primary and `tcp://localhost:5003`
   * for a backup.
   */
  peerEndpoint: {
    kind: kinds.connectable,
    flag: "peer",
    commands: members,
    default: { primary: "tcp://localhost:5004", backup: "tcp://localhost:5003" },
    short: "The --state of its peer",
    help: "Where the other server publishes its state (connected)."
  },
  /**
   * Time between two heartbeats, the same on both servers. A peer that is silent for two heartbeats counts as lost. Defaults to
   * `1 second`.
   */
  heartbeat: {
    kind: kinds.duration("10 millis", "1 hour"),
    commands: members,
    default: "1 second",
    short: "Time between two heartbeats, the same on both servers",
    help: "Time between two heartbeats; the same on both servers."
  },
  /**
   * Whether the peer counts as lost as soon as its host refuses connections to `peerEndpoint`, which takes milliseconds instead of
   * two heartbeats. A firewall that rejects instead of dropping looks the same, so a vote is required all the same. Defaults to
   * `false` with the policy `classic`, and to `true` with the others.
   */
  crashDetection: {
    kind: kinds.onOff,
    commands: members,
    default: { classic: false, hardened: true },
    unset: "policy",
    help:
      "Whether the peer counts as lost as soon as its host refuses connections; policy is the default of the policy."
  },
  /**
   * Who votes for this server when its peer is silent: `clients`, by their requests, or `self`, with each heartbeat and as soon as
   * there is crash evidence. `self` is for services without clients. Without a witness only the link then tells the two servers
   * apart: while it is cut both are active, so use it only with a witness or with a link that you trust. Defaults to `clients`.
   */
  vote: {
    kind: kinds.choice("clients", "self"),
    from: ["library", "environment"],
    commands: [],
    default: "clients",
    help: "Who votes for a server whose peer is silent: the clients by their requests, or the server itself."
  },
  /**
   * What a backup does that has received no heartbeat since it started: `wait` for its primary, as two-node clusters do, or `serve`
   * after two heartbeats when a client sends a request and no subscriber is connected to its state port. With `serve` two servers
   * answer if the network between them is cut while both start. `serve` needs the policy `hardened`. Defaults to `wait`.
   */
  lone: {
    kind: kinds.choice("wait", "serve"),
    commands: [...members, "verify"],
    default: "wait",
    hardenedOnly: ["serve"],
    help:
      "What a backup does that has received no heartbeat since it started: wait rejects requests; serve takes over after " +
      "two heartbeats on a request, unless a subscriber is connected to its state port. With serve two servers answer if the " +
      "network is cut while both start. serve needs the policy hardened."
  },
  /**
   * Whether this server accepts requests while its term has no number, so that there is no fencing token: with `required` it
   * rejects them until it has one, and `bstar run` starts its command only then. Defaults to `optional`.
   */
  fencing: {
    kind: kinds.choice("optional", "required"),
    commands: members,
    default: "optional",
    help:
      "Whether an active server works while its term has no number yet, so that there is no fencing token; with required it " +
      "rejects requests until then, and run starts its command only then."
  },
  /** How long a server that stops or hands over may take to complete the requests that it has accepted. Defaults to `5 seconds`. */
  drain: {
    kind: kinds.duration(0, "1 hour"),
    commands: withClients,
    default: "5 seconds",
    help: "How long a server that stops or hands over may take to complete the requests that it has accepted."
  },
  /**
   * How many failovers votes may cause within `failoverWindow`. Further votes are rejected, which is logged as an error: find out
   * why the pair flaps. A promotion by an operator is possible all the same. By default there is no limit.
   */
  maxFailovers: {
    kind: kinds.whole(1, 1000),
    commands: members,
    none: "no limit",
    help: "How many failovers votes may cause within the failover window; further votes are rejected."
  },
  /** The time in which failovers are counted for `maxFailovers`. Defaults to `1 hour`. */
  failoverWindow: {
    kind: kinds.duration("1 second", "30 days"),
    commands: members,
    default: "1 hour",
    help: "The time in which failovers are counted."
  },
  /** How many requests a handler that is an Effect processes at a time. Defaults to `16`. */
  concurrency: {
    kind: kinds.whole(1, 100_000),
    commands: ["proxy"],
    default: 16,
    commandDefaults: { proxy: 1000 },
    help: "How many requests may wait for a worker or be with one; more stay with the clients."
  },
  /**
   * How long a handler that is an Effect may take for a request before it is interrupted; `Duration.infinity` for no limit.
   * Defaults to `30 seconds`.
   */
  timeout: {
    kind: kinds.unboundedDuration("1 millis"),
    commands: ["proxy"],
    default: "30 seconds",
    commandDefaults: { proxy: "5 seconds" },
    help: "How long a request may take in all before it fails."
  }
})

/** Options of the library that limit what clients may use. */
export const limits = group(everywhere, {
  /**
   * The largest frame, in bytes. ZeroMQ disconnects a client that sends a larger one, before it is read. Defaults to `4194304`,
   * 4 MiB.
   */
  maxMessageSize: {
    kind: kinds.whole(64, 2 ** 31 - 1, "BYTES"),
    commands: withClients,
    default: 4 * 1024 * 1024,
    help: "The largest frame, in bytes; a client that sends a larger one is disconnected."
  },
  /** How many frames a request may have, its envelope included. A request with more is rejected. Defaults to `256`. */
  maxFrames: {
    kind: kinds.whole(1, 1_000_000),
    commands: withClients,
    default: 256,
    help: "How many frames a request may have, its envelope included."
  },
  /**
   * How many requests of one client may be processed or queued. Further requests are rejected with `Busy`; a request that is sent
   * again while it is processed counts twice. With less than `concurrency` no client can use all of it. By default only the limits
   * of all clients together apply.
   */
  maxPerClient: {
    kind: kinds.whole(1, 1_000_000),
    commands: ["proxy"],
    none: "no limit",
    help: "How many of these requests may be of one client; further ones are rejected."
  },
  /**
   * How many clients may be connected. Further connections are rejected, and libzmq retries them. A connection counts before its
   * handshake, too, and is then closed only by `handshakeTimeout`. Clients with a ZMTP before 3.0 (libzmq before 4.0) cannot connect
   * where there is a limit. It does not apply to endpoints of `inproc`. By default there is no limit, unless the process may open
   * fewer than 4,096 files: then it is half of what 64 files for the server itself leave.
   */
  maxConnections: {
    kind: kinds.whole(1, 1_000_000),
    commands: withClients,
    none: "no limit; where the process may open fewer than 4,096 files, half of the rest",
    help: "How many clients may be connected; clients retry a rejected connection."
  },
  /**
   * How many requests of each client ZeroMQ queues, and four times as many replies to each: its high-water marks. Further requests
   * stay with the client; further replies to a client that does not read are dropped. Defaults to `1000`.
   */
  queue: {
    kind: kinds.whole(1, 1_000_000),
    commands: withClients,
    default: 1000,
    help: "How many requests of each client may be queued in this process, and four times as many replies."
  },
  /** How long the handshake of a new connection may take. Defaults to `5 seconds`. */
  handshakeTimeout: {
    kind: kinds.duration("10 millis", "1 hour"),
    commands: withClients,
    default: "5 seconds",
    help: "How long the handshake of a new connection may take."
  },
  /**
   * How long a connection may be silent before ZeroMQ sends a ping, and how long the pong may then take before the connection is
   * closed. libzmq from 4.2 on answers by itself; for clients that cannot, give a day. Defaults to `30 seconds`.
   */
  ping: {
    kind: kinds.duration("10 millis", "1 day"),
    commands: withClients,
    default: "30 seconds",
    help: "How long a connection may be silent before ZeroMQ sends a ping, and how long the pong may take."
  },
  /**
   * How long a connection may be idle before the system sends a TCP keep-alive; the connection is closed after twice that time. In
   * whole seconds. Defaults to `30 seconds`.
   */
  keepAlive: {
    kind: kinds.duration("1 second", "1 day"),
    commands: withClients,
    default: "30 seconds",
    help: "How long a connection may be idle before the system sends a TCP keep-alive."
  },
  /**
   * MiB that this process may use besides JavaScript's heap. Above it all clients are disconnected, which frees what ZeroMQ
   * has queued for them; ZeroMQ itself has no limit for a message that never ends. Defaults to `1024`.
   */
  maxMemory: {
    kind: kinds.whole(16, 1024 * 1024, "MIB"),
    commands: withClients,
    default: 1024,
    help: "MiB that the process may use besides JavaScript's heap; above it all clients are disconnected."
  }
})

/** Settings of the program for a server of a pair. */
export const operations = group(program, {
  keys: {
    kind: kinds.string("DIR", "/etc/bstar/keys"),
    path: "directory",
    commands: members,
    none: "none: no keys are needed",
    short: "Encrypt, and accept only the peer and clients with a key",
    help: "A directory of key files, made by bstar keygen: only the peer and clients with a key may connect."
  },
  clients: {
    kind: kinds.choice("listed", "anyone"),
    commands: withClients,
    default: "listed",
    help:
      "With --keys: whose requests are accepted; listed are the clients with a key in DIR/clients, anyone has the server's " +
      "public key."
  },
  onActive: {
    kind: kinds.string("COMMAND", "a command"),
    commands: members,
    help: "A command that is run when this server has become active."
  },
  onPassive: {
    kind: kinds.string("COMMAND", "a command"),
    commands: members,
    help: "A command that is run when this server becomes passive, before it publishes that."
  },
  onStop: {
    kind: kinds.string("COMMAND", "a command"),
    commands: members,
    help: "A command that is run when this server stops, before its final heartbeat."
  },
  hookTimeout: {
    kind: kinds.duration("1 millis", "1 day"),
    commands: members,
    default: "10 seconds",
    help: "How long each of these commands may take before it is ended."
  },
  http: {
    kind: kinds.listenAddress,
    commands: members,
    short: "Serve the status, metrics and the dashboard over HTTP",
    help: "Where this server serves its status over HTTP, such as 127.0.0.1:5011; a port alone is on loopback."
  },
  httpHost: {
    kind: kinds.hostNames,
    variable: "BSTAR_HTTP_HOSTS",
    commands: members,
    help:
      "A host name that requests to --http may have, besides IP addresses, localhost, this machine's name and that of --http."
  },
  peerHttp: {
    kind: kinds.statusAddress,
    commands: members,
    help: "Where the other server serves its status: HOST:PORT or a URL."
  },
  httpTokenFile: {
    kind: kinds.string("FILE", "/etc/bstar/token"),
    path: "file",
    commands: members,
    none: "none: no commands without a token",
    help:
      "A file with the token that commands over HTTP need, the same on both servers. BSTAR_HTTP_TOKEN is the token itself."
  },
  httpToken: {
    kind: kinds.secret,
    from: ["environment"],
    commands: members,
    isSecret: true,
    help: "The token itself, where there is no file."
  }
})

/** Settings of the third party of a pair. */
export const witness = group(program, {
  witness: {
    kind: kinds.witness,
    commands: [...members, ...ofWitness],
    help:
      "The third party of the pair, the same on both servers: etcd://[USER@]HOST:PORT[,HOST:PORT]/NAME, with TLS etcds://, or " +
      "postgres://USER@HOST[:PORT]/DB?pair=NAME[&sslmode=MODE]. With it never two servers answer, whatever is cut."
  },
  witnessPasswordFile: {
    kind: kinds.string("FILE", "/etc/bstar/witness-password"),
    path: "file",
    commands: [...members, ...ofWitness],
    help: "A file with the password of the witness's user. BSTAR_WITNESS_PASSWORD is the password itself."
  },
  witnessPassword: {
    kind: kinds.secret,
    from: ["environment"],
    commands: [...members, ...ofWitness],
    isSecret: true,
    help: "The password itself, where there is no file."
  },
  witnessCa: {
    kind: kinds.string("FILE", "/etc/bstar/witness-ca.pem"),
    path: "file",
    commands: [...members, ...ofWitness],
    none: "none: the authorities of Node",
    help: "The certificates of the authorities that may sign the witness's certificate, for TLS."
  },
  witnessCert: {
    kind: kinds.string("FILE", "/etc/bstar/witness.pem"),
    path: "file",
    commands: [...members, ...ofWitness],
    help: "This server's certificate for the witness, for TLS."
  },
  witnessKey: {
    kind: kinds.string("FILE", "/etc/bstar/witness.key"),
    path: "file",
    commands: [...members, ...ofWitness],
    help: "The key of that certificate."
  }
})

/** Settings of the program itself. */
export const common = group(program, {
  logFormat: {
    kind: kinds.choice("plain", "json", "pretty"),
    commands: [...members, ...clients],
    default: "plain",
    help: "The format of log lines; plain is the Guide's."
  },
  config: {
    kind: kinds.string("FILE", "pair.toml"),
    path: "file",
    from: ["option", "environment"],
    commands: [...members, ...clients, ...ofWitness, "check"],
    short: "A configuration file, one for both servers and the clients",
    help: "A configuration file, TOML or JSON. Options and the environment override it."
  }
})

/** Settings of `bstar proxy`. */
export const proxy = group(program, {
  backend: {
    kind: kinds.bindable,
    commands: ["proxy"],
    default: { primary: "tcp://*:5005", backup: "tcp://*:5006" },
    short: "Where workers connect",
    help: "Where workers connect (bound)."
  },
  whenBusy: {
    kind: kinds.choice("answer", "drop"),
    commands: ["proxy"],
    default: "answer",
    help:
      "What happens to a request for which no worker is free in time: answer rejects it, which clients of this library " +
      "receive; drop sends nothing."
  },
  termFrame: {
    kind: kinds.onOff,
    commands: ["proxy"],
    default: false,
    help:
      "Whether each request to a worker begins with a frame of its own, the fencing token in decimal digits, which is empty " +
      "while there is none."
  }
})

/** Settings of `bstar run`. */
export const run = group(program, {
  grace: {
    kind: kinds.duration(0, "1 day"),
    commands: ["run"],
    default: "10 seconds",
    short: "How long the command may take to end after SIGTERM, before SIGKILL",
    help: "How long the command may take to end after SIGTERM, before SIGKILL."
  },
  restart: {
    kind: kinds.choice("never", "on-failure", "always"),
    commands: ["run"],
    default: "never",
    short: "When a command that has ended is started again",
    help: "When a command that has ended is started again; with never bstar ends with its exit code."
  }
})

/** Settings of `bstar client`. */
export const client = group(program, {
  servers: {
    kind: kinds.connectables,
    flag: "server",
    variable: "BSTAR_SERVERS",
    commands: clients,
    default: ["tcp://localhost:5001", "tcp://localhost:5002"],
    help: "A server's frontend; give it twice, in the order to try."
  },
  timeout: {
    kind: kinds.duration("1 millis", "1 day"),
    commands: clients,
    default: "10 seconds",
    commandDefaults: { legacy: "1 second" },
    help: "How long a request may take in all; with --legacy, how long to wait before the other server is tried."
  },
  retryAfter: {
    kind: kinds.duration("1 millis", "1 day"),
    commands: ["client"],
    default: "1 second",
    help: "How long the active server may take to reply before the request is sent to it again."
  },
  legacy: {
    kind: kinds.flag,
    from: option,
    commands: clients,
    default: false,
    help: "Behave like the Guide's Lazy Pirate client: one server at a time, failover in seconds."
  },
  reconnectDelay: {
    kind: kinds.duration(0, "1 day"),
    commands: ["legacy"],
    default: "2 seconds",
    help: "Time between closing a connection and connecting to the other server."
  },
  interval: {
    kind: kinds.duration(0, "1 day"),
    commands: clients,
    default: "1 second",
    help: "How long to wait between a reply and the next request."
  },
  keys: {
    kind: kinds.string("DIR", "/etc/bstar/client-ann"),
    path: "directory",
    commands: clients,
    help: "A directory with this client's secret key and the servers' public ones, made by bstar keygen --client."
  },
  count: {
    kind: kinds.whole(1, kinds.countless),
    commands: clients,
    none: "no end",
    help: "How many requests to send. With it a request without a reply is an error; with --legacy after three retries."
  }
})

/** Settings of the commands that need no server. */
export const tools = group(option, {
  client: {
    kind: kinds.string("NAME", "ann"),
    commands: ["keygen"],
    help: "Make a key for a client: DIR/clients/NAME.key for the servers, and DIR/client-NAME to be moved to it."
  },
  worker: {
    kind: kinds.string("NAME", "ann"),
    commands: ["keygen"],
    help: "Make a key for a worker: DIR/workers/NAME.key for the servers, and DIR/worker-NAME to be moved to it."
  },
  next: {
    kind: kinds.choice("primary", "backup"),
    commands: ["keygen"],
    help: "Make the key that will replace a server's: DIR/primary.next.key and so on."
  }
})

/** Settings of `bstar fsm`. */
export const fsm = group(option, {
  format: {
    kind: kinds.choice("table", "mermaid", "json"),
    from: ["option", "environment"],
    commands: ["fsm"],
    default: "table",
    help: "The format of the state machine."
  }
})

const budget = (fallback: number, help: string) =>
  ({ kind: kinds.whole(0, 999), commands: ["verify"], default: fallback, help }) as const

/** Settings of `bstar verify`. */
export const verify = group(option, {
  kills: budget(1, "How often a process is killed at most."),
  stops: budget(1, "How often a server is stopped cleanly, at most."),
  pauses: budget(1, "How often a process is paused at most."),
  cuts: budget(
    0,
    "How often the link is cut at most. With witnessed it does not count: any link may be cut at any time."
  ),
  handovers: budget(
    0,
    "How often an operator hands over at most; with one or more, the operator promotes servers, too."
  ),
  delay: budget(
    1,
    "The longest delay of a message, in halves of a heartbeat. With witnessed it does not count: delays have no bound."
  ),
  states: {
    kind: kinds.whole(1, 50_000_000),
    commands: ["verify"],
    default: 5_000_000,
    help: "How many states are explored at most, breadth first, with witnessed. Other policies are explored to the end."
  },
  format: {
    kind: kinds.choice("text", "json"),
    from: ["option", "environment"],
    variable: "BSTAR_VERIFY_FORMAT",
    commands: ["verify"],
    default: "text",
    help: "The format of the result."
  }
})

/** Settings of the operator's commands. */
export const operator = group(["option", "environment"], {
  http: {
    kind: kinds.strings,
    variable: "BSTAR_HTTP_SERVERS",
    commands: [...reporting, "switchover", "pause", "resume", "promote"],
    default: [],
    help: "Where a server serves its status: its --http. Give it twice, or once where that server has --peer-http."
  },
  tokenFile: {
    kind: kinds.string("FILE", "/etc/bstar/token"),
    path: "file",
    variable: "BSTAR_HTTP_TOKEN_FILE",
    commands: commanding,
    help: "A file with the servers' token. BSTAR_HTTP_TOKEN is the token itself."
  },
  reason: {
    kind: kinds.string("TEXT", "a reason"),
    from: option,
    commands: ["switchover", "pause", "promote"],
    isRequired: true,
    help: "Why. It is in the logs, the status and the history."
  },
  withoutWitness: {
    kind: kinds.flag,
    from: option,
    commands: ["promote"],
    default: false,
    help:
      "Promote the server although neither the witness nor its peer gives it the right: you answer for both, the other server " +
      "does not serve and is not started until the witness answers. If that is wrong, both serve."
  },
  json: {
    kind: kinds.flag,
    from: option,
    commands: [...reporting, "witnessStatus"],
    default: false,
    help: "Write JSON; with --watch one line each time."
  },
  print: {
    kind: kinds.flag,
    from: option,
    commands: ["witnessInit"],
    default: false,
    help: "Only print the statements that the owner of the database runs."
  },
  watch: {
    kind: kinds.flag,
    from: option,
    commands: ["status"],
    default: false,
    help: "Repeat until Ctrl-C; the interval may follow, by default 2 seconds."
  },
  limit: {
    kind: kinds.whole(1, kinds.countless),
    commands: ["history"],
    default: 50,
    help: "How many of the latest transitions."
  }
})

const table = {
  identity,
  member,
  limits,
  operations,
  witness,
  common,
  proxy,
  run,
  client,
  tools,
  fsm,
  verify,
  operator
}

/** All settings, in the order of help and documentation. */
export const all: ReadonlyArray<Setting> = Object.values(table).flatMap((group): ReadonlyArray<Setting> =>
  Object.values(group)
)

type CommandSettings<G, C extends Command> = {
  readonly [K in keyof G as G[K] extends Setting<any, infer Own, any> ? C extends Own ? K : never : never]: G[K] extends
    Setting<infer A, any, any> ? A : never
}

type Intersection<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer I) => void ? I : never

/** The decoded values of the settings of a command, by their keys. */
export type Values<C extends Command> = Intersection<
  { readonly [G in keyof typeof table]: CommandSettings<typeof table[G], C> }[keyof typeof table]
>

/** What the library takes for the settings of a group. */
export type Given<G> = {
  readonly [K in keyof G]?: G[K] extends Setting<infer A, any, any>
    ? A extends Duration.Duration ? DurationInput | undefined : A | undefined
    : never
}

/** The settings of commands, each once. */
export const of = (...commands: ReadonlyArray<Command>): ReadonlyArray<Setting> =>
  all.filter((setting) => commands.some((command) => setting.commands.includes(command)))

/** What defaults depend on. */
export interface Situation {
  readonly command?: Command | undefined
  readonly role?: unknown
  readonly policy?: unknown
  /** Whether there is a witness. */
  readonly isWitnessed?: boolean
}

/** The default of a setting as a user would write it; `undefined` if there is none. */
export const defaultOf = (setting: Setting, { command, isWitnessed, policy, role }: Situation): unknown => {
  if (setting === identity.policy && isWitnessed === true) {
    return "witnessed"
  }
  const fallback = (command && setting.commandDefaults?.[command]) ?? setting.default
  if (typeof fallback !== "object") {
    return fallback
  }
  if ("primary" in fallback) {
    return fallback[role === "backup" ? "backup" : "primary"]
  }
  return "classic" in fallback
    ? fallback[policy === undefined || policy === "classic" ? "classic" : "hardened"]
    : fallback
}

/** A value as it is printed. */
export const show = ({ kind }: Setting, value: unknown): string =>
  typeof value === "boolean" && kind.placeholder === kinds.onOff.placeholder
    ? value ? "on" : "off"
    : Array.isArray(value)
    ? value.join(", ")
    : String(value)

/** The default of a setting for people, for all roles and policies. Each value is written by `write`. */
export const describeDefault = (
  setting: Setting,
  command: Command | undefined,
  write: (value: string) => string = (value) => value
): string => {
  const shown = (value: unknown) => write(show(setting, value))
  const fallback = (command && setting.commandDefaults?.[command]) ?? setting.default
  if (fallback === undefined || (Array.isArray(fallback) && fallback.length === 0)) {
    return setting.none ?? "none"
  }
  if (typeof fallback === "object" && "primary" in fallback) {
    return `${shown(fallback.primary)} with -p, ${shown(fallback.backup)} with -b`
  }
  return typeof fallback === "object" && "classic" in fallback
    ? `${shown(fallback.classic)} with classic, else ${shown(fallback.hardened)}`
    : shown(fallback)
}

export type { Kind, UnboundedDuration }

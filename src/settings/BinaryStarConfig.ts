/**
 * The configuration of one server of a pair.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { PolicyName } from "../protocol/Policies.ts"
import { policyNames } from "../protocol/Policies.ts"
import type { Lone, Role } from "../protocol/StateMachine.ts"
import { timing } from "../protocol/Timing.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import type { InvalidConfig } from "./InvalidConfig.ts"
import * as Limits from "./Limits.ts"
import { DurationInput, loneIssues, oneOf, validate } from "./Validation.ts"

/**
 * Time between two heartbeats: 10 milliseconds to 1 hour, as a duration or as text such as `"250 millis"`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Heartbeat: Schema.Schema<Duration.Duration, unknown> = DurationInput({
  minimum: "10 millis",
  maximum: "1 hour"
})

const Fields = Schema.Struct({
  /** Which server of the pair this is. */
  role: oneOf("primary", "backup"),
  /** The rules by which it becomes active and passive. */
  policy: oneOf(...policyNames),
  /** Where clients connect: bound. */
  frontend: Endpoint.Bindable,
  /** Where this server publishes its state to the peer: bound. */
  stateEndpoint: Endpoint.Bindable,
  /** Where the peer publishes its state: connected. */
  peerEndpoint: Endpoint.Connectable,
  /** Time between two publications of the state. A peer that is silent for two of them counts as dead. */
  heartbeat: Heartbeat,
  /** How many requests are answered at a time by a handler that is an effect. */
  concurrency: Schema.Int.pipe(Schema.between(1, 100_000)),
  /** Whether a peer whose process is gone is found out at once. */
  crashDetection: Schema.Boolean,
  /** How long a handler that is an effect may take for a request. */
  timeout: DurationInput({ minimum: "1 millis", maximum: Duration.infinity }),
  /** Who votes for this server when its peer is silent. */
  vote: oneOf("clients", "self"),
  /** What a backup does that has never heard its primary. */
  lone: oneOf("wait", "serve"),
  /** How long a server that is asked to stop waits for handlers that still run. */
  drain: DurationInput({ minimum: 0, maximum: "1 hour" }),
  /** How often votes may make this server take over within `failoverWindow`. */
  maxFailovers: Schema.UndefinedOr(Schema.Int.pipe(Schema.between(1, 1000))),
  failoverWindow: DurationInput({ minimum: "1 second", maximum: "30 days" }),
  ...Limits.fields
}).pipe(Schema.filter((config) => loneIssues(config).map(({ field, message }) => ({ path: [field], message }))))

/**
 * What a server of a pair has to know. Both servers of a pair must have the same policy and heartbeat.
 *
 * @since 0.1.0
 * @category models
 */
export class BinaryStarConfig extends Schema.Class<BinaryStarConfig>("effect-binary-star/BinaryStarConfig")(Fields) {
  /** Peer timeout: how long a peer may be silent before it counts as lost, two heartbeats, in milliseconds. */
  get peerTimeoutMillis(): number {
    return timing.peerTimeout * Duration.toMillis(this.heartbeat)
  }

  /** How long the handshake of an accepted connection to the peer is waited for: six heartbeats, in milliseconds. */
  get handshakeMillis(): number {
    return timing.handshake * Duration.toMillis(this.heartbeat)
  }
}

/**
 * What a user gives to configure a server. All but the role and the policy have defaults.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Limits.Options {
  /** Which server of the pair this is. */
  readonly role: Role
  /** The rules by which it becomes active and passive. */
  readonly policy: PolicyName
  /** Where clients connect. Defaults to `tcp://*:5001` for a primary and `tcp://*:5002` for a backup. */
  readonly frontend?: string | undefined
  /** Where this server publishes its state. Defaults to `tcp://*:5003` for a primary, `tcp://*:5004` for a backup. */
  readonly stateEndpoint?: string | undefined
  /** Where the peer publishes its state. Defaults to `tcp://localhost:5004` for a primary, `tcp://localhost:5003` for a backup. */
  readonly peerEndpoint?: string | undefined
  /** Time between two heartbeats. Defaults to `1 second`. */
  readonly heartbeat?: Duration.DurationInput | undefined
  /** How many requests are answered at a time by a handler that is an effect. Defaults to `16`. */
  readonly concurrency?: number | undefined
  /**
   * Whether the peer counts as dead as soon as the system refuses connections to its `peer` endpoint, which takes
   * milliseconds instead of two heartbeats. A firewall that rejects instead of dropping looks the same, so a client's vote
   * is required all the same. Defaults to `true` with the policy `hardened` and to `false` with `classic`.
   */
  readonly crashDetection?: boolean | undefined
  /**
   * How long a handler that is an effect may take for a request before it is interrupted; `Duration.infinity` for no limit.
   * Defaults to `30 seconds`.
   */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * Who votes for this server when its peer is silent: its `clients` by asking it, or it`self`, with each heartbeat and as
   * soon as the peer is gone. The latter is for services that have no clients. Then nothing but the link tells
   * the two servers apart: while it is cut both are active, so use it only with a link that you trust. Defaults to
   * `clients`.
   */
  readonly vote?: "clients" | "self" | undefined
  /**
   * What a backup does that has never received a heartbeat of its primary since it started: `wait` for it, as two-node clusters
   * do, or `serve` after two heartbeats when a client asks and no subscriber is connected to its state port. With `serve` two
   * servers answer if the network between them is cut while both start. Needs the policy `hardened`. Defaults to `wait`.
   */
  readonly lone?: Lone | undefined
  /** How long a server that is asked to stop waits for handlers that still run. Defaults to `5 seconds`. */
  readonly drain?: Duration.DurationInput | undefined
  /**
   * How often votes may make this server take over within `failoverWindow`. Further votes are refused until fewer were, which
   * is logged as an error: a pair that flaps is better looked at. An operator can promote the server all the same. Without
   * it there is no limit, which is the default.
   */
  readonly maxFailovers?: number | undefined
  /** Defaults to `1 hour`. */
  readonly failoverWindow?: Duration.DurationInput | undefined
}

/**
 * The endpoints and timing of the Guide's example, for each role, and the rest.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = {
  primary: {
    frontend: "tcp://*:5001",
    stateEndpoint: "tcp://*:5003",
    peerEndpoint: "tcp://localhost:5004",
    heartbeat: "1 second",
    concurrency: 16,
    timeout: "30 seconds",
    vote: "clients",
    lone: "wait",
    drain: "5 seconds",
    failoverWindow: "1 hour",
    ...Limits.defaults
  },
  backup: {
    frontend: "tcp://*:5002",
    stateEndpoint: "tcp://*:5004",
    peerEndpoint: "tcp://localhost:5003",
    heartbeat: "1 second",
    concurrency: 16,
    timeout: "30 seconds",
    vote: "clients",
    lone: "wait",
    drain: "5 seconds",
    failoverWindow: "1 hour",
    ...Limits.defaults
  }
} as const satisfies { readonly [R in Role]: Omit<Options, "role" | "policy"> }

/**
 * Checks options and fills in the defaults. Fails with every wrong field named.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<BinaryStarConfig, InvalidConfig> => {
  const base = defaults[options.role] ?? defaults.primary
  return validate(BinaryStarConfig, {
    role: options.role,
    policy: options.policy,
    frontend: options.frontend ?? base.frontend,
    stateEndpoint: options.stateEndpoint ?? base.stateEndpoint,
    peerEndpoint: options.peerEndpoint ?? base.peerEndpoint,
    heartbeat: options.heartbeat ?? base.heartbeat,
    concurrency: options.concurrency ?? base.concurrency,
    crashDetection: options.crashDetection ?? options.policy === "hardened",
    timeout: options.timeout ?? base.timeout,
    vote: options.vote ?? base.vote,
    lone: options.lone ?? base.lone,
    drain: options.drain ?? base.drain,
    maxFailovers: options.maxFailovers,
    failoverWindow: options.failoverWindow ?? base.failoverWindow,
    maxMessageSize: options.maxMessageSize ?? base.maxMessageSize,
    maxFrames: options.maxFrames ?? base.maxFrames,
    maxPerClient: options.maxPerClient,
    maxConnections: options.maxConnections,
    queue: options.queue ?? base.queue,
    handshakeTimeout: options.handshakeTimeout ?? base.handshakeTimeout,
    ping: options.ping ?? base.ping,
    keepAlive: options.keepAlive ?? base.keepAlive,
    maxMemory: options.maxMemory ?? base.maxMemory
  })
}

/**
 * Options from a `Config`: `ROLE`, `POLICY`, `FRONTEND`, `STATE`, `PEER`, `HEARTBEAT`, `CONCURRENCY`, `CRASH_DETECTION`,
 * `TIMEOUT`, `VOTE`, `LONE`, `DRAIN`, `MAX_FAILOVERS`, `FAILOVER_WINDOW`, and of the limits `MAX_MESSAGE_SIZE`, `MAX_FRAMES`,
 * `MAX_PER_CLIENT`, `MAX_CONNECTIONS`, `QUEUE`, `HANDSHAKE_TIMEOUT`, `PING`, `KEEP_ALIVE`, `MAX_MEMORY`; all but the first
 * two optional. With `ConfigProvider.nested("BSTAR")` and `ConfigProvider.constantCase` they come from the environment as
 * `BSTAR_ROLE` and so on, most of which the command `bstar` reads too.
 *
 * @since 0.1.0
 * @category constructors
 */
export const config: Config.Config<Options> = Config.all({
  role: Config.literal("primary", "backup")("role"),
  policy: Config.literal(...policyNames)("policy"),
  frontend: Config.withDefault(Config.string("frontend"), undefined),
  stateEndpoint: Config.withDefault(Config.string("state"), undefined),
  peerEndpoint: Config.withDefault(Config.string("peer"), undefined),
  heartbeat: Config.withDefault(Config.duration("heartbeat"), undefined),
  concurrency: Config.withDefault(Config.integer("concurrency"), undefined),
  crashDetection: Config.withDefault(Config.boolean("crashDetection"), undefined),
  timeout: Config.withDefault(Config.duration("timeout"), undefined),
  vote: Config.withDefault(Config.literal("clients", "self")("vote"), undefined),
  lone: Config.withDefault(Config.literal("wait", "serve")("lone"), undefined),
  drain: Config.withDefault(Config.duration("drain"), undefined),
  maxFailovers: Config.withDefault(Config.integer("maxFailovers"), undefined),
  failoverWindow: Config.withDefault(Config.duration("failoverWindow"), undefined),
  maxMessageSize: Config.withDefault(Config.integer("maxMessageSize"), undefined),
  maxFrames: Config.withDefault(Config.integer("maxFrames"), undefined),
  maxPerClient: Config.withDefault(Config.integer("maxPerClient"), undefined),
  maxConnections: Config.withDefault(Config.integer("maxConnections"), undefined),
  queue: Config.withDefault(Config.integer("queue"), undefined),
  handshakeTimeout: Config.withDefault(Config.duration("handshakeTimeout"), undefined),
  ping: Config.withDefault(Config.duration("ping"), undefined),
  keepAlive: Config.withDefault(Config.duration("keepAlive"), undefined),
  maxMemory: Config.withDefault(Config.integer("maxMemory"), undefined)
})

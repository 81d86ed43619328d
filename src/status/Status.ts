/**
 * What a server of a pair tells of itself to its operators, as JSON: the formats of the status server.
 *
 * Times are ISO strings of the wall clock, which are there to be shown; durations are numbers of milliseconds.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as os from "node:os"
import * as process from "node:process"
import { droppedLogLines } from "../internal/DroppedLogLines.ts"
import { version } from "../internal/Version.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Histogram, Transition } from "../member/Report.ts"
import * as Policies from "../protocol/Policies.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import type { RejectedConnections } from "../security/Refusals.ts"

/**
 * A moment of the wall clock, such as `2026-01-31T12:00:00.000Z`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Time = Schema.String.annotations({
  identifier: "Time",
  description: "A moment of the wall clock in ISO 8601",
  jsonSchema: { type: "string", format: "date-time" }
})

const Count = Schema.NonNegative
const Millis = Schema.Finite
const State = Schema.Literal(...StateMachine.states).annotations({ identifier: "State" })
const Role = Schema.Literal("primary", "backup").annotations({ identifier: "Role" })
const PeerState = Schema.Literal(...StateMachine.peerStates).annotations({ identifier: "PeerState" })
const Cause = Schema.Literal(...StateMachine.eventTags, "Start", "End").annotations({ identifier: "Cause" })

/** What there is to say about a change of state, beside the states and the time. */
const why = {
  /** The event that caused it. */
  cause: Cause,
  /** What has happened, for people. */
  say: Schema.String,
  /** By what the server knew that it had to, for people. */
  evidence: Schema.NullOr(Schema.String),
  /** What an operator gave as the reason. */
  reason: Schema.NullOr(Schema.String)
}

/**
 * Why a server does not take over by itself now.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Hold = Schema.Union(
  Schema.Struct({ kind: Schema.Literal("paused"), reason: Schema.String, since: Time }),
  Schema.Struct({ kind: Schema.Literal("damped"), until: Time })
).annotations({ identifier: "Hold" })

/**
 * What a server has seen since it started; see `Report.Counters`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Counters = Schema.Struct({
  accepted: Count,
  rejected: Count,
  failed: Count,
  /** A server of an earlier version does not count these. */
  limited: Schema.optionalWith(Count, { default: () => 0 }),
  heartbeats: Count,
  malformed: Count,
  votes: Count,
  missed: Count,
  conflicts: Count,
  failovers: Count
}).annotations({ identifier: "Counters" })

const RefusedAt = Schema.Struct({
  unknown: Count,
  wrong: Count,
  absent: Count,
  malformed: Count,
  unfinished: Count,
  /** A server of an earlier version does not count these. */
  full: Schema.optionalWith(Count, { default: () => 0 })
}).annotations({ identifier: "RefusedAt" })

/**
 * How many connections a server has refused at the handshake, by port and reason; see `Refusals.Reason`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Refused = Schema.Struct({
  frontend: RefusedAt,
  state: RefusedAt,
  backend: RefusedAt
}).annotations({ identifier: "Refused" })

/**
 * All that a server has to say about itself.
 *
 * @since 0.1.0
 * @category schemas
 */
export const NodeStatus = Schema.Struct({
  role: Role,
  state: State,
  /** Whether a client that asks now would be answered. */
  answers: Schema.Boolean,
  /** Since when it is in this state. */
  since: Time,
  ...why,
  policy: Schema.Literal(...Policies.policyNames),
  hold: Schema.NullOr(Hold),
  peer: Schema.Struct({
    endpoint: Schema.String,
    /** Its last word, and how long ago that was. */
    said: Schema.NullOr(PeerState),
    ageMillis: Schema.NullOr(Millis),
    /** Whether it has been silent for so long that a vote would make this server take over. */
    isExpired: Schema.Boolean
  }),
  counters: Counters,
  /** Not there where whoever reaches a port may talk to it. */
  refused: Schema.optional(Refused),
  /** Those of the clients: how many there are, how many were refused, and how often all were cut; see `Frontend.Connections`. */
  connections: Schema.optional(Schema.Struct({ open: Count, rejected: Count, resets: Count })),
  /** Log lines of `bstar` that could not be written. A server of an earlier version does not count these. */
  droppedLogLines: Schema.optional(Count),
  /** From a request coming in to its reply going out, estimated from a histogram. */
  latency: Schema.Struct({
    count: Count,
    p50Millis: Schema.NullOr(Millis),
    p99Millis: Schema.NullOr(Millis),
    /** What these are estimated from, for who wants to know the same of a shorter time. The last bucket has no bound. */
    buckets: Schema.optional(Schema.Struct({ boundsMillis: Schema.Array(Millis), counts: Schema.Array(Count) }))
  }),
  config: Schema.Struct({
    frontend: Schema.String,
    state: Schema.String,
    peer: Schema.String,
    heartbeatMillis: Millis,
    vote: Schema.Literal("clients", "self"),
    /** A server of an earlier version always waits. */
    lone: Schema.optionalWith(Schema.Literal("wait", "serve"), { default: () => "wait" }),
    crashDetection: Schema.Boolean,
    concurrency: Count,
    /** `null`: no limit. */
    timeoutMillis: Schema.NullOr(Millis),
    drainMillis: Millis,
    /** `null`: no limit. */
    maxFailovers: Schema.NullOr(Count),
    failoverWindowMillis: Millis,
    limits: Schema.optional(Schema.Struct({
      maxMessageSize: Count,
      maxFrames: Count,
      /** `null`: no limit. */
      maxPerClient: Schema.NullOr(Count),
      /** A server of an earlier version has no such limit. */
      maxConnections: Schema.optionalWith(Schema.NullOr(Count), { default: () => null }),
      queue: Count,
      handshakeTimeoutMillis: Millis,
      pingMillis: Millis,
      keepAliveMillis: Millis,
      maxMemory: Count
    }))
  }),
  versions: Schema.Struct({ bstar: Schema.String, node: Schema.String }),
  host: Schema.String,
  pid: Count,
  uptimeMillis: Millis,
  now: Time,
  /** Where this is told. */
  http: Schema.String,
  /** Where the peer tells the same, as far as this server knows. */
  peerHttp: Schema.NullOr(Schema.String)
}).annotations({ identifier: "NodeStatus" })

/**
 * @since 0.1.0
 * @category models
 */
export interface NodeStatus extends Schema.Schema.Type<typeof NodeStatus> {}

/**
 * Both servers of a pair, as one of them sees it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PairStatus = Schema.Struct({
  self: NodeStatus,
  /** `null`: this server does not know where its peer could be asked. */
  peer: Schema.NullOr(Schema.Struct({
    status: Schema.NullOr(NodeStatus),
    /** Why there is no status. */
    error: Schema.NullOr(Schema.String)
  }))
}).annotations({ identifier: "PairStatus" })

/**
 * @since 0.1.0
 * @category models
 */
export interface PairStatus extends Schema.Schema.Type<typeof PairStatus> {}

/**
 * A change of a server's state.
 *
 * @since 0.1.0
 * @category schemas
 */
export const HistoryEntry = Schema.Struct({
  at: Time,
  /** `null`: the server has started. */
  from: Schema.NullOr(State),
  to: State,
  ...why
}).annotations({ identifier: "HistoryEntry" })

/**
 * @since 0.1.0
 * @category models
 */
export interface HistoryEntry extends Schema.Schema.Type<typeof HistoryEntry> {}

/**
 * A change of a server's state as it is told while it happens.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TransitionEvent = Schema.Struct({ role: Role, ...HistoryEntry.fields }).annotations({
  identifier: "TransitionEvent"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface TransitionEvent extends Schema.Schema.Type<typeof TransitionEvent> {}

const reason = Schema.String.pipe(Schema.filter((reason) => reason.trim() !== "" && reason.length <= 1000, {
  message: () => "expected a reason, of 1000 characters at the most",
  jsonSchema: { minLength: 1, maxLength: 1000 }
}))

/**
 * An order and why it is given.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Order = Schema.Struct({ reason }).annotations({ identifier: "Order" })

/**
 * What has come of an order, for people.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Done = Schema.Struct({ say: Schema.String }).annotations({ identifier: "Done" })

/**
 * What has come of a switchover. `waitedMillis` is for how long clients had no active server.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SwitchedOver = Schema.Struct({ waitedMillis: Millis, say: Schema.String }).annotations({
  identifier: "SwitchedOver"
})

/**
 * Why something was not done, for people.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Refusal = Schema.Struct({ error: Schema.String }).annotations({ identifier: "Refusal" })

/**
 * An estimate of the value below which a part of what was measured lies, from 0 to 1: by straight lines within the buckets.
 * `undefined` where nothing was measured.
 *
 * @since 0.1.0
 * @category combinators
 */
export const quantile = ({ bounds, counts, sums }: Histogram, part: number): number | undefined => {
  const total = counts.reduce((sum, count) => sum + count, 0)
  let left = part * total
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && left <= count) {
      const lower = bounds[bucket - 1] ?? 0
      const upper = bounds[bucket]
      // Of the last bucket nothing is known but the mean.
      return upper === undefined ? sums[bucket]! / count : lower + (upper - lower) * left / count
    }
    left -= count
  }
  return undefined
}

/**
 * Gives the wall clock's time of moments of the monotonic clock, which now is at `now`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const wallClock = (now: number): Effect.Effect<(at: number) => string> =>
  Effect.map(Clock.currentTimeMillis, (wall) => (at) => DateTime.formatIso(DateTime.unsafeMake(wall - (now - at))))

/**
 * A transition as it is told.
 *
 * @since 0.1.0
 * @category constructors
 */
export const entryOf = (
  { at, cause, explanation, from, message, reason, to }: Transition,
  time: (at: number) => string
): HistoryEntry => ({
  at: time(at),
  from: from ?? null,
  to,
  cause,
  say: message,
  evidence: explanation ?? null,
  reason: reason ?? null
})

/**
 * What the member has to say about itself now, where it is told, and whom its ports have refused.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (address: {
  readonly http: string
  readonly peerHttp: string | undefined
  readonly refusals?: RejectedConnections | undefined
}): Effect.Effect<NodeStatus, never, BinaryStar> =>
  Effect.gen(function*() {
    const { config, report, role } = yield* BinaryStar
    const { answers, at, connections, counters, takeoverBlock, latency, peer, transition } = yield* report
    const time = yield* wallClock(at)
    const { at: since, cause, evidence, reason, say, to } = entryOf(transition, time)
    const timeoutMillis = Duration.toMillis(config.timeout)
    return {
      role,
      state: to,
      answers,
      since,
      cause,
      say,
      evidence,
      reason,
      policy: config.policy,
      hold: takeoverBlock === undefined
        ? null
        : takeoverBlock._tag === "Paused"
        ? { kind: "paused", reason: takeoverBlock.reason, since: time(takeoverBlock.since) }
        : { kind: "damped", until: time(takeoverBlock.until) },
      peer: {
        endpoint: config.peerEndpoint,
        said: peer.state ?? null,
        ageMillis: peer.lastHeartbeatAt === undefined ? null : at - peer.lastHeartbeatAt,
        isExpired: peer.isExpired
      },
      counters,
      ...(address.refusals === undefined ? {} : { refused: address.refusals.counts() }),
      connections,
      droppedLogLines: (yield* Metric.value(droppedLogLines)).count,
      latency: {
        count: latency.counts.reduce((sum, count) => sum + count, 0),
        p50Millis: quantile(latency, 0.5) ?? null,
        p99Millis: quantile(latency, 0.99) ?? null,
        buckets: { boundsMillis: latency.bounds, counts: latency.counts }
      },
      config: {
        frontend: config.frontend,
        state: config.stateEndpoint,
        peer: config.peerEndpoint,
        heartbeatMillis: Duration.toMillis(config.heartbeat),
        vote: config.vote,
        lone: config.lone,
        crashDetection: config.crashDetection,
        concurrency: config.concurrency,
        timeoutMillis: Number.isFinite(timeoutMillis) ? timeoutMillis : null,
        drainMillis: Duration.toMillis(config.drain),
        maxFailovers: config.maxFailovers ?? null,
        failoverWindowMillis: Duration.toMillis(config.failoverWindow),
        limits: {
          maxMessageSize: config.maxMessageSize,
          maxFrames: config.maxFrames,
          maxPerClient: config.maxPerClient ?? null,
          maxConnections: config.maxConnections ?? null,
          queue: config.queue,
          handshakeTimeoutMillis: Duration.toMillis(config.handshakeTimeout),
          pingMillis: Duration.toMillis(config.ping),
          keepAliveMillis: Duration.toMillis(config.keepAlive),
          maxMemory: config.maxMemory
        }
      },
      versions: { bstar: version, node: process.versions.node },
      host: os.hostname(),
      pid: process.pid,
      uptimeMillis: process.uptime() * 1000,
      now: time(at),
      http: address.http,
      peerHttp: address.peerHttp ?? null
    }
  })

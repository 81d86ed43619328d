/**
 * The status of a server as JSON: the formats of the status server.
 *
 * Times are ISO strings of the wall clock, for display only; durations are numbers of milliseconds.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as os from "node:os"
import * as process from "node:process"
import { droppedLogLines } from "../internal/DroppedLogLines.ts"
import { version } from "../internal/Version.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Histogram, Report, Transition } from "../member/Report.ts"
import * as Policies from "../protocol/Policies.ts"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as Terms from "../protocol/Term.ts"
import type * as Rejected from "../security/RejectedConnections.ts"
import { describe, Description } from "../settings/Description.ts"
import { givers } from "./givers.ts"
import type { Hosts } from "./Hosts.ts"

/**
 * A time of the wall clock, such as `2026-01-31T12:00:00.000Z`.
 *
 * @category schemas
 */
export const Time = Schema.String.annotations({
  identifier: "Time",
  description: "A time of the wall clock in ISO 8601",
  jsonSchema: { type: "string", format: "date-time" }
})

const Count = Schema.NonNegative
const Millis = Schema.Finite
const State = Schema.Literal(...StateMachine.states).annotations({ identifier: "State" })
const Role = Schema.Literal("primary", "backup").annotations({ identifier: "Role" })
const PeerState = Schema.Literal(...StateMachine.peerStates).annotations({ identifier: "PeerState" })
const Cause = Schema.Literal(
  ...StateMachine.eventTags,
  ...StateMachine.heartbeatEventTags,
  ...StateMachine.rightEventTags,
  "Start",
  "End"
).annotations({
  identifier: "Cause"
})

/**
 * A term: as text, such as `3.1`, and as the integer that a store compares, the fencing token.
 *
 * @category schemas
 */
export const Term = Schema.Struct({ text: Schema.String, token: Count }).annotations({ identifier: "Term" })

/**
 * A term.
 *
 * @category models
 */
export interface Term extends Schema.Schema.Type<typeof Term> {}

/** The cause of a transition. */
const why = {
  /** The event that caused it. */
  cause: Cause,
  /** The transition as a sentence. */
  message: Schema.String,
  /** The evidence for it as a sentence. */
  explanation: Schema.NullOr(Schema.String),
  /** The reason that an operator gave. */
  reason: Schema.NullOr(Schema.String)
}

/**
 * Why votes do not make a server take over now.
 *
 * @category schemas
 */
export const TakeoverBlock = Schema.Union(
  Schema.Struct({ kind: Schema.Literal("paused"), reason: Schema.String, since: Time }),
  Schema.Struct({ kind: Schema.Literal("limited"), until: Time })
).annotations({ identifier: "TakeoverBlock" })

/**
 * Counters since the start of a server; see `Report.Counters`.
 *
 * @category schemas
 */
export const Counters = Schema.Struct({
  accepted: Count,
  rejected: Count,
  failed: Count,
  limited: Count,
  heartbeats: Count,
  malformed: Count,
  votes: Count,
  missed: Count,
  conflicts: Count,
  failovers: Count,
  refuted: Schema.optional(Count),
  suspended: Schema.optional(Count)
}).annotations({ identifier: "Counters" })

const RejectedAtPort = Schema.Struct({
  unknown: Count,
  wrong: Count,
  absent: Count,
  malformed: Count,
  unfinished: Count,
  full: Count
}).annotations({ identifier: "RejectedAtPort" })

/**
 * Numbers of connections that were rejected by their keys, by port and reason; see `Reason` in `security/RejectedConnections`.
 *
 * @category schemas
 */
export const RejectedConnections = Schema.Struct({
  frontend: RejectedAtPort,
  state: RejectedAtPort,
  backend: RejectedAtPort
}).annotations({ identifier: "RejectedConnections" })

const Latency = Schema.Struct({
  count: Count,
  p50Millis: Schema.NullOr(Millis),
  p99Millis: Schema.NullOr(Millis),
  /** The histogram; differences of two give the quantiles of a shorter time. The last bucket has no bound. */
  buckets: Schema.Struct({ boundsMillis: Schema.Array(Millis), counts: Schema.Array(Count) })
})

/**
 * A right to serve that a server holds, and how long it lasts; `null`: until the witness or the peer gives one.
 *
 * @category schemas
 */
export const Right = Schema.Struct({
  of: Schema.Literal(...givers),
  leftMillis: Schema.NullOr(Millis)
}).annotations({ identifier: "Right" })

/**
 * The witness as a server sees it, and the rights of that server.
 *
 * @category schemas
 */
export const Witness = Schema.Struct({
  /** The engine and the pair's name there, without secrets. */
  endpoint: Schema.String,
  /** Identifies the register: the same on both servers if both use the same one. `null` before its first answer. */
  fingerprint: Schema.NullOr(Schema.String),
  /** That of the peer, as its heartbeats report it. */
  peerFingerprint: Schema.NullOr(Schema.String),
  /** Whether the latest question was answered, and why not. */
  isUp: Schema.Boolean,
  problem: Schema.NullOr(Schema.String),
  /** How long ago the witness answered last. */
  answeredMillisAgo: Schema.NullOr(Millis),
  /** The latest term that it has recorded, as this server saw it last. */
  record: Schema.NullOr(Schema.Struct({
    term: Term,
    holder: Role,
    /** Random id of the holder's process. */
    life: Schema.String,
    isReleased: Schema.Boolean
  })),
  /** The rights that this server holds now. */
  rights: Schema.Array(Right),
  /** How long a takeover still needs crash evidence. `null` while the state port is closed: the guard starts when it is opened. */
  guardMillis: Schema.NullOr(Millis),
  /** Swaps that found another record. */
  conflicts: Count,
  /** From a question to its answer. */
  latency: Latency
}).annotations({ identifier: "Witness" })

/**
 * The witness as a server sees it.
 *
 * @category models
 */
export interface Witness extends Schema.Schema.Type<typeof Witness> {}

/**
 * The status of a server. Optional fields are absent from servers of an earlier version.
 *
 * @category schemas
 */
export const NodeStatus = Schema.Struct({
  role: Role,
  state: State,
  /** Whether requests are answered now. */
  answers: Schema.Boolean,
  /** The term of an active server, once it has a number. */
  term: Schema.optional(Schema.NullOr(Term)),
  /** The time of the latest transition. */
  since: Time,
  ...why,
  policy: Schema.Literal(...Policies.policyNames),
  takeoverBlock: Schema.NullOr(TakeoverBlock),
  peer: Schema.Struct({
    endpoint: Schema.String,
    /** The state in its last heartbeat, and the age of that. */
    state: Schema.NullOr(PeerState),
    ageMillis: Schema.NullOr(Millis),
    /** Whether the peer timeout has passed or there is crash evidence: then a vote makes this server take over, unless takeovers are blocked. */
    isExpired: Schema.Boolean,
    /** Whether it sends nothing but digits: then it is of another implementation, and promises nothing. */
    isLegacy: Schema.optional(Schema.NullOr(Schema.Boolean)),
    /** What is wrong with its latest message, if it has sent nothing but malformed ones. */
    malformed: Schema.optional(Schema.NullOr(Schema.String)),
    /** For how long it has received none of this server's heartbeats, although its own arrive; `null` while that is short. */
    unreceivedMillis: Schema.optional(Schema.NullOr(Millis))
  }),
  /** `null`: the pair has none. */
  witness: Schema.optional(Schema.NullOr(Witness)),
  /** The latest suspension of the machine, by which its clock stood still. */
  suspension: Schema.optional(Schema.NullOr(Schema.Struct({ noticed: Time, millis: Millis }))),
  /** Addresses of this machine, of the host of `--peer`, and of the hosts of the witness, as far as they are known. */
  hosts: Schema.optional(Schema.Struct({
    own: Schema.Array(Schema.String),
    peer: Schema.Array(Schema.String),
    witness: Schema.Array(Schema.String)
  })),
  counters: Counters,
  /** Absent without keys. */
  rejectedConnections: Schema.optional(RejectedConnections),
  /** Of clients: the open ones, the rejected ones, and how often all were reset; see `Frontend.Connections`. */
  connections: Schema.Struct({ open: Count, rejected: Count, resets: Count }),
  /** Log lines of `bstar` that could not be written. */
  droppedLogLines: Count,
  /** From the arrival of a request to its reply, estimated from a histogram. */
  latency: Latency,
  config: Description,
  versions: Schema.Struct({ bstar: Schema.String, node: Schema.String }),
  host: Schema.String,
  pid: Count,
  uptimeMillis: Millis,
  now: Time,
  /** The URL of this status server. */
  http: Schema.String,
  /** The URL of the peer's status server, if it is configured. */
  peerHttp: Schema.NullOr(Schema.String)
}).annotations({ identifier: "NodeStatus" })

/**
 * The status of a server.
 *
 * @category models
 */
export interface NodeStatus extends Schema.Schema.Type<typeof NodeStatus> {}

/**
 * The status of both servers of a pair, as one of them reports it.
 *
 * @category schemas
 */
export const PairStatus = Schema.Struct({
  self: NodeStatus,
  /** `null`: the peer's status server is not configured. */
  peer: Schema.NullOr(Schema.Struct({
    status: Schema.NullOr(NodeStatus),
    /** Why there is no status. */
    error: Schema.NullOr(Schema.String),
    /** How long ago this status was requested. */
    ageMillis: Schema.NullOr(Millis)
  }))
}).annotations({ identifier: "PairStatus" })

/**
 * The status of both servers.
 *
 * @category models
 */
export interface PairStatus extends Schema.Schema.Type<typeof PairStatus> {}

/**
 * A transition of a server.
 *
 * @category schemas
 */
export const HistoryEntry = Schema.Struct({
  at: Time,
  /** `null`: the server has started. */
  from: Schema.NullOr(State),
  to: State,
  /** The term that begins or ends, if it has a number. */
  term: Schema.optional(Schema.NullOr(Term)),
  ...why
}).annotations({ identifier: "HistoryEntry" })

/**
 * A transition of a server.
 *
 * @category models
 */
export interface HistoryEntry extends Schema.Schema.Type<typeof HistoryEntry> {}

/**
 * A transition as an event of `/events`.
 *
 * @category schemas
 */
export const TransitionEvent = Schema.Struct({ role: Role, ...HistoryEntry.fields }).annotations({
  identifier: "TransitionEvent"
})

/**
 * A transition with the role of its server.
 *
 * @category models
 */
export interface TransitionEvent extends Schema.Schema.Type<typeof TransitionEvent> {}

const reason = Schema.String.pipe(Schema.filter((reason) => reason.trim() !== "" && reason.length <= 1000, {
  message: () => "expected a reason of at most 1000 characters",
  jsonSchema: { minLength: 1, maxLength: 1000 }
}))

/**
 * The body of a command: the operator's reason.
 *
 * @category schemas
 */
export const CommandBody = Schema.Struct({ reason }).annotations({ identifier: "CommandBody" })

/**
 * The body of `promote`: with `withoutWitness` the operator answers for the witness and the peer; with `switchover` the peer of this
 * server hands over.
 *
 * @category schemas
 */
export const PromoteBody = Schema.Struct({
  reason,
  withoutWitness: Schema.optional(Schema.Boolean),
  switchover: Schema.optional(Schema.Boolean)
}).annotations({
  identifier: "PromoteBody"
})

/**
 * The outcome of a command as a sentence.
 *
 * @category schemas
 */
export const Done = Schema.Struct({ message: Schema.String }).annotations({ identifier: "Done" })

/**
 * The outcome of a switchover. `waitedMillis` is the time without an active server.
 *
 * @category schemas
 */
export const SwitchedOver = Schema.Struct({ waitedMillis: Millis, message: Schema.String }).annotations({
  identifier: "SwitchedOver"
})

/**
 * The body of every error answer.
 *
 * @category schemas
 */
export const ErrorBody = Schema.Struct({ error: Schema.String }).annotations({ identifier: "ErrorBody" })

/**
 * An estimate of the quantile `part`, from 0 to 1, of a histogram: linear within a bucket. `undefined` without values.
 *
 * @category combinators
 */
export const quantile = ({ bounds, counts, sums }: Histogram, part: number): number | undefined => {
  const total = counts.reduce((sum, count) => sum + count, 0)
  let left = part * total
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && left <= count) {
      const lower = bounds[bucket - 1] ?? 0
      const upper = bounds[bucket]
      // The last bucket has no upper bound, but a mean.
      return upper === undefined ? sums[bucket]! / count : lower + (upper - lower) * left / count
    }
    left -= count
  }
  return undefined
}

/**
 * Converts monotonic instants to wall clock times. `now` is the monotonic time now.
 *
 * @category combinators
 */
export const wallClock = (now: number): Effect.Effect<(at: number) => string> =>
  Effect.map(Clock.currentTimeMillis, (wall) => (at) => DateTime.formatIso(DateTime.unsafeMake(wall - (now - at))))

const latencyOf = (histogram: Histogram): Schema.Schema.Type<typeof Latency> => ({
  count: histogram.counts.reduce((sum, count) => sum + count, 0),
  p50Millis: quantile(histogram, 0.5) ?? null,
  p99Millis: quantile(histogram, 0.99) ?? null,
  buckets: { boundsMillis: histogram.bounds, counts: histogram.counts }
})

const termOf = (term: Terms.Term | undefined): Term | null =>
  term === undefined ? null : { text: Terms.format(term), token: Terms.toToken(term) }

/**
 * A transition as JSON.
 *
 * @category constructors
 */
export const entryOf = (
  { at, cause, explanation, from, message, reason, term, to }: Transition,
  time: (at: number) => string
): HistoryEntry => ({
  at: time(at),
  from: from ?? null,
  to,
  term: termOf(term),
  cause,
  message,
  explanation: explanation ?? null,
  reason: reason ?? null
})

const blockOf = (
  block: Report["takeoverBlock"],
  time: (at: number) => string
): Schema.Schema.Type<typeof TakeoverBlock> | null => {
  switch (block?._tag) {
    case "Paused":
      return { kind: "paused", reason: block.reason, since: time(block.since) }
    case "Limited":
      return { kind: "limited", until: time(block.until) }
    case undefined:
      return null
  }
}

const rightsOf = (
  until: NonNullable<Report["witness"]>["rights"],
  at: number
): ReadonlyArray<Schema.Schema.Type<typeof Right>> =>
  givers.filter((giver) => until[giver] > at).map((giver) => ({
    of: giver,
    leftMillis: until[giver] === Number.POSITIVE_INFINITY ? null : until[giver] - at
  }))

const witnessOf = ({ at, witness }: Report): Witness | null => {
  if (witness === undefined) {
    return null
  }
  const {
    answeredAt,
    conflicts,
    endpoint,
    fingerprint,
    guardUntil,
    latency,
    peerFingerprint,
    problem,
    record,
    rights
  } = witness
  return {
    endpoint,
    fingerprint: fingerprint ?? null,
    peerFingerprint: peerFingerprint ?? null,
    isUp: answeredAt !== undefined && problem === undefined,
    problem: problem ?? null,
    answeredMillisAgo: answeredAt === undefined ? null : at - answeredAt,
    record: record === undefined ? null : {
      term: { text: Terms.format(record), token: Terms.toToken(record) },
      holder: record.holder,
      life: record.life,
      isReleased: record.isReleased
    },
    rights: rightsOf(rights, at),
    guardMillis: Number.isFinite(guardUntil) ? Math.max(0, guardUntil - at) : null,
    conflicts,
    latency: latencyOf(latency)
  }
}

/**
 * The status of the member now. `address` has the URLs of its status server and of its peer's, and `rejectedConnections` the counters of
 * a server with keys. `hosts` are the addresses of {@link Hosts}.
 *
 * @category constructors
 */
export const make = (address: {
  readonly http: string
  readonly peerHttp: string | undefined
  readonly rejectedConnections?: Rejected.RejectedConnections | undefined
  readonly hosts?: Hosts | undefined
}): Effect.Effect<NodeStatus, never, BinaryStar> =>
  Effect.gen(function*() {
    const { config, report, role } = yield* BinaryStar
    const current = yield* report
    const { answers, at, connections, counters, latency, peer, suspension, takeoverBlock, term, transition } = current
    const time = yield* wallClock(at)
    const { at: since, cause, explanation, message, reason, to } = entryOf(transition, time)
    return {
      role,
      state: to,
      answers,
      term: termOf(term),
      since,
      cause,
      message,
      explanation,
      reason,
      policy: config.policy,
      takeoverBlock: blockOf(takeoverBlock, time),
      peer: {
        endpoint: config.peerEndpoint,
        state: peer.state ?? null,
        ageMillis: peer.lastHeartbeatAt === undefined ? null : at - peer.lastHeartbeatAt,
        isExpired: peer.isExpired,
        isLegacy: peer.isLegacy ?? null,
        malformed: peer.malformed ?? null,
        unreceivedMillis: peer.unreceivedSince === undefined ? null : at - peer.unreceivedSince
      },
      witness: witnessOf(current),
      suspension: suspension === undefined ? null : { noticed: time(suspension.at), millis: suspension.millis },
      ...(address.hosts === undefined ? {} : { hosts: address.hosts }),
      counters,
      ...(address.rejectedConnections === undefined
        ? {}
        : { rejectedConnections: address.rejectedConnections.counts() }),
      connections,
      droppedLogLines: (yield* Metric.value(droppedLogLines)).count,
      latency: latencyOf(latency),
      config: describe(config),
      versions: { bstar: version, node: process.versions.node },
      host: os.hostname(),
      pid: process.pid,
      uptimeMillis: process.uptime() * 1000,
      now: time(at),
      http: address.http,
      peerHttp: address.peerHttp ?? null
    }
  })

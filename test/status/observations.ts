/** Observations of a pair, for the tests of what is judged by them. */
import type * as StateMachine from "../../src/protocol/StateMachine.ts"
import { type Observation, type Reached, withPeer } from "../../src/status/Observation.ts"
import type { NodeStatus, Witness } from "../../src/status/Status.ts"

type DeepPartial<A> = {
  readonly [K in keyof A]?: NonNullable<A[K]> extends object ? DeepPartial<NonNullable<A[K]>> | A[K] : A[K]
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const merge = <A>(base: A, patch: DeepPartial<A>): A =>
  Object.fromEntries(
    Object.entries({ ...base, ...patch }).map(([key, value]) => {
      const old = (base as Record<string, unknown>)[key]
      return [key, isPlain(value) && isPlain(old) ? merge(old, value) : value]
    })
  ) as A

export const now = "2026-01-31T12:00:00.000Z"

/** A server of a healthy pair: the primary is active for an hour, on a machine of its own. */
export const statusOf = (role: StateMachine.Role): NodeStatus => ({
  role,
  state: role === "primary" ? "ACTIVE" : "PASSIVE",
  answers: role === "primary",
  since: "2026-01-31T11:00:00.000Z",
  cause: "PeerBackup",
  message: "ready",
  explanation: null,
  reason: null,
  policy: "hardened",
  takeoverBlock: null,
  peer: {
    endpoint: role === "primary" ? "tcp://10.0.0.2:5004" : "tcp://10.0.0.1:5003",
    state: role === "primary" ? "PASSIVE" : "ACTIVE",
    ageMillis: 300,
    isExpired: false
  },
  counters: {
    accepted: 1,
    rejected: 0,
    failed: 0,
    limited: 0,
    heartbeats: 3600,
    malformed: 0,
    votes: 0,
    missed: 0,
    conflicts: 0,
    failovers: 0
  },
  connections: { open: 1, rejected: 0, resets: 0 },
  droppedLogLines: 0,
  latency: { count: 1, p50Millis: 1, p99Millis: 1, buckets: { boundsMillis: [1], counts: [1, 0] } },
  config: {
    frontend: "tcp://*:5001",
    stateEndpoint: role === "primary" ? "tcp://*:5003" : "tcp://*:5004",
    peerEndpoint: role === "primary" ? "tcp://10.0.0.2:5004" : "tcp://10.0.0.1:5003",
    heartbeatMillis: 1000,
    vote: "clients",
    lone: "wait",
    fencing: "optional",
    crashDetection: true,
    concurrency: 16,
    timeoutMillis: 30_000,
    drainMillis: 5000,
    maxFailovers: null,
    failoverWindowMillis: 3_600_000,
    limits: {
      maxMessageSize: 1_048_576,
      maxFrames: 256,
      maxPerClient: null,
      maxConnections: null,
      queue: 1024,
      handshakeTimeoutMillis: 5000,
      pingMillis: 10_000,
      keepAliveMillis: 60_000,
      maxMemory: 1_073_741_824
    }
  },
  versions: { bstar: "0.1.0", node: "20.20.0" },
  host: role === "primary" ? "a" : "b",
  pid: 1,
  uptimeMillis: 3_700_000,
  now,
  http: role === "primary" ? "http://10.0.0.1:5011" : "http://10.0.0.2:5011",
  peerHttp: role === "primary" ? "http://10.0.0.2:5011" : "http://10.0.0.1:5011"
})

export const reached = (status: NodeStatus, patch: Partial<Reached> = {}): Reached => ({
  _tag: "Reached",
  address: status.http,
  status,
  peer: undefined,
  commands: "On",
  requestedAt: 5000,
  durationMillis: 10,
  ...patch
})

/** The rejected connections of a server with keys. */
export const rejectedAtState = (
  reasons: { readonly unknown?: number; readonly wrong?: number }
): NodeStatus["rejectedConnections"] => {
  const none = { unknown: 0, wrong: 0, absent: 0, malformed: 0, unfinished: 0, full: 0 }
  return { frontend: none, backend: none, state: { ...none, ...reasons } }
}

export type Patch = DeepPartial<NodeStatus>

/** The witness of a healthy pair, as one of its servers sees it. */
export const witnessOf = (role: StateMachine.Role): Witness => ({
  endpoint: "etcd://10.0.0.3:2379/orders",
  fingerprint: "9b1f",
  peerFingerprint: "9b1f",
  isUp: true,
  problem: null,
  answeredMillisAgo: 200,
  record: { term: { text: "3.1", token: 196_609 }, holder: "primary", life: "aa01", isReleased: false },
  rights: role === "primary" ? [{ of: "witness", leftMillis: 1300 }, { of: "peer", leftMillis: 900 }] : [],
  guardMillis: role === "primary" ? 0 : 1800,
  conflicts: 0,
  latency: { count: 3600, p50Millis: 4, p99Millis: 9, buckets: { boundsMillis: [10], counts: [3600, 0] } }
})

/** What a server of a healthy pair with a witness reports beside {@link statusOf}. */
export const witnessed = (role: StateMachine.Role): Patch => ({
  policy: "witnessed",
  term: role === "primary" ? { text: "3.1", token: 196_609 } : null,
  peer: { isLegacy: false },
  witness: witnessOf(role),
  suspension: null,
  hosts: {
    own: [role === "primary" ? "10.0.0.1" : "10.0.0.2"],
    peer: [role === "primary" ? "10.0.0.2" : "10.0.0.1"],
    witness: ["10.0.0.3"]
  }
})

/** Two servers with a witness. */
export const witnessedPair = (primary: Patch = {}, backup: Patch = {}): readonly [Reached, Reached] =>
  pair(patched(witnessed("primary"), primary), patched(witnessed("backup"), backup))

const patched = (base: Patch, patch: Patch): Patch => merge<object>(base, patch) as Patch

/** Two servers, each with a copy of the other one's status. */
export const pair = (primary: Patch = {}, backup: Patch = {}): readonly [Reached, Reached] => {
  const a = merge(statusOf("primary"), primary)
  const b = merge(statusOf("backup"), backup)
  return [
    reached(a, { peer: { status: b, error: null, ageMillis: 200 } }),
    reached(b, { peer: { status: a, error: null, ageMillis: 200 } })
  ]
}

export const unreached: Observation = {
  _tag: "Unreached",
  address: "http://10.0.0.2:5011",
  error: "connection refused"
}

/**
 * A backup that took over from a lost primary `activeMillis` ago, and holds a copy of the primary's status, active,
 * that it requested `copyMillis` ago.
 */
export const takenOver = (activeMillis: number, copyMillis: number, patch: Patch = {}): ReadonlyArray<Observation> => {
  const since = new Date(Date.parse(now) - activeMillis).toISOString()
  const lost: Patch = { state: "ACTIVE", answers: true, since, peer: { isExpired: true } }
  return withPeer(reached(merge(merge(statusOf("backup"), lost), patch), {
    peer: { status: statusOf("primary"), error: null, ageMillis: copyMillis },
    durationMillis: 0
  }))
}

/**
 * Statuses of a healthy pair, and what differs from them.
 */
import type { PeerState, Role } from "../../src/protocol/StateMachine.ts"
import type { NodeStatus, PairStatus } from "../../src/status/Status.ts"
import { statusOf as healthy, witnessed, witnessOf } from "../status/observations.ts"

const addresses = { primary: "http://10.0.0.1:8001", backup: "http://10.0.0.2:8001" }
const endpoints = { primary: "tcp://10.0.0.1:5003", backup: "tcp://10.0.0.2:5003" }

/** The status of a server of a healthy pair, with the fields that differ. */
export const statusOf = (role: Role, different: Partial<NodeStatus> = {}): NodeStatus => {
  const base = healthy(role)
  return {
    ...base,
    since: "2026-01-31T12:00:00.000Z",
    cause: role === "primary" ? "PeerBackup" : "PeerActive",
    message: role === "primary"
      ? "connected to backup (passive), ready as active"
      : "connected to primary (active), ready as passive",
    peer: {
      endpoint: role === "primary" ? endpoints.backup : endpoints.primary,
      state: role === "primary" ? "PASSIVE" : "ACTIVE",
      ageMillis: 412,
      isExpired: false
    },
    counters: {
      accepted: 1_284_120,
      rejected: 3,
      failed: 0,
      limited: 0,
      heartbeats: 7204,
      malformed: 0,
      votes: 12,
      missed: 1,
      conflicts: 0,
      failovers: 1
    },
    latency: { count: 1_284_120, p50Millis: 0.42, p99Millis: 2.31, buckets: { boundsMillis: [1], counts: [1, 0] } },
    config: {
      ...base.config,
      stateEndpoint: endpoints[role],
      peerEndpoint: endpoints[role === "primary" ? "backup" : "primary"],
      concurrency: 1,
      timeoutMillis: null,
      maxFailovers: 3
    },
    host: role === "primary" ? "alpha" : "beta",
    pid: role === "primary" ? 4242 : 4343,
    uptimeMillis: 7_204_000,
    now: "2026-01-31T13:00:00.000Z",
    http: addresses[role],
    peerHttp: addresses[role === "primary" ? "backup" : "primary"],
    ...different
  }
}

/** The same of a pair with a witness. */
export const witnessedStatusOf = (role: Role, different: Partial<NodeStatus> = {}): NodeStatus =>
  statusOf(role, {
    policy: "witnessed",
    term: witnessed(role).term as NodeStatus["term"] & {},
    witness: witnessOf(role),
    ...different
  })

/** The pair as the primary sees it. */
export const pairStatusOf = (self = statusOf("primary"), peer = statusOf("backup")): PairStatus => ({
  self,
  peer: { status: peer, error: null, ageMillis: 0 }
})

/** The peer as far as heartbeats were received from it. */
export const received = (state: PeerState | null, isExpired: boolean): Pick<NodeStatus, "peer"> => ({
  peer: { endpoint: endpoints.backup, state, ageMillis: state === null ? null : isExpired ? 4000 : 400, isExpired }
})

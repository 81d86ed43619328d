/** Counts of rejected connections. Internal to the package: `Curve.Server` has them. */
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import type { Role } from "../protocol/StateMachine.ts"

/** A port of a server: for clients, for its peer, and for workers. */
export type Port = "frontend" | "state" | "backend"

/**
 * Why a connection was rejected.
 *
 * - `unknown`: its key is none of those that are accepted.
 * - `wrong`: it does not have this server's public key, or not the secret of its own.
 * - `absent`: it has no key.
 * - `malformed`: it violates the protocol.
 * - `unfinished`: it was closed during the handshake. Port scans do that, the peer when it looks for this process, and often a client
 *   without keys, which may notice the mismatch first.
 * - `full`: the limit of connections (`maxConnections`) is reached.
 */
export type Reason = "unknown" | "wrong" | "absent" | "malformed" | "unfinished" | "full"

/** Rejected connections by port and reason, since the start. */
export type Counts = { readonly [P in Port]: { readonly [R in Reason]: number } }

/** Counts rejected connections, also as the metric `bstar_rejected_connections_total`, by `role`, `port` and `reason`. */
export interface RejectedConnections {
  readonly count: (port: Port, reason: Reason) => void
  readonly counts: () => Counts
}

/** Counters of one server, all at 0. */
export const make = (role: Role): RejectedConnections => {
  const none = () => ({ unknown: 0, wrong: 0, absent: 0, malformed: 0, unfinished: 0, full: 0 })
  const counts = { frontend: none(), state: none(), backend: none() }
  return {
    count: (port, reason) => {
      counts[port][reason]++
      Metric.fromMetricKey(
        MetricKey.counter("bstar_rejected_connections_total", {
          description: "Connections that were rejected at the handshake.",
          incremental: true
        })
      ).pipe(
        Metric.tagged("role", role),
        Metric.tagged("port", port),
        Metric.tagged("reason", reason)
      ).unsafeUpdate(1, [])
    },
    counts: () => ({ frontend: { ...counts.frontend }, state: { ...counts.state }, backend: { ...counts.backend } })
  }
}

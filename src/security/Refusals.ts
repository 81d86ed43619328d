/**
 * Who was not let in, as numbers.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import type { Role } from "../protocol/StateMachine.ts"

/**
 * A port of a server that clients, the peer or workers connect to.
 *
 * @since 0.1.0
 * @category models
 */
export type Port = "frontend" | "state" | "backend"

/**
 * Why a connection was refused.
 *
 * - `unknown`: its key is none of those that are accepted.
 * - `wrong`: it does not have this server's public key, or not the secret of its own.
 * - `absent`: it came without CURVE.
 * - `malformed`: it did not speak as the protocol wants.
 * - `unfinished`: it hung up before it was through. That is what a port scan does, the peer when it looks whether this process is
 *   there, and often a client without CURVE, which may be the first of the two to see that they do not agree.
 * - `full`: there are as many connections as there may be (`maxConnections`).
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = "unknown" | "wrong" | "absent" | "malformed" | "unfinished" | "full"

/**
 * How many connections were refused why, since the start.
 *
 * @since 0.1.0
 * @category models
 */
export type Counts = { readonly [P in Port]: { readonly [R in Reason]: number } }

/**
 * Counts what is refused, also as the metric `bstar_refused_connections_total`, by `role`, `port` and `reason`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RejectedConnections {
  readonly count: (port: Port, reason: Reason) => void
  readonly counts: () => Counts
}

/**
 * Counters of one server, all at 0.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (role: Role): RejectedConnections => {
  const ofPort = () => ({ unknown: 0, wrong: 0, absent: 0, malformed: 0, unfinished: 0, full: 0 })
  const counts = { frontend: ofPort(), state: ofPort(), backend: ofPort() }
  return {
    count: (port, reason) => {
      counts[port][reason]++
      Metric.fromMetricKey(
        MetricKey.counter("bstar_refused_connections_total", {
          description: "Connections that were refused at the handshake.",
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

/**
 * What a server does, as metrics of Effect: for Prometheus, and for whatever else they are exported to.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isSliceOver, nextTurn } from "../internal/Scheduler.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Histogram, Report } from "../member/Report.ts"
import * as StateMachine from "../protocol/StateMachine.ts"

/**
 * The metrics of the member, which all have a label `role`.
 *
 * @since 0.1.0
 * @category tags
 */
export class Metrics extends Context.Tag("effect-binary-star/Metrics")<Metrics, {
  /** Brings them up to date, which is done once a second anyway. */
  readonly update: Effect.Effect<void>
}>() {}

interface Labels {
  readonly [name: string]: string
}

/** A metric that has its labels from the beginning is found without a search. */
const labelled = <Type extends MetricKeyType.MetricKeyType<any, any>>(
  key: MetricKey.MetricKey<Type>,
  labels: Labels
) =>
  Metric.fromMetricKey(
    MetricKey.taggedWithLabels(key, Object.entries(labels).map(([name, value]) => MetricLabel.make(name, value)))
  )

const gauge = (name: string, description: string, labels: Labels) => {
  const metric = labelled(MetricKey.gauge(name, { description }), labels)
  return (value: number) => metric.unsafeUpdate(value, [])
}

/** A counter that follows one that somebody else counts. */
const counter = (name: string, description: string, labels: Labels) => {
  const metric = labelled(MetricKey.counter(name, { description, incremental: true }), labels)
  let seen = 0
  metric.register()
  return (count: number) => {
    metric.unsafeUpdate(count - seen, [])
    seen = count
  }
}

const knownBoundaries = new Map<string, MetricBoundaries.MetricBoundaries>()

/** Effect takes two histograms for the same only where they share their boundaries. */
const boundariesOf = (seconds: ReadonlyArray<number>): MetricBoundaries.MetricBoundaries => {
  const name = seconds.join()
  const boundaries = knownBoundaries.get(name) ?? MetricBoundaries.fromIterable(seconds)
  knownBoundaries.set(name, boundaries)
  return boundaries
}

/**
 * A histogram in seconds that follows a distribution in milliseconds. It takes values one by one, so it is given the mean
 * of a bucket's new ones again and again, which takes 3 ms for 100,000 of them.
 */
const histogram = (name: string, description: string, labels: Labels, { bounds }: Histogram) => {
  const seconds = bounds.map((bound) => bound / 1000)
  const metric = labelled(
    MetricKey.histogram(name, boundariesOf(seconds), description),
    labels
  )
  const counts = bounds.map(() => 0).concat(0)
  const sums = [...counts]
  metric.register()
  return function*(distribution: Histogram) {
    for (const [bucket, count] of distribution.counts.entries()) {
      const sum = distribution.sums[bucket]!
      const added = count - counts[bucket]!
      // Rounding must not take it over the bound.
      const mean = Math.min((sum - sums[bucket]!) / added / 1000, seconds[bucket] ?? Number.POSITIVE_INFINITY)
      counts[bucket] = count
      sums[bucket] = sum
      for (let i = 0; i < added; i++) {
        metric.unsafeUpdate(mean, [])
        if (i % 1000 === 999 && isSliceOver()) {
          yield* nextTurn
        }
      }
    }
  }
}

const makeUpdate = (role: StateMachine.Role, first: Report) => {
  const states = StateMachine.states.map((state) => ({
    state,
    set: gauge("bstar_state", "1 for the state that the server is in, 0 for all others.", { role, state })
  }))
  const peerAge = gauge("bstar_peer_age_seconds", "How long ago the peer was last heard.", { role })
  const paused = gauge("bstar_paused", "1 while votes are ignored because an operator has paused the server.", { role })
  const damped = gauge("bstar_damped", "1 while votes are ignored because there were too many failovers.", { role })
  const missed = counter("bstar_missed_heartbeats_total", "Heartbeats at which the peer was overdue.", { role })
  const votes = counter("bstar_votes_total", "Requests that came while the server did not answer.", { role })
  const failovers = counter("bstar_failovers_total", "How often votes have made the server take over.", { role })
  const conflicts = counter("bstar_conflicts_total", "How often both servers were active, or both passive.", { role })
  const requests = (verdict: string) =>
    counter("bstar_requests_total", "Requests by what has become of them.", { role, verdict })
  const [accepted, rejected, failed] = [requests("accepted"), requests("rejected"), requests("failed")]
  const limited = requests("limited")
  const connections = gauge("bstar_connections", "Connections of clients.", { role })
  const refused = counter(
    "bstar_failed_handshakes_total",
    "Connections of clients that ended before both had said who they are.",
    { role }
  )
  const cut = counter("bstar_cuts_total", "How often all clients were cut off because of memory.", { role })
  const messages = (kind: string) => counter("bstar_peer_messages_total", "Messages from the peer.", { role, kind })
  const [heard, malformed] = [messages("heard"), messages("malformed")]
  const latency = histogram(
    "bstar_request_seconds",
    "From the arrival of a request to its reply.",
    { role },
    first.latency
  )
  const failover = histogram(
    "bstar_failover_seconds",
    "From the last word of the peer to a take-over.",
    { role },
    first.failover
  )
  return function*(report: Report) {
    const { at, counters, takeoverBlock, peer, transition } = report
    states.forEach(({ set, state }) => set(state === transition.to ? 1 : 0))
    if (peer.lastHeartbeatAt !== undefined) {
      peerAge((at - peer.lastHeartbeatAt) / 1000)
    }
    paused(takeoverBlock?._tag === "Paused" ? 1 : 0)
    damped(takeoverBlock?._tag === "Limited" ? 1 : 0)
    missed(counters.missed)
    votes(counters.votes)
    failovers(counters.failovers)
    conflicts(counters.conflicts)
    accepted(counters.accepted)
    rejected(counters.rejected)
    failed(counters.failed)
    limited(counters.limited)
    connections(report.connections.open)
    refused(report.connections.rejected)
    cut(report.connections.resets)
    heard(counters.heartbeats)
    malformed(counters.malformed)
    yield* latency(report.latency)
    yield* failover(report.failover)
  }
}

/**
 * Follows the member as long as the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Metrics["Type"], never, BinaryStar | Scope.Scope> = Effect.gen(function*() {
  const { report, role, transitions } = yield* BinaryStar
  const mutex = yield* Effect.makeSemaphore(1)
  const bringUpToDate = makeUpdate(role, yield* report)
  const update = Effect.flatMap(report, (report) => Effect.gen(() => bringUpToDate(report))).pipe(
    Effect.uninterruptible,
    mutex.withPermits(1)
  )
  const countTransitions = Stream.runForEach(transitions, ({ cause }) =>
    Effect.sync(() => {
      const key = MetricKey.counter("bstar_transitions_total", {
        description: "Changes of state by what caused them.",
        incremental: true
      })
      labelled(key, { role, cause }).unsafeUpdate(1, [])
    }))
  yield* Effect.all([
    // The end of the member is told by its `join`.
    Effect.exit(countTransitions),
    // Not only with the heartbeats, which may be an hour apart: who exports them wants them now.
    Effect.repeat(update, Schedule.spaced("1 second"))
  ], { concurrency: "unbounded" }).pipe(Effect.interruptible, Effect.forkScoped)
  return { update }
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Metrics, never, BinaryStar> = Layer.scoped(Metrics, make)

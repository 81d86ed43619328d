/**
 * The counters of a member as metrics of Effect, for Prometheus and other exporters.
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
import * as Term from "../protocol/Term.ts"
import { givers } from "./givers.ts"

/**
 * The metrics of the member. All have the label `role`.
 *
 * @category tags
 */
export class Metrics extends Context.Tag("effect-binary-star/Metrics")<Metrics, {
  /** Updates them now; they are updated once a second anyway. */
  readonly update: Effect.Effect<void>
}>() {}

interface Labels {
  readonly [name: string]: string
}

/** A metric whose labels are part of its key is found without a search. */
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

/** A counter that is set to the count of the member. */
const counter = (name: string, description: string, labels: Labels) => {
  const metric = labelled(MetricKey.counter(name, { description, incremental: true }), labels)
  let counted = 0
  metric.register()
  return (count: number) => {
    metric.unsafeUpdate(count - counted, [])
    counted = count
  }
}

const knownBoundaries = new Map<string, MetricBoundaries.MetricBoundaries>()

/** To Effect, histograms are the same only if they share their boundaries. */
const boundariesOf = (seconds: ReadonlyArray<number>): MetricBoundaries.MetricBoundaries => {
  const name = seconds.join()
  const boundaries = knownBoundaries.get(name) ?? MetricBoundaries.fromIterable(seconds)
  knownBoundaries.set(name, boundaries)
  return boundaries
}

/**
 * A copy, in seconds, of a histogram of the member. A histogram of Effect takes values one by one: it is given the mean of a
 * bucket's new values as often as there are any, 3 ms for 100,000. Counting there first would cost each request 200 ns instead
 * of 50, and members of one process would share the counts.
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
  return function*(histogram: Histogram) {
    for (const [bucket, count] of histogram.counts.entries()) {
      const sum = histogram.sums[bucket]!
      const added = count - counts[bucket]!
      // Rounding must not lift it above the bound.
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

interface Definition {
  readonly name: string
  readonly help: string
  readonly labels?: Labels
  /** `undefined`: not known yet. */
  readonly of: (report: Report) => number | undefined
}

const gauges: ReadonlyArray<Definition> = [
  ...StateMachine.states.map((state): Definition => ({
    name: "bstar_state",
    help: "1 for the state that the server is in, 0 for all others.",
    labels: { state },
    of: ({ transition }) => Number(transition.to === state)
  })),
  {
    name: "bstar_peer_age_seconds",
    help: "Time since the last heartbeat of the peer.",
    of: ({ at, peer: { lastHeartbeatAt } }) => lastHeartbeatAt === undefined ? undefined : (at - lastHeartbeatAt) / 1000
  },
  {
    name: "bstar_paused",
    help: "1 while votes are rejected because an operator has paused the server.",
    of: ({ takeoverBlock }) => Number(takeoverBlock?._tag === "Paused")
  },
  {
    name: "bstar_limited",
    help: "1 while votes are rejected because of the limit of failovers.",
    of: ({ takeoverBlock }) => Number(takeoverBlock?._tag === "Limited")
  },
  { name: "bstar_connections", help: "Connections of clients.", of: ({ connections }) => connections.open },
  {
    name: "bstar_term",
    help: "The fencing token of the term in which the server is active, or 0.",
    of: ({ term }) => term === undefined ? 0 : Term.toToken(term)
  }
]

const ofWitness =
  (of: (witness: NonNullable<Report["witness"]>, at: number) => number): Definition["of"] => ({ at, witness }) =>
    witness === undefined ? undefined : of(witness, at)

/** Those of a member with a witness. */
const witnessGauges: ReadonlyArray<Definition> = [
  {
    name: "bstar_witness_up",
    help: "1 while the witness answers.",
    of: ofWitness(({ answeredAt, problem }) => Number(answeredAt !== undefined && problem === undefined))
  },
  ...givers.map((giver): Definition => ({
    name: "bstar_right_seconds",
    help: "How long a right to serve lasts yet, by who has given it; 0 without one.",
    labels: { of: giver },
    of: ofWitness(({ rights }, at) => Math.max(0, rights[giver] - at) / 1000)
  }))
]

const witnessCounters: ReadonlyArray<Definition> = [
  {
    name: "bstar_witness_conflicts_total",
    help: "Records that the witness did not replace, because it had another one than expected.",
    of: ofWitness(({ conflicts }) => conflicts)
  }
]

const counted = (name: string, help: string, count: keyof Report["counters"], labels: Labels = {}): Definition => ({
  name,
  help,
  labels,
  of: ({ counters }) => counters[count]
})

const counters: ReadonlyArray<Definition> = [
  counted(
    "bstar_missed_heartbeats_total",
    "Heartbeats of this server at which that of the peer was overdue.",
    "missed"
  ),
  counted("bstar_votes_total", "Requests received while the server was not active.", "votes"),
  counted("bstar_failovers_total", "Takeovers by votes.", "failovers"),
  counted("bstar_conflicts_total", "Heartbeats of a peer that was active, or passive, like this server.", "conflicts"),
  counted(
    "bstar_refuted_evidence_total",
    "Crash evidence that was wrong: the same process of the peer had been running.",
    "refuted"
  ),
  counted("bstar_suspensions_total", "Suspensions of the machine, while its monotonic clock stood still.", "suspended"),
  ...(["accepted", "rejected", "failed", "limited"] as const).map((verdict) =>
    counted("bstar_requests_total", "Requests by their outcome.", verdict, { verdict })
  ),
  counted("bstar_peer_messages_total", "Messages from the peer.", "heartbeats", { kind: "heartbeat" }),
  counted("bstar_peer_messages_total", "Messages from the peer.", "malformed", { kind: "malformed" }),
  {
    name: "bstar_failed_handshakes_total",
    help: "Connections of clients that ended before the handshake was complete.",
    of: ({ connections }) => connections.rejected
  },
  {
    name: "bstar_connection_resets_total",
    help: "Disconnections of all clients at once, because of memory or open files.",
    of: ({ connections }) => connections.resets
  }
]

const makeUpdate = (role: StateMachine.Role, first: Report) => {
  const register = (make: typeof gauge, definitions: ReadonlyArray<Definition>) =>
    definitions.map(({ help, labels, name, of }) => ({ of, set: make(name, help, { role, ...labels }) }))
  const { witness } = first
  const metrics = [
    ...register(gauge, witness === undefined ? gauges : [...gauges, ...witnessGauges]),
    ...register(counter, witness === undefined ? counters : [...counters, ...witnessCounters])
  ]
  const questions = witness && histogram(
    "bstar_witness_request_seconds",
    "From a question to the witness to its answer.",
    { role },
    witness.latency
  )
  const latency = histogram(
    "bstar_request_seconds",
    "From the arrival of a request to its reply.",
    { role },
    first.latency
  )
  const failover = histogram(
    "bstar_failover_seconds",
    "From the last heartbeat of the peer to a takeover.",
    { role },
    first.failover
  )
  return function*(report: Report) {
    metrics.forEach(({ of, set }) => {
      const value = of(report)
      if (value !== undefined) {
        set(value)
      }
    })
    yield* latency(report.latency)
    yield* failover(report.failover)
    if (questions !== undefined && report.witness !== undefined) {
      yield* questions(report.witness.latency)
    }
  }
}

/**
 * Updates the metrics as long as the scope.
 *
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
        description: "Changes of state by their cause.",
        incremental: true
      })
      labelled(key, { role, cause }).unsafeUpdate(1, [])
    }))
  yield* Effect.all([
    // The end of the member is reported by its `join`.
    Effect.exit(countTransitions),
    // Not with the heartbeats: these may be an hour apart.
    Effect.repeat(update, Schedule.spaced("1 second"))
  ], { concurrency: "unbounded" }).pipe(Effect.interruptible, Effect.forkScoped)
  return { update }
})

/**
 * The metrics as a service.
 *
 * @category layers
 */
export const layer: Layer.Layer<Metrics, never, BinaryStar> = Layer.scoped(Metrics, make)

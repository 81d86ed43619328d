import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import { spawnSync } from "node:child_process"
import { BinaryStar } from "../../src/member/BinaryStar.ts"
import type { Report } from "../../src/member/Report.ts"
import * as Metrics from "../../src/status/Metrics.ts"
import * as prometheus from "../../src/status/Prometheus.ts"
import { call, startPair } from "../http/nodes.ts"
import { makePair, settle } from "../support/nodes.ts"
import { quiet } from "../support/sockets.ts"

const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined

const promtool = (text: string) => {
  const { status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" })
  assert.strictEqual(status, 0, stdout + stderr)
}

const scrape = (url: string) =>
  Effect.flatMap(call(`${url}/metrics`), (response) => {
    assert.strictEqual(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
    return Effect.promise(() => response.text())
  })

/** The value of a sample; 0 where there is none. */
const valueOf = (text: string, sample: string): number =>
  Number(text.split("\n").find((line) => line.startsWith(`${sample} `))?.slice(sample.length) ?? 0)

const rendered = Effect.map(Metric.snapshot, prometheus.render)

/** The lines about one name. */
const about = (text: string, name: string) => text.split("\n").filter((line) => line.includes(name))

describe("metrics", () => {
  it.scopedLive("/metrics: requests count once, by their outcome", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair()
      const samples = {
        accepted: `bstar_requests_total{role="primary",verdict="accepted"}`,
        rejected: `bstar_requests_total{role="backup",verdict="rejected"}`,
        votes: `bstar_votes_total{role="backup"}`,
        count: `bstar_request_seconds_count{role="primary"}`,
        bucket: `bstar_request_seconds_bucket{role="primary",le="+Inf"}`
      }
      // Other tests of this process count, too.
      const before = yield* scrape(primary.url)
      yield* Effect.all(Array.from({ length: 10 }, () => primary.request("x")), { concurrency: "unbounded" })
      yield* backup.vote
      yield* Effect.repeat(scrape(backup.url), {
        until: (text) => valueOf(text, samples.votes) > valueOf(before, samples.votes)
      })
      const after = yield* scrape(primary.url)
      const more = (sample: string) => valueOf(after, sample) - valueOf(before, sample)
      assert.deepStrictEqual(Object.values(samples).map(more), [10, 1, 1, 10, 10])
      assert.strictEqual(valueOf(after, `bstar_state{role="primary",state="ACTIVE"}`), 1)
      assert.strictEqual(valueOf(after, `bstar_state{role="primary",state="PASSIVE"}`), 0)
      assert.strictEqual(valueOf(after, `bstar_state{role="backup",state="PASSIVE"}`), 1)
      assert.isAbove(valueOf(after, `bstar_peer_messages_total{kind="heartbeat",role="primary"}`), 0)
      assert.isAtLeast(valueOf(after, `bstar_transitions_total{cause="PeerBackup",role="primary"}`), 1)
      assert.strictEqual(valueOf(yield* scrape(primary.url), samples.count), valueOf(after, samples.count))
    }), 30_000)

  it.scopedLive.skipIf(!hasPromtool)(
    "/metrics: promtool accepts it (skipped without promtool)",
    () =>
      Effect.gen(function*() {
        const { primary } = yield* startPair()
        yield* primary.request("x")
        promtool(yield* scrape(primary.url))
      }),
    30_000
  )

  it.scoped("histograms: values are in the buckets of the member, and count once", () =>
    Effect.gen(function*() {
      const pair = yield* makePair()
      const member = yield* pair.primary.start
      const { bounds } = (yield* member.report).failover
      const last = bounds.length
      const counts = new Array<number>(last + 1).fill(0)
      const sums = [...counts]
      const report = Effect.map(member.report, (report): Report => ({
        ...report,
        failover: { bounds, counts: [...counts], sums: [...sums] }
      }))
      const metrics = yield* Metrics.make.pipe(
        Effect.provideService(BinaryStar, { ...member, role: "backup", report })
      )
      const buckets = Effect.map(rendered, (text) =>
        [
          ...bounds.map((bound) => bound / 1000),
          "+Inf"
        ].map((le) => valueOf(text, `bstar_failover_seconds_bucket{role="backup",le="${le}"}`)))
      const start = yield* buckets
      const add = (bucket: number, count: number, each: number) => {
        counts[bucket]! += count
        sums[bucket]! += count * each
      }
      /** How many there are more than at the start, bucket by bucket. */
      const grown = Effect.map(buckets, (all) => {
        const more = all.map((count, i) => count - start[i]!)
        return more.map((count, i) => count - (more[i - 1] ?? 0))
      })
      const update = Effect.zipRight(metrics.update, grown)

      // What lies on a bound belongs below it.
      add(0, 3, bounds[0]!)
      add(2, 7, bounds[2]!)
      add(last, 1, bounds[last - 1]! + 1)
      assert.deepStrictEqual(yield* update, counts)
      assert.deepStrictEqual(yield* update, counts)
      add(1, 100_000, (bounds[0]! + bounds[1]!) / 2)
      assert.deepStrictEqual(yield* update, counts)
      yield* settle
    }).pipe(Effect.provide(quiet)))
})

describe("the text format", () => {
  it.effect("escapes what has to be, and makes names valid", () =>
    Effect.gen(function*() {
      const counter = Metric.counter("test.odd-name 1", { description: "a \\ and\na line", incremental: true })
      yield* Metric.incrementBy(counter.pipe(Metric.tagged("a label!", "\"quoted\" \\ and\na line")), 1)
      assert.deepStrictEqual(about(yield* rendered, "test_odd_name_1"), [
        "# HELP test_odd_name_1_total a \\\\ and\\na line",
        "# TYPE test_odd_name_1_total counter",
        `test_odd_name_1_total{a_label_="\\"quoted\\" \\\\ and\\na line"} 1`
      ])
    }))

  it.effect("has every kind of metric", () =>
    Effect.gen(function*() {
      yield* Metric.incrementBy(Metric.counter("test_ups", { description: "goes both ways" }), -2)
      yield* Metric.set(Metric.gauge("test_amount_bytes", { description: "big", bigint: true }), 2n ** 60n)
      yield* Metric.set(Metric.gauge("test_lowest"), Number.NEGATIVE_INFINITY)
      yield* Metric.update(Metric.frequency("test_keys", { description: "keys" }), "yes")
      const histogram = Metric.histogram(
        "test_spans",
        MetricBoundaries.linear({ start: 1, width: 1, count: 3 }),
        "spans"
      )
      yield* Effect.forEach([0.5, 1, 2.5, 9], (value) => Metric.update(histogram, value))
      const summary = Metric.summary({
        name: "test_sizes",
        maxAge: "1 minute",
        maxSize: 10,
        error: 0.01,
        quantiles: [0.5],
        description: "sizes"
      })
      yield* Metric.update(summary, 7)
      const text = yield* rendered
      assert.deepStrictEqual(about(text, "test_ups").slice(1), ["# TYPE test_ups gauge", "test_ups -2"])
      assert.deepStrictEqual(about(text, "test_amount_bytes").slice(2), ["test_amount_bytes 1152921504606846976"])
      assert.deepStrictEqual(about(text, "test_lowest"), [
        "# HELP test_lowest test_lowest",
        "# TYPE test_lowest gauge",
        "test_lowest -Inf"
      ])
      assert.deepStrictEqual(about(text, "test_keys").slice(1), [
        "# TYPE test_keys_total counter",
        `test_keys_total{key="yes"} 1`
      ])
      assert.deepStrictEqual(about(text, "test_spans").slice(1), [
        "# TYPE test_spans histogram",
        `test_spans_bucket{le="1"} 2`,
        `test_spans_bucket{le="2"} 2`,
        `test_spans_bucket{le="+Inf"} 4`,
        "test_spans_sum 13",
        "test_spans_count 4"
      ])
      assert.deepStrictEqual(about(text, "test_sizes").slice(1), [
        "# TYPE test_sizes summary",
        `test_sizes{quantile="0.5"} 7`,
        "test_sizes_sum 7",
        "test_sizes_count 1"
      ])
      if (hasPromtool) {
        promtool(text)
      }
    }))

  it.effect("never has a name with two types, nor a sample twice", () =>
    Effect.gen(function*() {
      yield* Metric.increment(Metric.counter("test_twice_total", { description: "one", incremental: true }))
      yield* Metric.increment(Metric.counter("test_twice_total", { description: "two", incremental: true }))
      yield* Metric.set(Metric.gauge("test_twice_total", { description: "three" }), 5)
      assert.deepStrictEqual(about(yield* rendered, "test_twice_total").slice(1), [
        "# TYPE test_twice_total counter",
        "test_twice_total 1"
      ])
    }))
})

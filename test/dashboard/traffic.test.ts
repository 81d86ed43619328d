import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import * as Traffic from "../../src/dashboard/page/traffic.ts"
import type { NodeStatus } from "../../src/status/Status.ts"
import { pairStatusOf, statusOf } from "./fakeStatus.ts"

const startMillis = Date.parse(statusOf("primary").now)

/** The pair some seconds later, with so many requests accepted by the primary since. */
const after = (
  seconds: number,
  accepted: number,
  counts: ReadonlyArray<number>,
  different: Partial<NodeStatus> = {}
) => {
  const { counters, uptimeMillis } = statusOf("primary")
  const status = statusOf("primary", {
    now: new Date(startMillis + seconds * 1000).toISOString(),
    uptimeMillis: uptimeMillis + seconds * 1000,
    counters: { ...counters, accepted: counters.accepted + accepted },
    latency: { count: 0, p50Millis: 9, p99Millis: 9, buckets: { boundsMillis: [1, 2], counts } },
    ...different
  })
  return pairOf(pairStatusOf(status), 0)
}

const measure = (...pairs: ReadonlyArray<ReturnType<typeof after>>) => pairs.reduce(Traffic.measurePair, Traffic.empty)

describe("traffic", () => {
  it("the rate and the latency are those between two statuses", () => {
    const { samples } = measure(after(0, 0, [500, 0, 7]), after(2, 1200, [500, 100, 7]))
    assert.deepInclude(samples[0], { primary: null, p50: null })
    assert.deepInclude(samples[1], { primary: 600, backup: null, p50: 1.5 })
  })

  it("statuses that follow closely keep the rate of before", () => {
    const { samples } = measure(after(0, 0, [0]), after(1, 100, [0]), after(1.2, 100, [0]), after(2, 200, [0]))
    assert.deepStrictEqual(samples.map(({ primary }) => primary), [null, 100, 100, 100])
  })

  it("a restarted process begins again, even with the same process id", () => {
    const restarted = { uptimeMillis: 10 }
    const { samples } = measure(after(0, 0, [0]), after(1, 100, [0]), after(2, -1000, [0], restarted))
    assert.strictEqual(samples.at(-1)?.primary, null)
  })

  it("samples of the last minutes are kept", () => {
    const seconds = Array.from({ length: 400 }, (_, i) => i)
    const { samples } = measure(...seconds.map((second) => after(second, second, [0])))
    assert.isAtMost(samples.length, Traffic.windowSeconds + 2)
    assert.strictEqual(samples.at(-1)?.at, startMillis / 1000 + 399)
  })

  it("quantile: is within the bucket that has the value, and does not decrease", () => {
    const bounds = [1, 2, 4, 8]
    const counts = FastCheck.array(FastCheck.nat(100), { minLength: 5, maxLength: 5 })
    FastCheck.assert(FastCheck.property(counts, (counts) => {
      const [p50, p99] = [0.5, 0.99].map((part) => Traffic.quantile(bounds, counts, part))
      if (counts.every((n) => n === 0)) {
        assert.isNull(p50)
        return
      }
      assert.isAtLeast(p50!, 0)
      assert.isAtMost(p99!, 8)
      assert.isAtLeast(p99!, p50!)
    }))
  })
})

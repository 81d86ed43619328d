import { assert, describe, it } from "@effect/vitest"
import { Meter } from "./meter.ts"

describe("a meter", () => {
  it("measures between the warm-up and the end, and counts all replies", () => {
    let cpu = 0
    const meter = new Meter({
      warmUpSeconds: 60,
      seconds: 1,
      requests: Infinity,
      cpu: () => ({ all: cpu += 10, loop: cpu / 2 })
    })
    const start = performance.now() + 60_000
    const reply = (millis: number) => meter.count(start + millis - 3, start + millis)
    assert.deepStrictEqual([-100, 0, 10, 999, 1001, 1002].map(reply), [true, true, true, true, false, false])
    const { latencies, seconds, ...rest } = meter.result()
    assert.deepStrictEqual(rest, { replies: 3, allReplies: 6, cpu: 10, loopCpu: 5 })
    assert.deepStrictEqual(latencies, [[3000, 3]])
    assert.closeTo(seconds, 1.001, 0.0001)
  })

  it("ends after a number of replies", () => {
    const meter = new Meter({ warmUpSeconds: 0, seconds: 60, requests: 2, cpu: () => ({ all: 0, loop: 0 }) })
    const now = performance.now() + 1
    assert.deepStrictEqual([1, 2, 3, 4].map(() => meter.count(now, now)), [true, true, false, false])
    assert.strictEqual(meter.result().replies, 2)
  })
})

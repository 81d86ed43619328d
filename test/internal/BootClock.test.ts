import { assert, describe, it } from "@effect/vitest"
import { BootClock, makeSuspension } from "../../src/internal/BootClock.ts"

/** Two clocks, and the function under test. `between` is how long the process is stopped between two readings. */
const makeClocks = () => {
  const clocks = { boot: 50_000, monotonic: 1000, between: 0 }
  const suspension = makeSuspension({
    boot: () => {
      clocks.monotonic += clocks.between
      clocks.boot += clocks.between
      return Math.floor(clocks.boot / 10) * 10
    },
    monotonic: () => clocks.monotonic
  })
  const run = (millis: number, suspendedMillis = 0) => {
    clocks.monotonic += millis
    clocks.boot += millis + suspendedMillis
    return suspension()
  }
  return { clocks, run }
}

describe("the boot clock", () => {
  it("suspension: what the boot clock is ahead of the monotonic one, once", () => {
    const { run } = makeClocks()
    assert.deepStrictEqual([run(0), run(1000), run(1000, 4000), run(1000), run(10, 250), run(1000)], [
      0,
      0,
      4000,
      0,
      250,
      0
    ])
  })

  it("suspension: steps of the clock and short differences are none", () => {
    const { run } = makeClocks()
    for (let i = 0; i < 1000; i++) {
      assert.strictEqual(run(i % 17, i % 2 === 0 ? 0 : -i % 2), 0)
    }
  })

  it("suspension: a process that is stopped while it reads the clocks was not suspended", () => {
    const { clocks, run } = makeClocks()
    run(0)
    clocks.between = 3000
    assert.strictEqual(run(1000), 0)
    clocks.between = 0
    assert.deepStrictEqual([run(1000), run(1000, 2000)], [0, 2000])
  })

  it("suspension: a system without a boot clock shows none", () => {
    const suspension = makeSuspension({ boot: () => undefined, monotonic: () => performance.now() })
    assert.deepStrictEqual([suspension(), suspension()], [0, 0])
  })

  it("this machine: neither clock runs away from the other", () => {
    const clocks = BootClock.defaultValue()
    const suspension = makeSuspension(clocks)
    suspension()
    const until = performance.now() + 300
    while (performance.now() < until) {
      assert.strictEqual(suspension(), 0)
    }
  })
})

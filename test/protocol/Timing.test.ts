import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { inequalities, inMillis, type Timing, timing } from "../../src/protocol/Timing.ts"

const broken = (changed: Timing): ReadonlyArray<string> =>
  inequalities.filter(({ isKept }) => !isKept(changed)).map(({ sentence }) => sentence)

const names = Object.keys(timing) as ReadonlyArray<keyof Timing>

describe("the timing of a pair", () => {
  it("keeps every inequality", () => {
    assert.deepStrictEqual(broken(timing), [])
  })

  for (const name of names) {
    it(`has no ${name} that could be three times as long, or a third, without breaking one`, () => {
      for (const factor of [3, 1 / 3]) {
        // A shorter delay is no fault, nor is a shorter probe.
        if (factor > 1 || (name !== "messageDelay" && name !== "probe")) {
          assert.isNotEmpty(broken({ ...timing, [name]: timing[name] * factor }), `${name} times ${factor}`)
        }
      }
    })
  }

  it.prop(
    "keeps its order in milliseconds, whatever the heartbeat",
    { heartbeatMillis: FastCheck.double({ min: 10, max: 3_600_000, noNaN: true }) },
    ({ heartbeatMillis }) => {
      const rules = { peerTimeoutMillis: timing.peerTimeout * heartbeatMillis }
      const inOrder = [...names].sort((a, b) => timing[a] - timing[b])
      const millis = inOrder.map((name) => inMillis(rules, timing[name]))
      assert.deepStrictEqual(millis, [...millis].sort((a, b) => a - b))
      assert.closeTo(inMillis(rules, 1), heartbeatMillis, heartbeatMillis * 1e-12)
    }
  )
})

import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { ConnectionEvent } from "../../src/zeromq/models.ts"
import * as Reconnect from "../../src/zeromq/reconnect.ts"

const target = (target: Partial<Reconnect.Target> = {}): Reconnect.Target => ({
  isName: false,
  addressCount: 1,
  isSecured: false,
  ...target
})

/** The reaction to the last of several steps. */
const after = (steps: ReadonlyArray<ConnectionEvent>, of: Reconnect.Target): Reconnect.Reaction => {
  let reaction: Reconnect.Reaction = { attempts: Reconnect.none, lookUp: undefined, nextAfterMillis: undefined }
  for (const step of steps) {
    reaction = Reconnect.onStep(reaction.attempts, step, of)
  }
  return reaction
}

describe("reconnect", () => {
  it("libzmq retries a single address: the connector does nothing until libzmq has given up", () => {
    assert.isUndefined(after(["failed", "opened", "failed"], target()).nextAfterMillis)
    assert.isUndefined(after(["opened", "connected", "lost"], target()).nextAfterMillis)
    assert.strictEqual(after(["opened", "failed", "ended"], target()).nextAfterMillis, 1000)
    assert.strictEqual(after(["opened", "connected", "lost", "ended"], target()).nextAfterMillis, 1000)
  })

  it("several addresses are tried in turns, with a pause after each round", () => {
    const pauses = [1, 2, 3, 4].map((count) =>
      after(Array<ConnectionEvent>(count).fill("failed"), target({ addressCount: 2 })).nextAfterMillis
    )
    assert.deepStrictEqual(pauses, [0, 200, 0, 200])
  })

  it("the time for an address doubles after each round, up to 16 seconds", () => {
    const two = target({ addressCount: 2 })
    const millis = [0, 2, 4, 20].map((failures) => Reconnect.openingMillis({ last: undefined, failures }, two))
    assert.deepStrictEqual(millis, [1000, 2000, 4000, 16_000])
    assert.isUndefined(Reconnect.openingMillis({ last: "opened", failures: 0 }, two))
    assert.isUndefined(Reconnect.openingMillis(Reconnect.none, target()))
  })

  it("the security retries failed handshakes itself", () => {
    const secured = target({ isSecured: true, addressCount: 2 })
    assert.isUndefined(after(["opened", "failed"], secured).nextAfterMillis)
    assert.isUndefined(after(["opened", "failed", "ended"], secured).nextAfterMillis)
    assert.strictEqual(after(["opened", "connected", "lost", "ended"], secured).nextAfterMillis, 1000)
  })

  it("a name is looked up from the first failure until the next connection, an address never", () => {
    const step = FastCheck.constantFrom<ConnectionEvent>("opened", "connected", "lost", "failed", "ended")
    const targets = FastCheck.record({
      isName: FastCheck.boolean(),
      addressCount: FastCheck.nat({ max: 4 }),
      isSecured: FastCheck.boolean()
    })
    FastCheck.assert(FastCheck.property(FastCheck.array(step, { minLength: 1 }), targets, (steps, target) => {
      const last = steps.at(-1)!
      const { attempts, lookUp } = after(steps, target)
      assert.strictEqual(lookUp === "Start", target.isName && (last === "lost" || last === "failed"))
      assert.strictEqual(lookUp === "Stop", last === "connected")
      assert.isAtMost(attempts.failures, steps.filter((step) => step === "failed").length)
    }))
  })
})

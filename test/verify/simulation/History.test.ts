import { assert, describe, it } from "@effect/vitest"
import { History } from "../../../src/verify/simulation/History.ts"

const make = () => new History(() => 5, { keepLines: true })

describe("a history", () => {
  it("two servers that answer alternately are counted, and a violation once that is enforced", () => {
    const history = make()
    const alternate = () => {
      for (const role of ["primary", "backup", "primary"] as const) {
        history.onAnswer(role)
        history.check()
      }
    }
    history.onState("primary", "ACTIVE")
    history.onState("backup", "PRIMARY")
    alternate()
    assert.isAbove(history.dual.count, 0)
    assert.deepStrictEqual(history.violations, [])
    history.enforce()
    alternate()
    assert.strictEqual(history.violations[0]?.property, "DualAnswer")
  })

  it("a server that answers after it took over from a paused peer violates nothing", () => {
    const history = make()
    history.enforce()
    history.onState("primary", "ACTIVE")
    history.onAnswer("primary")
    history.check()
    history.onPause("primary", true)
    history.onState("backup", "ACTIVE")
    history.onAnswer("backup")
    history.check()
    assert.deepStrictEqual(history.violations, [])
    assert.strictEqual(history.takeOvers, 2)
  })

  it("different events give different fingerprints", () => {
    const [one, other] = [make(), make()]
    one.note("a")
    other.note("b")
    assert.notStrictEqual(one.fingerprint, other.fingerprint)
    assert.deepStrictEqual(one.lines, ["5.000 a"])
  })
})

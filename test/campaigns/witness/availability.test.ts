import { assert, describe, it } from "@effect/vitest"
import type { Change } from "./availability.ts"
import { longestGap, spansOf } from "./availability.ts"

const whole = { from: 0, to: 100 }

const down = (at: number, ...facts: ReadonlyArray<string>): ReadonlyArray<Change> =>
  facts.map((fact) => ({ at, fact, isUp: false }))

const up = (at: number, ...facts: ReadonlyArray<string>): ReadonlyArray<Change> =>
  facts.map((fact) => ({ at, fact, isUp: true }))

const millis = (changes: ReadonlyArray<Change>, answers: ReadonlyArray<number>, stalls = [] as Array<typeof whole>) =>
  longestGap(changes, answers, stalls, whole).millis

describe("the time in which facts hold", () => {
  it("spans: all facts are up at first", () => {
    assert.deepStrictEqual(spansOf([], ["a"], whole), [whole])
  })

  it("spans: those in which one of the facts is down are left out", () => {
    const changes = [...down(20, "b"), ...down(10, "a"), ...up(30, "b"), ...up(40, "a"), ...down(50, "c")]
    assert.deepStrictEqual(spansOf(changes, ["a", "b"], whole), [{ from: 0, to: 10 }, { from: 40, to: 100 }])
  })
})

describe("the longest time without an answer", () => {
  it("no answer: it counts while any two of the three can talk", () => {
    assert.strictEqual(millis([], [10, 40, 90]), 50)
    assert.strictEqual(millis(down(0, "witness"), [10, 40, 90]), 50)
    assert.strictEqual(millis(down(0, "primary"), [10, 40, 90]), 50)
    assert.strictEqual(millis(down(0, "primary>backup"), []), 100)
  })

  it("no answer: it does not count while a minority is left", () => {
    assert.strictEqual(millis(down(0, "primary", "witness"), []), 0)
    assert.strictEqual(millis([...down(20, "primary", "witness"), ...up(70, "primary")], []), 30)
    assert.strictEqual(millis(down(0, "primary>backup", "primary>witness", "backup>witness"), []), 0)
  })

  it("no answer: it does not count where clients do not reach the only server that has to answer", () => {
    assert.strictEqual(millis(down(0, "primary", "clients>backup"), []), 0)
  })

  it("no answer: other two of the three that can talk later begin anew", () => {
    const changes = [...down(0, "backup"), ...down(60, "primary"), ...up(60, "backup")]
    assert.strictEqual(millis(changes, []), 60)
  })

  it("no answer: the stalls of this process do not count", () => {
    assert.strictEqual(millis([], [10, 90], [{ from: 5, to: 20 }, { from: 50, to: 60 }]), 60)
  })
})

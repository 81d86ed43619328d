import { assert, describe, it } from "@effect/vitest"
import type { Strike } from "./disturbances.ts"
import { disturbance, kinds, wiresOf } from "./disturbances.ts"

const choices = { kinds, heartbeatMillis: 200, most: 3 }

const rounds = Array.from({ length: 1000 }, (_, i) => disturbance(7, i, choices))

describe("disturbances of a pair with a witness", () => {
  it("disturbances: a seed and a round draw the same again", () => {
    assert.deepStrictEqual(disturbance(7, 3, choices), rounds[3])
    assert.notDeepEqual(disturbance(8, 3, choices), rounds[3])
  })

  it("disturbances: all kinds are drawn, and up to three at once", () => {
    assert.deepStrictEqual(
      kinds.filter((kind) => rounds.flat().filter((strike) => strike.kind === kind).length < 50),
      []
    )
    assert.deepStrictEqual([...new Set(rounds.map(({ length }) => length))].sort(), [1, 2, 3])
  })

  it("disturbances: a process is struck once in a round", () => {
    const processes = ({ kind, target }: Strike) =>
      kind.startsWith("witness-") ? ["witness"] : ["kill", "term", "stop", "power"].includes(kind) ? [target] : []
    for (const round of rounds) {
      const struck = round.flatMap(processes)
      assert.strictEqual(new Set(struck).size, struck.length)
    }
  })

  it("disturbances: a direction is as seen from the target", () => {
    const strike: Strike = {
      kind: "isolate",
      target: "active",
      direction: "out",
      afterMillis: 0,
      lastsMillis: 1,
      delayMillis: 0,
      delayed: "peer"
    }
    assert.deepStrictEqual(wiresOf(strike, "backup", "primary"), [["backup", "primary"], ["backup", "witness"]])
    assert.deepStrictEqual(wiresOf({ ...strike, kind: "peer", direction: "in" }, "backup", "primary"), [
      ["primary", "backup"]
    ])
    assert.strictEqual(wiresOf({ ...strike, kind: "power" }, "backup", "primary").length, 6)
  })
})

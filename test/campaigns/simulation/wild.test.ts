import { assert, describe, it } from "@effect/vitest"
import { batch, simulationSuite, total } from "./simulation.ts"

describe("a simulated pair on a faulty network", () => {
  simulationSuite("wild")

  it(
    "simulation, wild: dual answers occur while the network is faulty, which is unavoidable without a third party",
    async () => {
      assert.isAbove(total(await batch("wild", "hardened", 1, 20), ({ dual }) => dual.count), 0)
    },
    60_000
  )
})

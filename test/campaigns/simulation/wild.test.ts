import { assert, describe, it } from "@effect/vitest"
import { batch, simulationSuite, total } from "./simulation.ts"

describe("a simulated pair whose network does what it likes", () => {
  simulationSuite("wild")

  it("has two that answer meanwhile, as no pair without a third party can help", async () => {
    assert.isAbove(total(await batch("wild", "hardened", 1, 20), ({ dual }) => dual.count), 0)
  }, 60_000)
})

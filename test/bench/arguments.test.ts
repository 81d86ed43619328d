import { assert, describe, it } from "@effect/vitest"
import { parse } from "./arguments.ts"
import { scenarios } from "./scenarios/index.ts"

describe("the command line of the benchmark", () => {
  it("without arguments, everything is measured", () => {
    assert.deepStrictEqual(parse([]), {
      names: Object.keys(scenarios),
      options: { rounds: 5, seconds: 1.5, warmUpSeconds: 2, requests: 1_000_000 },
      quick: false,
      compare: undefined,
      json: false
    })
  })

  it("scenarios and numbers can be chosen", () => {
    const parsed = parse(["latency", "idle", "--rounds", "2", "--seconds", "0.5", "--compare", "a.json", "--json"])
    assert.deepStrictEqual(parsed?.names, ["latency", "idle"])
    assert.deepInclude(parsed?.options, { rounds: 2, seconds: 0.5 })
    assert.deepInclude(parsed, { compare: "a.json", json: true })
  })

  it("--quick measures less, and not as long", () => {
    const parsed = parse(["--quick", "--rounds", "9"])
    assert.isFalse(parsed?.names.includes("events"))
    assert.deepInclude(parsed?.options, { rounds: 9, seconds: 0.25 })
    assert.deepStrictEqual(parse(["--quick", "idle"])?.names, ["idle"])
  })

  it("--help asks for no run", () => {
    assert.isUndefined(parse(["--help"]))
  })

  it.each([
    [["nonsense"], /no scenario nonsense/],
    [["toString"], /no scenario toString/],
    [["--rounds", "1.5"], /--rounds 1\.5/],
    [["--seconds", "0"], /--seconds 0/],
    [["--requests", "x"], /--requests x/],
    [["--load", "node"], /--load/]
  ])("%j is rejected", (args, reason) => {
    assert.throws(() => parse(args), reason)
  })
})

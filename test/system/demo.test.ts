import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bstar } from "../support/processes.ts"

describe("bstar demo", () => {
  it.scopedLive("explains itself, loses no request, and says how long each failover took and what to try next", () =>
    Effect.gen(function*() {
      const demo = yield* bstar(["demo"])
      assert.deepStrictEqual(yield* demo.exit, { code: 0, signal: null })
      const own = demo.lines.filter((line) => line.startsWith("demo    | ")).map((line) =>
        line.slice("demo    | ".length)
      )
      assert.match(own[1]!, /^Policy hardened: /)
      assert.deepStrictEqual(own.flatMap((line) => /^\d\./.exec(line) ?? []), ["1.", "2.", "3.", "4."])
      const end = own.findIndex((line) =>
        /^Done: 0 of \d+ requests lost, failover in \d+ ms, and back in \d+ ms\.$/.test(line)
      )
      assert.isAtLeast(end, 0)
      assert.match(own.slice(end).join("\n"), /Try next:[^]*demo --dashboard[^]*init pair/)
      assert.match(demo.lines.at(-1)!, /^demo /)
      assert.notInclude(demo.stdout(), "\x1b")
      assert.strictEqual(demo.stderr(), "")
    }))

  it.scopedLive("with --dashboard runs until it is interrupted, and prints addresses that answer", () =>
    Effect.gen(function*() {
      const demo = yield* bstar(["demo", "--dashboard"])
      yield* demo.waitForLine(/Ctrl-C ends all/)
      const addresses = demo.lines.flatMap((line) => /dashboard of the \w+: +(http:\S+)$/.exec(line)?.[1] ?? [])
      assert.lengthOf(addresses, 2)
      for (const address of addresses) {
        const response = yield* Effect.promise(() => fetch(address))
        assert.strictEqual(response.status, 200)
        assert.match(yield* Effect.promise(() => response.text()), /<html/)
      }
      yield* demo.kill("SIGINT")
      assert.deepStrictEqual(yield* demo.exit, { code: 0, signal: null })
    }))
})

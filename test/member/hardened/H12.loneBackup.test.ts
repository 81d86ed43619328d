import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { afterPeerTimeout, beforePeerTimeout } from "../../support/times.ts"
import { hardenedPair, startWithPeer } from "./support.ts"

describe("H12 lone backup", () => {
  it.scoped("F1 a backup that receives nothing logs one warning per burst, with the remedy", () =>
    Effect.gen(function*() {
      const { backup } = yield* hardenedPair()
      yield* backup.start
      const warnings = () => backup.log.filter((line) => line.startsWith("votes are rejected"))
      for (let i = 0; i < 10; i++) {
        assert.strictEqual(yield* backup.request("x"), undefined)
        yield* TestClock.adjust("1 seconds")
      }
      assert.deepStrictEqual(warnings(), [
        "votes are rejected: no heartbeat from the primary at tcp://localhost:5003 for 3 s, waiting for it; " +
        "start the primary, or bstar promote"
      ])
    }))

  it.scoped("a backup that has lost its primary takes over after two heartbeats and two more", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("backup")
      yield* peer.reports("1")
      yield* TestClock.adjust(beforePeerTimeout)
      assert.strictEqual(yield* node.request("too early"), undefined)
      assert.strictEqual(yield* member.state, "BACKUP")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* node.request("still too early"), undefined)
      assert.strictEqual(yield* member.state, "REJOINING")
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* node.request("now"), "now")
      assert.deepStrictEqual(node.log.slice(-2), [
        "primary was lost before it became active, rejoining",
        "failover successful, ready as active"
      ])
    }))

  for (const lone of ["wait", "serve"] as const) {
    it.scoped(`a backup that has received nothing ${lone === "serve" ? "serves" : "waits"} with lone = ${lone}`, () =>
      Effect.gen(function*() {
        const { backup } = yield* hardenedPair({ lone })
        const member = yield* backup.start
        yield* TestClock.adjust(afterPeerTimeout)
        assert.strictEqual(yield* backup.request("too early"), undefined)
        assert.strictEqual(yield* member.state, lone === "serve" ? "REJOINING" : "BACKUP")
        yield* TestClock.adjust(afterPeerTimeout)
        assert.strictEqual(yield* backup.request("now"), lone === "serve" ? "now" : undefined)
      }))
  }

  it.scoped("a backup with lone = serve rejects while a subscriber is connected, and logs why once per burst", () =>
    Effect.gen(function*() {
      const { member, node } = yield* startWithPeer("backup", { lone: "serve" })
      for (let i = 0; i < 9; i++) {
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(yield* node.request("x"), undefined)
      }
      assert.strictEqual(yield* member.state, "BACKUP")
      const warnings = node.log.filter((line) => line.startsWith("votes are rejected"))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "a subscriber is connected to")
    }))
})

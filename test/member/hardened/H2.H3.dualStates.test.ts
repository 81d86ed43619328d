import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { settle } from "../../support/nodes.ts"
import { afterPeerTimeout } from "../../support/times.ts"
import { gated, startWithPeer } from "./support.ts"

describe("H2 dual actives and H3 dual passives", () => {
  it.scoped("H2 an active primary stays, an active backup rejects and steps down", () =>
    Effect.gen(function*() {
      const primary = yield* startWithPeer("primary")
      yield* primary.peer.reports("2")
      yield* primary.peer.reports("3")
      assert.strictEqual(yield* primary.member.state, "ACTIVE")
      assert.strictEqual(yield* primary.node.request("x"), "x")

      const backup = yield* startWithPeer("backup")
      yield* backup.peer.reports("3")
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* backup.node.request("x"), "x")
      yield* backup.peer.reports("3")
      assert.strictEqual(yield* backup.member.state, "CONTESTED")
      yield* TestClock.adjust("2 seconds")
      yield* backup.peer.reports("3")
      assert.strictEqual(yield* backup.node.request("x"), undefined)
      assert.strictEqual(yield* backup.member.state, "CONTESTED")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* backup.node.request("x"), undefined)
      assert.strictEqual(yield* backup.member.state, "PASSIVE")
      assert.deepStrictEqual(backup.node.log.slice(-2), [
        "both are active, waiting for primary to step down",
        "both are active, ready as passive"
      ])
    }))

  it.scoped("H2 F6 an active primary whose peer stays active logs one error per burst", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.reports("2")
      const errors = () => node.log.filter((line) => line.startsWith("two servers are active"))
      for (let i = 0; i < 9; i++) {
        yield* peer.reports("3")
        yield* TestClock.adjust("1 seconds")
      }
      assert.strictEqual(errors().length, 1)
      assert.strictEqual(yield* member.state, "ACTIVE")
      yield* TestClock.adjust("11 seconds")
      yield* peer.reports("3")
      assert.strictEqual(errors().length, 2)
    }))

  it.scoped("H2 a backup that steps down drops replies to requests that it accepted before", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { member, node, peer } = yield* startWithPeer("backup", {}, handler)
      yield* peer.reports("3")
      yield* TestClock.adjust(afterPeerTimeout)
      const [one, two] = [yield* node.send("one"), yield* node.send("two")]
      yield* peer.reports("3")
      assert.strictEqual(yield* member.state, "CONTESTED")
      yield* finish("one")
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* node.request("now"), undefined)
      assert.strictEqual(yield* member.state, "PASSIVE")
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* node.request("now"), "now")
      yield* finish("two")
      assert.deepStrictEqual([[...one], [...two]], [[], []])
    }))

  it.scoped("H3 a passive primary becomes active, a passive backup stays", () =>
    Effect.gen(function*() {
      const primary = yield* startWithPeer("primary")
      yield* primary.peer.reports("3")
      yield* primary.peer.reports("4")
      assert.strictEqual(yield* primary.member.state, "ACTIVE")
      assert.strictEqual(primary.node.log.at(-1), "both are passive, ready as active")

      const backup = yield* startWithPeer("backup")
      yield* backup.peer.reports("3")
      yield* backup.peer.reports("4")
      assert.strictEqual(yield* backup.member.state, "PASSIVE")
      assert.strictEqual(yield* backup.node.request("x"), undefined)
    }))

  for (const role of ["primary", "backup"] as const) {
    it.scoped(`a ${role} survives every sequence of three heartbeats`, () =>
      Effect.gen(function*() {
        const { member, node, peer } = yield* startWithPeer(role)
        const messages = ["1", "2", "3", "4", "junk"]
        // Every message after every pair of messages.
        for (const one of messages) {
          for (const two of messages) {
            for (const three of messages) {
              yield* Effect.forEach([one, two, three], (message) => peer.publish({ state: [Buffer.from(message)] }))
              yield* settle
            }
          }
          yield* node.request("x")
        }
        yield* TestClock.adjust(afterPeerTimeout)
        assert.strictEqual(yield* node.request("x"), "x")
        assert.strictEqual(yield* member.state, "ACTIVE")
        assert.deepInclude(yield* member.counters, { heartbeats: 300, malformed: 75 })
      }))
  }
})

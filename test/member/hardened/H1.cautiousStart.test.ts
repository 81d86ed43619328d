import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { foreignPeer, settle } from "../../support/nodes.ts"
import { afterConnectionTimeout, beforePeerTimeout } from "../../support/times.ts"
import { hardenedPair, peerDown, requestBoth, startPair, startWithPeer } from "./support.ts"

describe("H1 cautious start", () => {
  it.scoped("a lone primary rejects for two heartbeats, then becomes active on the next vote", () =>
    Effect.gen(function*() {
      const { primary } = yield* hardenedPair({ crashDetection: false })
      const member = yield* primary.start
      assert.strictEqual(yield* primary.request("at once"), undefined)
      yield* TestClock.adjust(beforePeerTimeout)
      assert.strictEqual(yield* primary.request("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.strictEqual(yield* primary.request("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.strictEqual(primary.log.at(-1), "no heartbeat from backup, ready as active")
    }))

  it.scoped("a primary becomes active sooner by crash evidence", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* hardenedPair()
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      yield* Scope.extend(foreignPeer(links.backup), scope)
      yield* primary.start
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* primary.request("too early"), undefined)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.strictEqual(yield* primary.request("now"), "now")
      assert.deepStrictEqual(primary.log.slice(1), [peerDown("backup"), "no heartbeat from backup, ready as active"])
    }))

  it.scoped("a primary becomes active on BACKUP and passive on ACTIVE", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.reports("2")
      assert.strictEqual(yield* node.request("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
      const second = yield* startWithPeer("primary")
      yield* second.peer.reports("3")
      assert.strictEqual(yield* second.node.request("now"), undefined)
      assert.strictEqual(yield* second.member.state, "PASSIVE")
    }))

  it.scoped("a primary that restarts while the backup is active becomes passive and never replies", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.primary.kill
      yield* TestClock.adjust(afterConnectionTimeout)
      assert.strictEqual(yield* pair.backup.request("x"), "x")
      const again = yield* pair.primary.start
      assert.deepStrictEqual(new Set(yield* requestBoth(pair, 4)), new Set(["backup"]))
      assert.strictEqual(yield* again.state, "PASSIVE")
      assert.strictEqual(yield* pair.members.backup.state, "ACTIVE")
    }))

  for (const pause of [0, 50, 950, 1999]) {
    it.scoped(`a primary that restarts within ${pause} ms never replies while the backup does`, () =>
      Effect.gen(function*() {
        const pair = yield* startPair({ crashDetection: false })
        yield* TestClock.adjust("300 millis")
        yield* pair.primary.kill
        yield* TestClock.adjust(pause)
        const again = yield* pair.primary.start
        const answers = yield* requestBoth(pair, 5)
        assert.isAbove(answers.length, 0)
        assert.sameMembers([yield* again.state, yield* pair.members.backup.state], ["ACTIVE", "PASSIVE"])
      }))
  }
})

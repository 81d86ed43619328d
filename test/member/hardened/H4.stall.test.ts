import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Handler from "../../../src/member/Handler.ts"
import { foreignPeer, makePair } from "../../support/nodes.ts"
import {
  afterConnectionTimeout,
  afterPeerTimeout,
  beforePeerTimeout,
  heartbeat,
  stallTime
} from "../../support/times.ts"
import {
  gated,
  hardenedPair,
  other,
  peerDown,
  requestBoth,
  restartingAsPrimary,
  startPair,
  startWithPeer
} from "./support.ts"

describe("H4 stall", () => {
  it.scoped("a stalled primary ignores heartbeats from before, publishes 1 at once and restarts", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.reports("2")
      yield* TestClock.adjust("1 seconds")
      // At its start and to a subscriber that joins, when it became active, and with a heartbeat.
      assert.deepStrictEqual(peer.received, ["1", "1", "3", "3"])
      yield* node.stall
      const waiting = yield* node.send("it waits")
      for (let i = 0; i < 30; i++) {
        yield* peer.reports("3")
        yield* TestClock.adjust("100 millis")
      }
      const { heartbeats } = yield* member.counters
      yield* node.resume
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.strictEqual((yield* member.counters).heartbeats, heartbeats)
      assert.deepStrictEqual(peer.received.slice(0, 5), ["1", "1", "3", "3", "1"])
      assert.strictEqual(node.log.at(-1), restartingAsPrimary)
      assert.deepStrictEqual([...waiting], [])
      // From here on everything is as after a start.
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(new Set(peer.received.slice(4)), new Set(["1"]))
      assert.strictEqual(yield* node.request("x"), undefined)
      yield* peer.reports("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual(yield* node.request("x"), undefined)
      assert.deepStrictEqual([...waiting], [])
    }))

  it.scoped("a stalled primary ignores a heartbeat that would have made it active", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.reports("3")
      yield* node.stall
      yield* TestClock.adjust("5 seconds")
      yield* peer.reports("2")
      const waiting = yield* node.send("it waits")
      yield* node.resume
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.deepStrictEqual([...waiting], [])
    }))

  it.scoped("a stalled primary becomes active after two silent heartbeats", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.reports("2")
      yield* node.stall
      yield* TestClock.adjust("1 minute")
      yield* node.resume
      yield* TestClock.adjust(beforePeerTimeout)
      assert.strictEqual(yield* node.request("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* node.request("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  /** A backup that was active, and has stalled. */
  const rejoining = Effect.gen(function*() {
    const started = yield* startWithPeer("backup")
    const { member, node, peer } = started
    yield* peer.reports("3")
    yield* TestClock.adjust(afterPeerTimeout)
    assert.strictEqual(yield* node.request("x"), "x")
    yield* TestClock.adjust(heartbeat)
    yield* node.stall
    yield* TestClock.adjust("3 seconds")
    yield* node.resume
    assert.strictEqual(yield* member.state, "REJOINING")
    assert.deepStrictEqual(peer.received.slice(0, 8), ["2", "2", "4", "4", "4", "3", "3", "2"])
    // A heartbeat was due as well.
    assert.deepStrictEqual(peer.received.slice(8).filter((state) => state !== "4"), [])
    peer.received.length = 0
    assert.strictEqual(node.log.at(-1), "this process stalled, rejoining")
    return started
  })

  it.scoped("a stalled backup reports PASSIVE, and takes over after two silent heartbeats", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* rejoining
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(peer.received, ["4", "4"])
      assert.strictEqual(yield* node.request("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* node.request("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  for (const state of ["1", "4"]) {
    it.scoped(`a stalled backup reports 2 on each ${state}, and waits for two heartbeats more`, () =>
      Effect.gen(function*() {
        const { member, node, peer } = yield* rejoining
        yield* peer.reports(state)
        yield* peer.reports(state)
        assert.deepStrictEqual(peer.received, ["2", "2"])
        yield* TestClock.adjust("1500 millis")
        yield* peer.reports(state)
        yield* TestClock.adjust(beforePeerTimeout)
        assert.strictEqual(yield* node.request("too early"), undefined)
        assert.strictEqual(yield* member.state, "REJOINING")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* node.request("now"), "now")
      }))
  }

  it.scoped("a stalled backup follows an active primary", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* rejoining
      yield* peer.reports("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual(node.log.at(-1), "connected to primary (active), ready as passive")
    }))

  it.scoped("a stalled backup that was never paired waits for its primary", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("backup")
      yield* node.stall
      yield* TestClock.adjust("3 seconds")
      yield* node.resume
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* node.request("x"), undefined)
      assert.strictEqual(yield* member.state, "BACKUP")
      assert.deepStrictEqual(new Set(peer.received), new Set(["2"]))
    }))

  it.scoped("a stalled backup ignores crash evidence from during the stall", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* hardenedPair()
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(links.primary), scope)
      const member = yield* backup.start
      yield* peer.reports("3")
      yield* backup.stall
      yield* TestClock.adjust("3 seconds")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 millis")
      yield* backup.resume
      assert.strictEqual(yield* backup.request("too early"), undefined)
      assert.strictEqual(yield* member.state, "REJOINING")
      assert.notInclude(backup.log, peerDown("primary"))
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* backup.request("now"), "now")
    }))

  it.scoped("a stalled server drops replies of handlers that completed during the stall", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { member, node, peer } = yield* startWithPeer("primary", {}, handler)
      yield* peer.reports("2")
      const early = yield* node.send("early")
      const slow = yield* node.send("slow")
      yield* finish("early")
      assert.deepStrictEqual([...early], ["early"])
      yield* node.stall
      yield* finish("slow")
      yield* TestClock.adjust("3 seconds")
      yield* node.resume
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...slow], [])
      assert.strictEqual(yield* node.request("now"), "now")
      assert.strictEqual((yield* member.counters).failed, 0)
    }))

  it.scoped("a stalled server drops replies of handlers that started before the stall", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { node, peer } = yield* startWithPeer("primary", {}, handler)
      yield* peer.reports("2")
      const [one, two] = [yield* node.send("one"), yield* node.send("two")]
      yield* node.stall
      yield* TestClock.adjust("3 seconds")
      yield* node.resume
      yield* finish("one")
      yield* peer.reports("2")
      assert.strictEqual(yield* node.request("now"), "now")
      yield* finish("two")
      assert.deepStrictEqual([[...one], [...two]], [[], []])
    }))

  it.scoped("a stall shorter than one and a half heartbeats has no effect", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.reports("2")
      for (let i = 0; i < 3; i++) {
        yield* TestClock.adjust(heartbeat)
        yield* peer.reports("4")
        yield* node.stall
        const waiting = yield* node.send("it waits")
        yield* TestClock.adjust("1497 millis")
        yield* node.resume
        assert.deepStrictEqual([...waiting], ["it waits"])
        assert.strictEqual(yield* member.state, "ACTIVE")
        // Heartbeats continue at the times when they are due.
        yield* TestClock.adjust("500 millis")
      }
      yield* TestClock.adjust(heartbeat)
      yield* node.stall
      yield* TestClock.adjust("1500 millis")
      yield* node.resume
      assert.strictEqual(yield* member.state, "PRIMARY")
    }))

  it.scoped("a pair: the peer takes over, the stalled server follows, and never do both reply", () =>
    Effect.gen(function*() {
      for (const active of ["primary", "backup"] as const) {
        const pair = yield* startPair({ crashDetection: false })
        if (active === "backup") {
          yield* pair.primary.kill
          yield* TestClock.adjust(afterConnectionTimeout)
          assert.strictEqual(yield* pair.backup.request("x"), "x")
          yield* pair.primary.start
          yield* TestClock.adjust("2 seconds")
        }
        yield* pair[active].stall
        const waiting = yield* pair[active].send("it waits")
        yield* TestClock.adjust("2100 millis")
        assert.strictEqual(yield* pair[other[active]].request("x"), "x")
        yield* pair[active].resume
        assert.deepStrictEqual(new Set(yield* requestBoth(pair, 4)), new Set([other[active]]))
        assert.deepStrictEqual([...waiting], [])
        yield* Effect.zipRight(pair.primary.stop, pair.backup.stop)
      }
    }))

  it.scoped("a pair without votes during the stall pairs again, and one server replies", () =>
    Effect.gen(function*() {
      for (const sleeper of ["primary", "backup"] as const) {
        const pair = yield* startPair({ crashDetection: false })
        yield* pair[sleeper].stall
        yield* TestClock.adjust("1 minute")
        yield* pair[sleeper].resume
        assert.isAbove((yield* requestBoth(pair, 5)).length, 20)
        yield* Effect.zipRight(pair.primary.stop, pair.backup.stop)
      }
    }))

  it.scoped("a pair of which both servers stalled pairs again, and one server replies", () =>
    Effect.gen(function*() {
      const pair = yield* startPair({ crashDetection: false })
      yield* pair.primary.stall
      yield* pair.backup.stall
      yield* TestClock.adjust("1 minute")
      yield* pair.backup.resume
      yield* pair.primary.resume
      assert.isAbove((yield* requestBoth(pair, 6)).length, 20)
    }))

  it.scoped("a passive classic primary takes over from a stalled active backup, and does not end", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(Handler.echo, { primary: "classic", backup: "hardened" }, { crashDetection: false })
      yield* pair.primary.start
      yield* pair.backup.start
      yield* TestClock.adjust("3 seconds")
      yield* pair.primary.kill
      yield* TestClock.adjust(afterConnectionTimeout)
      assert.strictEqual(yield* pair.backup.request("x"), "x")
      const primary = yield* pair.primary.start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* primary.state, "PASSIVE")
      yield* pair.backup.stall
      yield* TestClock.adjust(stallTime)
      yield* pair.backup.resume
      assert.strictEqual(yield* primary.state, "ACTIVE")
      assert.deepStrictEqual(new Set(yield* requestBoth(pair, 4)), new Set(["primary"]))
    }))

  it.scoped("a classic server is not affected", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair()
      const peer = yield* foreignPeer(links.backup)
      const member = yield* primary.start
      yield* peer.reports("2")
      yield* primary.stall
      const waiting = yield* primary.send("it waits")
      yield* TestClock.adjust("5 seconds")
      yield* primary.resume
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.deepStrictEqual([...waiting], ["it waits"])
    }))
})

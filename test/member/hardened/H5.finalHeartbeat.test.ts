import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { NodeOptions } from "../../support/nodes.ts"
import { foreignPeer, makePair, settle } from "../../support/nodes.ts"
import { afterConnectionTimeout, afterPeerTimeout, heartbeat } from "../../support/times.ts"
import { gated, requestBoth, startPair, startWithPeer } from "./support.ts"

describe("H5 final heartbeat", () => {
  it.scoped("a passive primary takes over at once from a backup that stops", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startPair({ crashDetection: false })
      yield* primary.kill
      yield* TestClock.adjust(afterConnectionTimeout)
      assert.strictEqual(yield* backup.request("x"), "x")
      const again = yield* primary.start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* again.state, "PASSIVE")
      assert.strictEqual(yield* members.backup.state, "ACTIVE")
      yield* backup.stop
      yield* settle
      assert.strictEqual(yield* again.state, "ACTIVE")
      assert.strictEqual(yield* primary.request("now"), "now")
      assert.strictEqual(backup.log.at(-1), "stopped cleanly")
    }))

  it.scoped("a legacy backup takes over two heartbeats after a primary that stops", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startPair({ crashDetection: false }, undefined, "legacy")
      yield* primary.stop
      yield* settle
      assert.strictEqual(yield* members.backup.state, "REJOINING")
      assert.strictEqual(yield* backup.request("too early"), undefined)
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* backup.request("now"), "now")
      assert.strictEqual(yield* members.backup.state, "ACTIVE")
    }))

  it.scoped("a primary that restarts at once is active once a legacy backup has received its heartbeat", () =>
    Effect.gen(function*() {
      const pair = yield* startPair({ crashDetection: false }, undefined, "legacy")
      yield* pair.primary.stop
      const again = yield* pair.primary.start
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* again.state, "ACTIVE")
      assert.deepStrictEqual(new Set(yield* requestBoth(pair, 4)), new Set(["primary"]))
      assert.strictEqual(yield* pair.members.backup.state, "PASSIVE")
    }))

  for (
    const [role, number, histories] of [
      ["primary", "1", [
        [[], []],
        [["2"], ["3"]],
        [["3"], ["4"]],
        [["3", "2"], ["4", "3"]]
      ]],
      ["backup", "2", [
        [[], []],
        [["3"], ["4"]],
        [["3", "2"], ["4", "3"]]
      ]]
    ] as const
  ) {
    it.scoped(`a ${role} publishes its role's number last, in every state`, () =>
      Effect.gen(function*() {
        for (const [reported, published] of histories) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { node, peer } = yield* startWithPeer(role)
            yield* Effect.forEach(reported, (state) => peer.reports(state))
            yield* node.stop
            yield* TestClock.adjust("5 seconds")
            assert.deepStrictEqual(peer.received, [number, number, ...published, number])
          }))
        }
      }))
  }

  it.scoped("a stopping server completes accepted requests, rejects new ones, and stays active until then", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { backup, members, primary } = yield* startPair({}, handler)
      const [one, two] = [yield* primary.send("one"), yield* primary.send("two")]
      const { accepted } = yield* members.primary.counters
      const stopping = yield* Effect.fork(primary.stop)
      yield* settle
      const late = yield* primary.send("now")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* backup.request("now"), undefined)
      yield* finish("two")
      yield* finish("one")
      yield* Fiber.join(stopping)
      yield* settle
      assert.deepStrictEqual([[...one], [...two], [...late]], [["one"], ["two"], []])
      assert.strictEqual((yield* members.primary.counters).accepted, accepted)
      assert.isTrue(primary.log.includes("stopped cleanly"))
    }))

  it.scoped("the final heartbeat follows the last reply", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { node, peer } = yield* startWithPeer("primary", {}, handler)
      yield* peer.reports("2")
      const slow = yield* node.send("slow")
      const stopping = yield* Effect.fork(node.stop)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(peer.received, ["1", "1", "3", "3", "3"])
      yield* finish("slow")
      yield* Fiber.join(stopping)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...slow], ["slow"])
      assert.deepStrictEqual(peer.received, ["1", "1", "3", "3", "3", "1"])
    }))

  /** Stops a server one of whose handlers never answers, and looks whether that has ended after some time. */
  const stopsWithin = (millis: number, options: NodeOptions) =>
    Effect.gen(function*() {
      const { handler } = gated()
      const { node, peer } = yield* startWithPeer("primary", options, handler)
      yield* peer.reports("2")
      yield* node.send("never")
      yield* TestClock.adjust("10 millis")
      const stopping = yield* Effect.fork(node.stop)
      yield* TestClock.adjust(millis)
      const hasStopped = (yield* Fiber.poll(stopping))._tag === "Some"
      // So that the test ends in any case.
      yield* TestClock.adjust(options.heartbeat ?? heartbeat)
      yield* TestClock.adjust(options.drain ?? "10 seconds")
      yield* Fiber.join(stopping)
      assert.strictEqual(peer.received.at(-1), "1")
      return hasStopped
    })

  it.scoped("a stopping server waits no longer than its drain, then publishes its final heartbeat", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* stopsWithin(2999, { drain: "3 seconds" }))
      assert.isTrue(yield* stopsWithin(3001, { drain: "3 seconds" }))
      assert.isTrue(yield* stopsWithin(3001, { drain: "3 seconds", heartbeat: "1 minute" }))
      assert.isTrue(yield* stopsWithin(1, { drain: 0 }))
    }))

  it.scoped("a classic server drains as well, without a final heartbeat", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { links, primary } = yield* makePair(handler)
      const peer = yield* foreignPeer(links.backup)
      yield* primary.start
      yield* peer.reports("2")
      const slow = yield* primary.send("slow")
      const stopping = yield* Effect.fork(primary.stop)
      yield* TestClock.adjust("1 seconds")
      yield* finish("slow")
      yield* Fiber.join(stopping)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...slow], ["slow"])
      assert.deepStrictEqual(peer.received, ["1", "1", "3", "3"])
      assert.strictEqual(primary.log.at(-1), "interrupted")
    }))
})

import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Lease from "../../src/command/Lease.ts"
import { monotonicMillis } from "../../src/internal/Clock.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type * as BinaryStarConfig from "../../src/settings/BinaryStarConfig.ts"
import { foreignPeer, settle } from "../support/nodes.ts"

/** The end of a primary with a lease, whose messages are taken, and its peer. The heartbeat is a second. */
const makeLease = Effect.fnUntraced(function*(options: Partial<BinaryStarConfig.Options> = {}) {
  const links = yield* PeerLink.makeMemory
  const peer = yield* foreignPeer(links.legacy.backup)
  const context = yield* Layer.build(
    Layer.provide(Lease.layer({ role: "primary", policy: "hardened", ...options }), links.primary)
  )
  const link = Context.get(context, PeerLink.PeerLink)
  const { probe, peerTermEnded, until } = Context.get(context, Lease.Lease)
  yield* Effect.forkScoped(Stream.runDrain(link.messages))
  yield* settle
  /** How many milliseconds from now. */
  const left = Effect.zipWith(
    Effect.orDie(Effect.flatten(Stream.runHead(until))),
    monotonicMillis,
    (at, now) => at - now
  )
  /** Whether the peer's time is over now. */
  const isOver = Effect.gen(function*() {
    const waiting = yield* Effect.fork(peerTermEnded)
    yield* settle
    const isDone = waiting.unsafePoll() !== null
    yield* Fiber.interrupt(waiting)
    return isDone
  })
  return { probe, isOver, left, link, peer, peerTermEnded }
})

const active = { state: [Buffer.from("3")] }

describe("a lease", () => {
  it.scoped("lasts for one and a half heartbeats from each heartbeat", () =>
    Effect.gen(function*() {
      const { left, link } = yield* makeLease()
      assert.strictEqual(yield* left, 1500)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* left, 500)
      yield* link.publish(active)
      assert.strictEqual(yield* left, 1500)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* left, -500)
    }))

  it.scoped("counts from before the heartbeat is sent", () =>
    Effect.gen(function*() {
      const links = yield* PeerLink.makeMemory
      const slow = Layer.project(links.primary, PeerLink.PeerLink, PeerLink.PeerLink, (link) => ({
        ...link,
        publish: (message) => Effect.delay(link.publish(message), "1 second")
      }))
      const context = yield* Layer.build(
        Layer.provide(Lease.layer({ role: "primary", policy: "hardened" }), slow)
      )
      const began = yield* monotonicMillis
      const publishing = yield* Effect.fork(Context.get(context, PeerLink.PeerLink).publish(active))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(publishing)
      const until = yield* Effect.flatten(Stream.runHead(Context.get(context, Lease.Lease).until))
      assert.strictEqual(until - began, 1500)
    }))

  it.scoped("of the peer ends two heartbeats after its last ACTIVE", () =>
    Effect.gen(function*() {
      const { isOver, peer, peerTermEnded } = yield* makeLease()
      yield* TestClock.adjust("10 seconds")
      yield* peer.reports("3")
      const waiting = yield* Effect.fork(peerTermEnded)
      yield* TestClock.adjust("1500 millis")
      // Another ACTIVE extends a pending wait.
      yield* peer.reports("3")
      yield* TestClock.adjust("1999 millis")
      assert.isNull(waiting.unsafePoll())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(waiting)
      assert.isTrue(yield* isOver)
    }))

  for (const digit of ["1", "2", "4"]) {
    it.scoped(`of the peer ends when it reports ${digit}`, () =>
      Effect.gen(function*() {
        const { isOver, peer, peerTermEnded } = yield* makeLease()
        yield* TestClock.adjust("10 seconds")
        yield* peer.reports("3")
        const waiting = yield* Effect.fork(peerTermEnded)
        yield* settle
        assert.isNull(waiting.unsafePoll())
        yield* peer.reports(digit)
        yield* Fiber.join(waiting)
        assert.isTrue(yield* isOver)
      }))
  }

  it.scoped("of a peer that is unknown, or after a reset, may last for two heartbeats", () =>
    Effect.gen(function*() {
      const { isOver, link, peer } = yield* makeLease()
      yield* TestClock.adjust("1999 millis")
      assert.isFalse(yield* isOver)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(yield* isOver)
      yield* peer.reports("4")
      yield* link.reset
      assert.isFalse(yield* isOver)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(yield* isOver)
    }))

  it.scoped("of the previous process may last for half a heartbeat", () =>
    Effect.gen(function*() {
      const { isOver, peer } = yield* makeLease()
      yield* peer.reports("2")
      assert.isFalse(yield* isOver)
      yield* TestClock.adjust("500 millis")
      assert.isTrue(yield* isOver)
    }))

  it.scoped("F23 is renewed by a refused connection, once the peer is silent for two heartbeats", () =>
    Effect.gen(function*() {
      const { probe, peer } = yield* makeLease()
      const expected = { endpoint: "tcp://localhost:5004", leaseMillis: 1500 }
      assert.deepStrictEqual(yield* probe, expected)
      yield* peer.reports("4")
      assert.isUndefined(yield* probe)
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(yield* probe)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* probe, expected)
    }))

  for (const options of [{ policy: "classic", crashDetection: true }, { crashDetection: false }] as const) {
    it.scoped(`F23 is renewed by heartbeats alone with ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        const { probe } = yield* makeLease(options)
        assert.isUndefined(yield* probe)
      }))
  }

  it.scoped("is not changed by malformed messages", () =>
    Effect.gen(function*() {
      const { isOver, peer } = yield* makeLease()
      yield* TestClock.adjust("10 seconds")
      yield* peer.reports("3")
      yield* peer.reports("7")
      yield* peer.reports("2", "2")
      assert.isFalse(yield* isOver)
    }))
})

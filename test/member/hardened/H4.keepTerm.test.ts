import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { PeerLink } from "../../../src/ports/PeerLink.ts"
import type { Role } from "../../../src/protocol/StateMachine.ts"
import type { NodeOptions } from "../../support/nodes.ts"
import { foreignPeer, makePair, settle } from "../../support/nodes.ts"
import { stallTime } from "../../support/times.ts"
import { gated, hardenedPair, other, restartingAsPrimary } from "./support.ts"

describe("H4 keeping the term", () => {
  /** An active server that has lost its peer, right after a heartbeat, and what runs while it is active. */
  const startLone = (role: Role, options: NodeOptions = {}, link: Partial<PeerLink["Type"]> = {}) =>
    Effect.gen(function*() {
      const { handler, finish } = gated()
      const pair = yield* makePair(handler, "hardened", options, { [role]: link })
      const peers = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(pair.links[other[role]]), peers)
      const node = pair[role]
      const member = yield* node.start
      yield* peer.reports(role === "primary" ? "2" : "3")
      yield* Scope.close(peers, Exit.void)
      yield* TestClock.adjust("3 seconds")
      yield* node.request("now")
      assert.strictEqual(yield* member.state, "ACTIVE")
      yield* TestClock.adjust("3 seconds")
      const term: Array<string> = []
      yield* member.whileActive(Effect.acquireUseRelease(
        Effect.sync(() => term.push("begins")),
        () => Effect.never,
        () => Effect.sync(() => term.push("ends"))
      )).pipe(Effect.forkScoped)
      yield* settle
      return { finish, links: pair.links, member, node, peers, term }
    })

  const keepsTerm = "this process stalled, but it has no peer (connection refused), still active"

  for (const role of ["primary", "backup"] as const) {
    it.scoped(`F23 an active ${role} keeps its term if its peer's state port refuses connections`, () =>
      Effect.gen(function*() {
        const { finish, member, node, term } = yield* startLone(role)
        const pending = yield* node.send("pending")
        yield* node.stall
        const waiting = yield* node.send("now")
        yield* finish("pending")
        // Up to two heartbeats after its last one.
        yield* TestClock.adjust(role === "primary" ? 1600 : 1997)
        yield* node.resume
        assert.strictEqual(yield* member.state, "ACTIVE")
        assert.deepStrictEqual(term, ["begins"])
        assert.strictEqual(node.log.at(-1), keepsTerm)
        assert.deepStrictEqual([[...pending], [...waiting]], [["pending"], ["now"]])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* node.request("now"), "now")
      }))
  }

  it.scoped("F23 a peer that starts right after a kept term is followed as before", () =>
    Effect.gen(function*() {
      const { links, member, node } = yield* startLone("primary")
      yield* node.stall
      yield* TestClock.adjust(stallTime)
      yield* node.resume
      const peer = yield* foreignPeer(links.backup)
      yield* settle
      assert.deepStrictEqual(peer.received, ["3"])
      yield* peer.reports("4")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  const ends: ReadonlyArray<readonly [string, number, NodeOptions]> = [
    ["the stall is longer than two heartbeats", 1998, {}],
    ["crash detection is off", 1600, { crashDetection: false }]
  ]
  for (const [why, millis, options] of ends) {
    it.scoped(`F23 the term ends if ${why}`, () =>
      Effect.gen(function*() {
        const { member, node, term } = yield* startLone("primary", options)
        yield* node.stall
        yield* TestClock.adjust(millis)
        yield* node.resume
        assert.strictEqual(yield* member.state, "PRIMARY")
        assert.deepStrictEqual(term, ["begins", "ends"])
        assert.strictEqual(node.log.at(-1), restartingAsPrimary)
      }))
  }

  it.scoped("F23 the term ends if the peer's state port is open, with or without a heartbeat", () =>
    Effect.gen(function*() {
      for (const state of ["4", undefined]) {
        const { links, member, node, term } = yield* startLone("primary")
        yield* node.stall
        const peer = yield* foreignPeer(links.backup)
        yield* state === undefined ? Effect.void : peer.reports(state)
        yield* TestClock.adjust(stallTime)
        yield* node.resume
        assert.strictEqual(yield* member.state, "PRIMARY")
        assert.deepStrictEqual(term, ["begins", "ends"])
      }
    }))

  it.scoped("F23 the term ends if the peer was not expired before the stall, even if it is down after it", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* hardenedPair()
      const peers = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(links.backup), peers)
      const member = yield* primary.start
      yield* peer.reports("2")
      yield* TestClock.adjust("1 second")
      yield* peer.reports("4")
      yield* primary.stall
      yield* Scope.close(peers, Exit.void)
      yield* TestClock.adjust(stallTime)
      yield* primary.resume
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.strictEqual(primary.log.at(-1), restartingAsPrimary)
    }))

  it.scoped("F23 the term ends if the refusal is late or another stall follows, and no request is answered meanwhile", () =>
    Effect.gen(function*() {
      for (const [probeMillis, drainMillis] of [[401, 0], [0, 1501]] as const) {
        const { finish, member, node, term } = yield* startLone("primary", {}, {
          isRefused: () => Effect.delay(Effect.succeed(true), probeMillis),
          reset: Effect.sleep(drainMillis)
        })
        const pending = yield* node.send("pending")
        yield* node.stall
        const waiting = yield* node.send("now")
        yield* finish("pending")
        yield* TestClock.adjust(stallTime)
        yield* node.resume
        assert.deepStrictEqual([[...pending], [...waiting], term], [[], [], ["begins"]])
        yield* TestClock.adjust(probeMillis + drainMillis)
        assert.strictEqual(yield* member.state, "PRIMARY")
        assert.deepStrictEqual([[...pending], [...waiting], term], [[], [], ["begins", "ends"]])
        yield* TestClock.adjust(drainMillis)
      }
    }))
})

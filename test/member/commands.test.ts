import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type * as PeerLink from "../../src/ports/PeerLink.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"
import { afterConnectionTimeout, afterPeerTimeout, beforePeerTimeout } from "../support/times.ts"

const heartbeat = "1 second"

/** Both servers of a hardened pair, the primary active and the backup passive. `altered` replaces operations of the primary's link. */
const pairedWith = (
  options: Parameters<typeof makePair>[2],
  kind?: "legacy",
  altered: Partial<PeerLink.PeerLink["Type"]> = {}
) =>
  Effect.gen(function*() {
    const pair = yield* makePair(undefined, "hardened", options, { primary: altered }, kind)
    const primary = yield* pair.primary.start
    const backup = yield* pair.backup.start
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual([yield* primary.state, yield* backup.state], ["ACTIVE", "PASSIVE"])
    return { ...pair, members: { primary, backup } }
  })

const paired = pairedWith({})

/** The final heartbeat of the primary is lost. */
const withoutFinal = { publishFinal: () => Effect.void }

/** The same of members that send each other nothing but states. */
const legacy = pairedWith({}, "legacy")

const reasonOf = <A>(order: Effect.Effect<A, { readonly reason: string }>) =>
  Effect.map(Effect.flip(order), ({ reason }) => reason)

describe("H9 handing over", () => {
  it.scoped("a backup hands over: the primary is active at once, the backup passive", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* paired
      yield* primary.stop
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* backup.request("who"), "who")
      const restarted = yield* primary.start
      yield* TestClock.adjust(heartbeat)
      assert.deepStrictEqual([yield* restarted.state, yield* members.backup.state], ["PASSIVE", "ACTIVE"])

      yield* members.backup.handOver("maintenance")
      yield* settle
      assert.strictEqual(yield* primary.request("at once"), "at once")
      yield* TestClock.adjust(heartbeat)
      assert.deepStrictEqual([yield* restarted.state, yield* members.backup.state], ["ACTIVE", "PASSIVE"])
      const { transition } = yield* restarted.report
      assert.deepStrictEqual([transition.cause, transition.explanation], [
        "PeerHandsOver",
        "the final heartbeat of term 0.2"
      ])
    }))

  it.scoped("H13 a primary hands over: the backup is active at once, without a vote, in the next term", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* pairedWith({ crashDetection: false })
      assert.deepStrictEqual(yield* members.primary.term, { number: 0, step: 1 })
      yield* members.primary.handOver("maintenance")
      yield* settle
      assert.deepStrictEqual([yield* members.primary.state, yield* members.backup.state], ["PASSIVE", "ACTIVE"])
      const { counters, term, transition } = yield* members.backup.report
      assert.deepStrictEqual(term, { number: 0, step: 2 })
      assert.deepStrictEqual([transition.message, transition.explanation, transition.reason], [
        "took over by switchover: maintenance, ready as active",
        "the final heartbeat of term 0.1",
        "maintenance"
      ])
      const { transition: ended } = yield* members.primary.report
      assert.deepStrictEqual([ended.message, ended.reason], [
        "backup took over by switchover: maintenance, ready as passive",
        "maintenance"
      ])
      // The closed state port of a peer that hands over is no news.
      assert.isFalse([...primary.log, ...backup.log].some((line) => /is down|failover/.test(line)))
      assert.strictEqual(counters.failovers, 0)
      assert.strictEqual(yield* backup.request("x"), "x")
      assert.isUndefined(yield* primary.request("x"))
    }))

  it.scoped("H13 a paused backup does not take what a primary hands over", () =>
    Effect.gen(function*() {
      const { members } = yield* paired
      yield* members.backup.pause("network work")
      yield* members.primary.handOver("maintenance")
      yield* settle
      assert.strictEqual(yield* members.backup.state, "REJOINING")
    }))

  it.scoped("a primary hands over to a legacy backup, which is active on the next vote, by crash evidence", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* legacy
      yield* members.primary.handOver("maintenance")
      assert.strictEqual(yield* members.primary.state, "HANDING_OVER")
      yield* settle
      assert.strictEqual(yield* members.backup.state, "REJOINING")
      assert.isUndefined(yield* primary.request("x"))
      assert.strictEqual(yield* backup.request("x"), "x")
      assert.include((yield* members.backup.report).transition.explanation, "the peer is down (connection to")
      assert.deepStrictEqual([yield* members.primary.state, yield* members.backup.state], ["PASSIVE", "ACTIVE"])
      const { counters, peer } = yield* members.backup.report
      assert.isFalse(peer.isExpired)
      // It was planned, so it does not count against those that are not.
      assert.strictEqual(counters.failovers, 0)
    }))

  it.scoped("a stop before the peer is active publishes one final heartbeat", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(undefined, "hardened")
      const member = yield* pair.primary.start
      const peer = yield* foreignPeer(pair.links.backup)
      yield* peer.reports("2")
      yield* peer.reports("4")
      yield* member.handOver("maintenance")
      yield* member.stop
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(member.join)))
      yield* settle
      assert.deepStrictEqual(peer.received.filter((state) => state === "1"), ["1"])
    }))

  it.scoped("a failed hand-over ends without a vote, also if paused; the server is active again after resume", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* pairedWith({}, undefined, withoutFinal)
      yield* members.primary.pause("network work")
      yield* members.primary.handOver("maintenance")
      yield* backup.kill
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* members.primary.state, "PRIMARY")
      assert.isUndefined(yield* primary.request("x"))
      assert.strictEqual(yield* members.primary.state, "PRIMARY")
      yield* members.primary.resume
      assert.strictEqual(yield* primary.request("x"), "x")
    }))

  it.scoped("a primary hands over: a promoted legacy backup is active without a vote", () =>
    Effect.gen(function*() {
      const { backup, members } = yield* legacy
      yield* members.primary.handOver("maintenance")
      yield* settle
      yield* members.backup.promote("maintenance")
      assert.strictEqual(yield* backup.request("x"), "x")
      const { counters, transition } = yield* members.backup.report
      assert.deepStrictEqual([transition.cause, transition.reason], ["Promote", "maintenance"])
      assert.strictEqual(counters.failovers, 0)
    }))

  it.scoped("a primary hands over without crash detection: a legacy backup is active after two silent heartbeats", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* pairedWith({ crashDetection: false }, "legacy")
      yield* members.primary.handOver("maintenance")
      yield* TestClock.adjust(beforePeerTimeout)
      assert.isUndefined(yield* backup.request("too early"))
      yield* TestClock.adjust("1 millis")
      assert.isUndefined(yield* primary.request("x"))
      assert.strictEqual(yield* backup.request("now"), "now")
      yield* TestClock.adjust(heartbeat)
      assert.deepStrictEqual([yield* members.primary.state, yield* members.backup.state], ["PASSIVE", "ACTIVE"])
    }))

  it.scoped("the peer crashes before it is active: the server restarts in three steps", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* pairedWith({ crashDetection: false }, undefined, withoutFinal)
      yield* members.primary.handOver("maintenance")
      yield* backup.kill
      const states: Array<string> = []
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust(afterPeerTimeout)
        assert.strictEqual(yield* primary.request("x"), i === 3 ? "x" : undefined)
        states.push(yield* members.primary.state)
      }
      assert.deepStrictEqual(states, ["HANDING_OVER", "REJOINING", "PRIMARY", "ACTIVE"])
      assert.deepStrictEqual(primary.log.slice(-3), [
        "the peer did not become active, rejoining",
        "the peer is still not active, restarting as PRIMARY",
        "no heartbeat from backup, ready as active"
      ])
      const again = yield* backup.start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* again.state, "PASSIVE")
    }))

  it.scoped("accepted requests are completed and the term ends before the final heartbeat", () =>
    Effect.gen(function*() {
      const open = yield* Deferred.make<void>()
      const pair = yield* makePair(() => Effect.as(Deferred.await(open), "done"), "hardened")
      const member = yield* pair.primary.start
      const peer = yield* foreignPeer(pair.links.backup)
      yield* peer.reports("2")
      yield* peer.reports("4")
      let ended: string | undefined
      yield* member.whileActive(
        Effect.onExit(Effect.never, () => Effect.map(member.report, ({ transition }) => ended = transition.to))
      ).pipe(Effect.forkScoped)
      const replies = yield* pair.primary.send("slow")
      const handingOver = yield* Effect.fork(member.handOver("maintenance"))
      yield* settle
      assert.isUndefined(yield* pair.primary.request("too late"))
      assert.isFalse((yield* member.report).answers)
      assert.strictEqual(yield* member.state, "ACTIVE")
      const before = peer.received.length
      yield* Deferred.succeed(open, undefined)
      yield* TestClock.adjust(1)
      yield* Fiber.join(handingOver)
      assert.deepStrictEqual([...replies], ["done"])
      assert.strictEqual(ended, "ACTIVE")
      // The final heartbeat is the last until the hand-over times out.
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(peer.received.slice(before), ["1"])
    }))

  it.scoped("a request that takes longer than the drain is interrupted", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(() => Effect.never, "hardened", { drain: "3 seconds" })
      const member = yield* pair.primary.start
      const peer = yield* foreignPeer(pair.links.backup)
      yield* peer.reports("2")
      yield* peer.reports("4")
      yield* pair.primary.send("never")
      const handingOver = yield* Effect.fork(member.handOver("maintenance"))
      yield* Effect.repeatN(Effect.zipRight(peer.reports("4"), TestClock.adjust("990 millis")), 2)
      assert.isNull(handingOver.unsafePoll())
      yield* TestClock.adjust("40 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(handingOver)))
      assert.strictEqual(yield* member.state, "HANDING_OVER")
    }))

  it.scoped("a hand-over is rejected with a reason", () =>
    Effect.gen(function*() {
      const { backup, members } = yield* paired
      assert.strictEqual(yield* reasonOf(members.backup.handOver("x")), "NotActive")
      yield* backup.kill
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* reasonOf(members.primary.handOver("x")), "PeerSilent")

      const classic = yield* makePair()
      const primary = yield* classic.primary.start
      const peer = yield* foreignPeer(classic.links.backup)
      yield* peer.reports("2")
      yield* peer.reports("4")
      assert.strictEqual(yield* reasonOf(primary.handOver("x")), "Unsupported")
    }))

  it.scoped("a hand-over ends with a stop, and is rejected after it", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(() => Effect.never, "hardened", { drain: "3 seconds" })
      const member = yield* pair.primary.start
      const peer = yield* foreignPeer(pair.links.backup)
      yield* peer.reports("2")
      yield* peer.reports("4")
      yield* pair.primary.send("never")
      const handingOver = yield* Effect.fork(Effect.flip(member.handOver("maintenance")))
      yield* settle
      const stopping = yield* Effect.fork(member.stop)
      yield* settle
      assert.strictEqual((yield* Fiber.join(handingOver)).reason, "Interrupted")
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(peer.received.slice(-2), ["3", "1"])
      assert.strictEqual(yield* reasonOf(member.handOver("x")), "Interrupted")
      assert.strictEqual(yield* reasonOf(member.promote("x")), "Interrupted")
    }))

  it.scoped("a hundred hand-overs: one server is active after each", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* paired
      for (let i = 0; i < 100; i++) {
        const [from, to, node] = i % 2 === 0
          ? [members.primary, members.backup, backup] as const
          : [members.backup, members.primary, primary] as const
        yield* from.handOver(`${i}`)
        yield* settle
        assert.strictEqual(yield* node.request(`${i}`), `${i}`)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual([yield* from.state, yield* to.state], ["PASSIVE", "ACTIVE"])
      }
      assert.strictEqual((yield* members.primary.report).counters.conflicts, 0)
    }))
})

describe("promoting", () => {
  it.scoped("a lone backup that received nothing is active after two heartbeats and two more", () =>
    Effect.gen(function*() {
      const { backup } = yield* makePair(undefined, "hardened", { crashDetection: false })
      const member = yield* backup.start
      const promotion = yield* Effect.fork(member.promote("the primary is not coming back"))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* backup.request("x"))
      assert.strictEqual(yield* member.state, "BACKUP")
      assert.include(
        backup.log,
        "promotion: nothing was received from the peer at tcp://localhost:5003 yet, waiting until it counts as lost"
      )
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* member.state, "REJOINING")
      assert.isNull(promotion.unsafePoll())
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(promotion)
      assert.strictEqual(yield* backup.request("x"), "x")
      const { transition } = yield* member.report
      assert.deepStrictEqual([transition.to, transition.explanation, transition.reason], [
        "ACTIVE",
        "no heartbeat from the peer yet",
        "the primary is not coming back"
      ])
    }))

  it.scoped("a lone backup that waits for its peer to count as lost is not promoted once that is received", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* makePair(undefined, "hardened", { crashDetection: false })
      const member = yield* backup.start
      const promotion = yield* Effect.fork(reasonOf(member.promote("impatience")))
      yield* TestClock.adjust("1 second")
      const primary = yield* foreignPeer(links.primary)
      yield* primary.reports("3")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(promotion), "PeerAlive")
      assert.strictEqual(yield* member.state, "PASSIVE")
    }))

  it.scoped("a second command is rejected while another one is in progress", () =>
    Effect.gen(function*() {
      const { backup } = yield* makePair(undefined, "hardened", { crashDetection: false })
      const member = yield* backup.start
      yield* TestClock.adjust(afterPeerTimeout)
      const promotion = yield* Effect.fork(member.promote("first"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* reasonOf(member.promote("second")), "InProgress")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(promotion)

      const pair = yield* makePair(() => Effect.never, "hardened", { drain: "3 seconds" })
      const primary = yield* pair.primary.start
      const peer = yield* foreignPeer(pair.links.backup)
      yield* peer.reports("2")
      yield* peer.reports("4")
      yield* pair.primary.send("never")
      yield* Effect.fork(primary.handOver("maintenance"))
      yield* settle
      assert.strictEqual(yield* reasonOf(primary.handOver("again")), "InProgress")
      assert.strictEqual(yield* reasonOf(primary.promote("no")), "InProgress")
    }))

  it.scoped("a promotion is rejected once the primary reports, which is then active", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair(undefined, "hardened", { crashDetection: false })
      const member = yield* backup.start
      yield* TestClock.adjust(afterPeerTimeout)
      const promotion = yield* Effect.fork(reasonOf(member.promote("the primary is not coming back")))
      yield* TestClock.adjust("1 second")
      const other = yield* primary.start
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(promotion), "PeerAlive")
      assert.deepStrictEqual([yield* other.state, yield* member.state], ["ACTIVE", "PASSIVE"])
    }))

  it.scoped("a promotion is rejected while the peer sends heartbeats, and has no effect on an active server", () =>
    Effect.gen(function*() {
      const { members } = yield* paired
      assert.strictEqual(yield* reasonOf(members.backup.promote("x")), "PeerAlive")
      assert.strictEqual(yield* members.backup.state, "PASSIVE")
      yield* members.primary.promote("x")
      assert.strictEqual((yield* members.primary.report).transition.cause, "PeerBackup")
    }))
})

describe("a pause", () => {
  it.scoped("votes are rejected until resume, a promotion is not", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* paired
      yield* members.backup.pause("network work")
      const { takeoverBlock } = yield* members.backup.report
      assert.deepStrictEqual([takeoverBlock?._tag, takeoverBlock?._tag === "Paused" && takeoverBlock.reason], [
        "Paused",
        "network work"
      ])
      yield* primary.kill
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(yield* backup.request("x"))
      assert.isUndefined(yield* backup.request("x"))
      const warnings = backup.log.filter((line) => line.endsWith("paused by an operator (network work)"))
      assert.strictEqual(warnings.length, 1)
      yield* members.backup.resume
      assert.isUndefined((yield* members.backup.report).takeoverBlock)
      assert.strictEqual(yield* backup.request("x"), "x")
    }))

  it.scoped("F21 a paused primary does not become active, not even after a stall", () =>
    Effect.gen(function*() {
      const { primary } = yield* makePair(undefined, "hardened")
      const member = yield* primary.start
      yield* member.pause("network work")
      yield* TestClock.adjust(afterPeerTimeout)
      assert.isUndefined(yield* primary.request("x"))
      yield* primary.stall
      yield* TestClock.adjust("5 seconds")
      yield* primary.resume
      yield* TestClock.adjust(afterPeerTimeout)
      assert.isUndefined(yield* primary.request("x"))
      assert.strictEqual(yield* member.state, "PRIMARY")
      // The reason is the pause, not the silence.
      assert.isEmpty(primary.log.filter((line) => line.startsWith("votes are rejected: no heartbeat")))
      yield* member.resume
      assert.strictEqual(yield* primary.request("x"), "x")
    }))

  it.scoped("a paused server hands over, and its peer can be promoted", () =>
    Effect.gen(function*() {
      const { members } = yield* paired
      yield* members.primary.pause("network work")
      yield* members.backup.pause("network work")
      yield* members.primary.handOver("x")
      yield* settle
      yield* members.backup.promote("x")
      assert.strictEqual(yield* members.backup.state, "ACTIVE")
    }))
})

describe("failover limit", () => {
  it.scoped("votes are rejected at the limit until the window has passed; a promotion overrides", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(undefined, "hardened", { maxFailovers: 2, failoverWindow: "1 minute" })
      const member = yield* pair.backup.start
      const failOver = Effect.gen(function*() {
        // What is known of the one before is older.
        yield* TestClock.adjust("1 millis")
        const peer = yield* foreignPeer(pair.links.primary)
        if ((yield* member.state) === "ACTIVE") {
          yield* peer.reports("3")
          yield* TestClock.adjust(afterPeerTimeout)
          assert.isUndefined(yield* pair.backup.request("x"))
          assert.strictEqual(yield* member.state, "PASSIVE")
        }
        yield* peer.reports("3")
        yield* TestClock.adjust(afterPeerTimeout)
        return yield* pair.backup.request("x")
      }).pipe(Effect.scoped)
      assert.strictEqual(yield* failOver, "x")
      assert.strictEqual(yield* failOver, "x")
      assert.strictEqual((yield* member.report).takeoverBlock?._tag, "Limited")
      assert.isUndefined(yield* failOver)
      assert.include(pair.backup.log.at(-1), "more than 2 failovers in 1 min")
      yield* TestClock.adjust("1 minute")
      assert.isUndefined((yield* member.report).takeoverBlock)
      assert.strictEqual(yield* pair.backup.request("x"), "x")
      assert.strictEqual((yield* member.report).counters.failovers, 3)
      assert.strictEqual(yield* failOver, "x")
      assert.isUndefined(yield* failOver)
      yield* member.promote("I know what I do")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))
})

describe("a report", () => {
  it.scoped("explains a takeover, and has its duration and the latency of requests", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* pairedWith({ crashDetection: false })
      assert.strictEqual(yield* primary.request("x"), "x")
      const before = yield* members.primary.report
      assert.isTrue(before.answers)
      assert.strictEqual(before.latency.counts.reduce((a, b) => a + b), 1)
      yield* primary.kill
      yield* TestClock.adjust(afterConnectionTimeout)
      assert.isUndefined((yield* members.backup.report).transition.reason)
      assert.strictEqual(yield* backup.request("x"), "x")
      const { counters, failover, peer, transition } = yield* members.backup.report
      assert.match(transition.explanation ?? "", /^no heartbeat from the peer for 2\d{3} ms; vote by client [0-9a-f]+$/)
      assert.strictEqual(failover.counts.reduce((a, b) => a + b), 1)
      assert.deepInclude(counters, { votes: 1, failovers: 1, conflicts: 0 })
      assert.isAtLeast(counters.missed, 1)
      assert.isTrue(peer.isExpired)
    }))

  it.scoped("is available after the end of the member, with which transitions fail", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* paired
      yield* primary.stop
      const { transition } = yield* members.primary.report
      assert.deepStrictEqual([transition.to, transition.cause], ["PRIMARY", "Stopping"])
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(Stream.runHead(members.primary.transitions))))
    }))
})

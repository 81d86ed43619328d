import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import { MemberError } from "../../src/member/MemberError.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"
import { afterPeerTimeout, beforePeerTimeout } from "../support/times.ts"

describe("a pair in memory", () => {
  it.scoped("the primary starts first: it becomes active, the backup passive", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair()
      const first = yield* primary.start
      assert.strictEqual(yield* first.state, "PRIMARY")
      assert.strictEqual(yield* primary.request("before"), "before")
      const second = yield* backup.start
      assert.strictEqual(yield* backup.request("before"), undefined)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* first.state, "ACTIVE")
      assert.strictEqual(yield* second.state, "PASSIVE")
      assert.strictEqual(yield* primary.request("after"), "after")
      assert.strictEqual(yield* backup.request("after"), undefined)
      assert.deepStrictEqual(primary.log, [
        "Primary active, waiting for backup (passive)",
        "connected to backup (passive), ready as active"
      ])
      assert.deepStrictEqual(backup.log, [
        "Backup passive, waiting for primary (active)",
        "connected to primary (active), ready as passive"
      ])
    }))

  it.scoped("the backup starts first: it rejects until the primary is active", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair()
      const second = yield* backup.start
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* backup.request("alone"), undefined)
      const first = yield* primary.start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* first.state, "ACTIVE")
      assert.strictEqual(yield* second.state, "PASSIVE")
    }))

  it.scoped("the passive member takes over two heartbeats after the last heartbeat, on a vote", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair()
      yield* primary.start
      const second = yield* backup.start
      yield* TestClock.adjust("3 seconds")
      yield* primary.stop
      yield* TestClock.adjust(beforePeerTimeout)
      assert.strictEqual(yield* backup.request("too early"), undefined)
      assert.strictEqual(yield* second.state, "PASSIVE")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* second.state, "PASSIVE")
      assert.strictEqual(yield* backup.request("now"), "now")
      assert.strictEqual(yield* second.state, "ACTIVE")
      assert.strictEqual(backup.log.at(-1), "failover successful, ready as active")
      assert.deepStrictEqual(primary.log.at(-1), "interrupted")
    }))

  it.scoped("a server that returns is passive, and active once the other one stops", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair()
      yield* primary.start
      const second = yield* backup.start
      yield* TestClock.adjust("3 seconds")
      yield* primary.stop
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* backup.request("1"), "1")
      const again = yield* primary.start
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* again.state, "PASSIVE")
      assert.strictEqual(yield* second.state, "ACTIVE")
      assert.strictEqual(primary.log.at(-1), "connected to backup (active), ready as passive")
      assert.strictEqual(yield* primary.request("2"), undefined)
      yield* backup.stop
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* primary.request("3"), "3")
      assert.strictEqual(yield* again.state, "ACTIVE")
    }))

  it.scoped("a passive member becomes active when its active peer restarts", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair()
      yield* primary.start
      const second = yield* backup.start
      yield* TestClock.adjust("3 seconds")
      yield* primary.stop
      const again = yield* primary.start
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* second.state, "ACTIVE")
      assert.strictEqual(backup.log.at(-1), "primary (passive) is restarting, ready as active")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* again.state, "PASSIVE")
    }))

  it.scoped("classic: a member ends with a typed error if both are active or both are passive", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair()
      const member = yield* primary.start
      const peer = yield* foreignPeer(links.backup)
      const watcher = yield* Effect.fork(Stream.runCollect(member.changes))
      yield* peer.reports("2")
      yield* peer.reports("3")
      assert.deepStrictEqual(yield* Effect.exit(member.join), Exit.fail(new MemberError({ reason: "DualActive" })))
      assert.isTrue(Exit.isFailure(yield* Fiber.await(watcher)))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(member.state)))
      assert.strictEqual(primary.log.at(-1), "fatal error - dual actives, aborting")
      yield* primary.stop

      const again = yield* primary.start
      yield* peer.reports("3")
      yield* peer.reports("4")
      assert.deepStrictEqual(yield* Effect.exit(again.join), Exit.fail(new MemberError({ reason: "DualPassive" })))
      assert.strictEqual(primary.log.at(-1), "fatal error - dual passives, aborting")
    }))

  it.scoped("a member publishes its state at its start, to new subscribers, on changes, and with each heartbeat", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair()
      const scope = yield* Scope.make()
      const peer = yield* Scope.extend(foreignPeer(links.backup), scope)
      yield* primary.start
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(peer.received, ["1", "1"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(peer.received, ["1", "1", "1"])
      yield* peer.reports("2")
      assert.deepStrictEqual(peer.received, ["1", "1", "1", "3"])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(peer.received, ["1", "1", "1", "3", "3", "3", "3"])
      yield* Scope.close(scope, Exit.void)
      const joining = yield* foreignPeer(links.backup)
      yield* settle
      assert.deepStrictEqual(joining.received, ["3"])
    }))

  it.scoped("malformed messages are ignored, counted, logged once in a burst, and no sign of life", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* makePair()
      const member = yield* backup.start
      const peer = yield* foreignPeer(links.primary)
      yield* peer.reports("3")
      for (let i = 0; i < 25; i++) {
        yield* peer.reports(...[["5"], ["03"], [""], ["junk"], ["3", "3"]][i % 5]!)
        yield* TestClock.adjust("100 millis")
      }
      const counters = yield* member.counters
      assert.strictEqual(counters.malformed, 25)
      assert.strictEqual(counters.heartbeats, 1)
      const warnings = () => backup.log.filter((line) => line.startsWith("malformed"))
      assert.deepStrictEqual(warnings(), [
        "malformed state message from the peer at tcp://localhost:5003 ignored: expected one of 1, 2, 3, 4, got \"5\""
      ])
      assert.strictEqual(yield* backup.request("vote"), "vote")
      yield* TestClock.adjust("5 seconds")
      yield* peer.reports("")
      assert.strictEqual(warnings().length, 2)
    }))

  it.scoped("H6 fresh evidence: pending heartbeats are applied before an earlier request is decided", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* makePair()
      const member = yield* backup.start
      const peer = yield* foreignPeer(links.primary)
      yield* peer.reports("3")
      yield* TestClock.setTime(10_000)
      // Both are there before the member runs again: an old vote and a fresh sign of life.
      const vote = yield* Effect.fork(backup.request("vote"))
      yield* peer.reports("3")
      assert.strictEqual(yield* Fiber.join(vote), undefined)
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual((yield* member.counters).rejected, 1)
      yield* TestClock.setTime(20_000)
      yield* peer.publish({ state: [Buffer.from("3")] })
      assert.strictEqual(yield* backup.request("vote"), undefined)
      assert.strictEqual(yield* member.state, "PASSIVE")
    }))

  it.scoped("watchers receive the current state and every change", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair()
      const member = yield* primary.start
      const peer = yield* foreignPeer(links.backup)
      const states = yield* Effect.fork(Stream.runCollect(Stream.take(member.changes, 3)))
      yield* settle
      yield* peer.reports("3")
      yield* peer.reports("2")
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(states)), ["PRIMARY", "PASSIVE", "ACTIVE"])
      assert.strictEqual(member.role, "primary")
    }))
})

/** A link to a silent peer, with a callback for each heartbeat. */
const silentPeer = (onHeartbeat: () => void) =>
  Layer.succeed(PeerLink.PeerLink, {
    messages: Stream.never,
    poll: Effect.succeed(false),
    publishFinal: () => Effect.void,
    close: Effect.void,
    reset: Effect.void,
    events: Stream.never,
    hasSubscriber: Effect.succeed(false),
    isRefused: () => Effect.succeed(false),
    peerDown: Stream.never,
    publish: () => Effect.as(Effect.sync(onHeartbeat), true)
  })

describe("time", () => {
  it.scoped("a step of the wall clock has no effect", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      let step = 0
      const stepping: Clock.Clock = Object.assign(Object.create(clock), {
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() + step,
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: Effect.sync(() => clock.unsafeCurrentTimeMillis() + step)
      })
      const { backup, links } = yield* makePair()
      const peer = yield* foreignPeer(links.primary)
      const member = yield* Effect.withClock(backup.start, stepping)
      yield* peer.reports("3")
      for (const jump of [-3_600_000, 3_600_000, -1500, 700, 86_400_000]) {
        step = jump
        yield* TestClock.adjust("1 seconds")
        yield* peer.reports("3")
        assert.strictEqual(yield* backup.request("vote"), undefined)
      }
      assert.deepStrictEqual(peer.received, ["2", "2", "4", "4", "4", "4", "4", "4"])
      assert.strictEqual(yield* member.state, "PASSIVE")
      step = -3_600_000
      yield* TestClock.adjust(afterPeerTimeout)
      assert.strictEqual(yield* backup.request("vote"), "vote")
    }))

  it.live("batches are small while one client is dominant, and large otherwise", () =>
    Effect.gen(function*() {
      const requestsOf = (...clients: ReadonlyArray<number>) =>
        clients.map((client) => [Uint8Array.of(client), new Uint8Array(0)])
      const times = (count: number, client: number) => Array.from({ length: count }, () => client)
      const rooms = yield* Deferred.make<ReadonlyArray<number>>()
      const frontend = Layer.succeed(Frontend.Frontend, {
        run: (take, room) =>
          Effect.zipRight(
            Effect.promise(async () => {
              const found = [room()]
              const batches = [
                requestsOf(...times(200, 1), 2, 3, 4, 5),
                requestsOf(2, 3),
                requestsOf(...times(12, 1), 2, 3, 4, 5),
                requestsOf(...times(4, 1), ...times(4, 2), ...times(4, 3), ...times(4, 4))
              ]
              for (const batch of batches) {
                await take(batch)
                found.push(room())
              }
              Deferred.unsafeDone(rooms, Effect.succeed(found))
            }),
            Effect.never
          ),
        reply: () => Effect.void,
        connections: Effect.succeed({ open: 5, rejected: 0, resets: 0 })
      })
      yield* BinaryStar.make({ role: "primary", policy: "classic" }, Handler.echo).pipe(
        Effect.provide(Layer.merge(frontend, silentPeer(() => {})))
      )
      assert.deepStrictEqual(yield* Deferred.await(rooms), [256, 16, 16, 16, 256])
    }).pipe(Effect.scoped))

  it.live("one heartbeat is sent per period, although timers may fire early", () =>
    Effect.gen(function*() {
      let heartbeats = 0
      const frontend = yield* Frontend.makeMemory
      const link = silentPeer(() => heartbeats++)
      const options = { role: "primary", policy: "classic", heartbeat: "10 millis" } as const
      const began = performance.now()
      yield* BinaryStar.make(options, Handler.echo).pipe(Effect.provide(Layer.merge(frontend.layer, link)))
      yield* Effect.sleep("1 seconds")
      // Besides the one that is published at the start.
      assert.isAtMost(heartbeats, 1 + (performance.now() - began) / 10)
      assert.isAtLeast(heartbeats, 10)
    }).pipe(Effect.scoped))

  it.live("a busy handler delays a heartbeat by no more than its own time", () =>
    Effect.gen(function*() {
      const heartbeats: Array<number> = []
      const frontend = yield* Frontend.makeMemory
      const link = silentPeer(() => heartbeats.push(performance.now()))
      const busy = (milliseconds: number) => {
        const until = performance.now() + milliseconds
        while (performance.now() < until);
      }
      let answered = 0
      const handler: Handler.Handler = () => {
        busy(1)
        answered++
        return "done"
      }
      const ports = Layer.merge(frontend.layer, link)
      const options = { role: "primary", policy: "classic", heartbeat: "20 millis" } as const
      yield* Effect.gen(function*() {
        const client = yield* frontend.connect
        yield* Effect.forEach(Array.from({ length: 500 }), () => client.send([new Uint8Array(0)]))
        yield* BinaryStar.make(options, handler)
        while (answered < 500) {
          yield* Effect.sleep("5 millis")
        }
      }).pipe(Effect.provide(ports))
      // 500 ms of work in one batch: without yielding to the event loop there would be no heartbeat at all.
      assert.isAtLeast(heartbeats.length, 5)
    }).pipe(Effect.scoped))
})

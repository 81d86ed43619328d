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
  it.scoped("starts primary first: the primary becomes active, the backup passive", () =>
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

  it.scoped("starts backup first: the backup refuses until the primary is there", () =>
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

  it.scoped("fails over two heartbeats after the last word, and only when a client asks", () =>
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

  it.scoped("takes the first one back as passive, and recovers when the other is stopped", () =>
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

  it.scoped("becomes active when its active peer restarts", () =>
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

  it.scoped("ends with a typed error when both are active, and when both are passive", () =>
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

  it.scoped("publishes its state when it starts, to who joins, when it changes, and every heartbeat", () =>
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

  it.scoped("ignores malformed messages, counts them, logs once a burst, and takes them for no sign of life", () =>
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

  it.scoped("applies what the peer has said before it judges a request that came earlier", () =>
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
      yield* peer.publish([Buffer.from("3")])
      assert.strictEqual(yield* backup.request("vote"), undefined)
      assert.strictEqual(yield* member.state, "PASSIVE")
    }))

  it.scoped("is observable: the state now and every change", () =>
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

/** A link to a peer that says nothing; it hears each word that is published. */
const silentPeer = (hears: () => void) =>
  Layer.succeed(PeerLink.PeerLink, {
    messages: Stream.never,
    poll: Effect.succeed(false),
    publishFinal: () => Effect.void,
    reset: Effect.void,
    events: Stream.never,
    hasSubscriber: Effect.succeed(false),
    isRefused: () => Effect.succeed(false),
    peerDown: Stream.never,
    publish: () => Effect.sync(hears)
  })

describe("time", () => {
  it.scoped("a step of the wall clock changes nothing", () =>
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

  it.live("reads few requests in one go while one client asks for more than all others, and many as soon as it does not", () =>
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

  it.live("has one beat a period, though a timer may fire early", () =>
    Effect.gen(function*() {
      let beats = 0
      const frontend = yield* Frontend.makeMemory
      const link = silentPeer(() => beats++)
      const options = { role: "primary", policy: "classic", heartbeat: "10 millis" } as const
      const began = performance.now()
      yield* BinaryStar.make(options, Handler.echo).pipe(Effect.provide(Layer.merge(frontend.layer, link)))
      yield* Effect.sleep("1 seconds")
      // Besides the one that is published at the start.
      assert.isAtMost(beats, 1 + (performance.now() - began) / 10)
      assert.isAtLeast(beats, 10)
    }).pipe(Effect.scoped))

  it.live("a handler that is busy for long delays no heartbeat by more than its own time", () =>
    Effect.gen(function*() {
      const beats: Array<number> = []
      const frontend = yield* Frontend.makeMemory
      const link = silentPeer(() => beats.push(performance.now()))
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
      // 500 ms of work in one batch: without turns of the event loop in between there would be no beat at all.
      assert.isAtLeast(beats.length, 5)
    }).pipe(Effect.scoped))
})

import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as net from "node:net"
import type { Readable } from "node:stream"
import * as Events from "../../src/http/events.ts"
import * as Listener from "../../src/http/listener.ts"
import type * as Status from "../../src/status/Status.ts"
import { settle } from "../support/nodes.ts"
import { eventually } from "../support/sockets.ts"
import { call, eventsOf, soon, startPair } from "./nodes.ts"

/** A producer with the pair of a test, and the number of requests for it. */
const makeEvents = Effect.gen(function*() {
  const transitions = yield* Queue.unbounded<Status.HistoryEntry>()
  let requests = 0
  const status = { self: { role: "primary", state: "ACTIVE" }, peer: null } as unknown as Status.PairStatus
  const events = yield* Events.make(
    "primary",
    { latest: () => Effect.succeed([]), changes: Stream.fromQueue(transitions) },
    {
      self: Effect.succeed(status.self),
      known: Effect.succeed(status),
      requested: Effect.sync(() => {
        requests++
        return status
      })
    }
  )
  const change = (message: string) =>
    Effect.zipRight(
      transitions.offer({
        at: "2026-01-31T12:00:00.000Z",
        from: "PASSIVE",
        to: "ACTIVE",
        cause: "ClientRequest",
        message,
        explanation: null,
        term: { text: "0.1", token: 1 },
        reason: null
      }),
      settle
    )
  return { change, listen: events.listen, requests: () => requests }
})

/** All that has come in. */
const read = (listener: Readable): string => String(listener.read() ?? "")

const countOf = (text: string, part: string) => text.split(part).length - 1

/** Counts how often something happens in each turn of the event loop. */
const countTurns = Effect.acquireRelease(
  Effect.sync(() => {
    let total = 0
    let now = 0
    let most = 0
    let turn = setImmediate(function next() {
      now = 0
      turn = setImmediate(next)
    })
    return {
      add: () => {
        total++
        most = Math.max(most, ++now)
      },
      total: () => total,
      most: () => most,
      stop: () => clearImmediate(turn)
    }
  }),
  ({ stop }) => Effect.sync(stop)
)

describe("events", () => {
  it.scopedLive("/events: the pair at once, and each transition", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair()
      const seen: Array<{ readonly event: string; readonly data: Status.PairStatus & Status.TransitionEvent }> = []
      const isListening = yield* Deferred.make<void>()
      const listening = yield* eventsOf(backup.url).pipe(
        Stream.tap((message) => {
          seen.push(message)
          return message.data.peer?.status ? Deferred.succeed(isListening, undefined) : Effect.void
        }),
        Stream.takeUntil(({ data, event }) => event === "pair" && data.self.state === "ACTIVE"),
        Stream.runDrain,
        Effect.fork
      )
      yield* soon(Deferred.await(isListening))
      // A stall of a busy machine is a transition, which may come before the first answer of the peer.
      const first = seen.find(({ data }) => data.peer?.status)!
      assert.strictEqual(first.event, "pair")
      assert.strictEqual(first.data.self.role, "backup")
      assert.strictEqual(first.data.peer!.status!.role, "primary")

      yield* primary.kill
      yield* Effect.fork(Effect.forever(Effect.delay(backup.vote, "10 millis")))
      yield* soon(Fiber.join(listening))
      const transitions = seen.filter(({ event }) => event === "transition").map(({ data }) => data)
      assert.deepInclude(transitions.at(-1), { role: "backup", to: "ACTIVE", cause: "ClientRequest" })
      assert.include(transitions.at(-1)!.explanation, "vote")
    }), 30_000)

  it.scoped("/events: one producer for all listeners, and none without listeners", () =>
    Effect.gen(function*() {
      const { requests, change, listen } = yield* makeEvents
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(requests(), 0)

      const scope = yield* Scope.make()
      const one = yield* Scope.extend(listen, scope)
      yield* settle
      const two = yield* Scope.extend(listen, scope)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(requests(), 4)
      yield* change("failover")
      const texts = [read(one), read(two)] as const
      assert.match(texts[0], /^: .*\nretry: 1000\n\nevent: pair\ndata: \{/)
      assert.deepStrictEqual(texts.map((text) => countOf(text, "event: pair\n")), [5, 5])
      assert.deepStrictEqual(texts.map((text) => countOf(text, "event: transition\n")), [1, 1])

      yield* Scope.close(scope, Exit.void)
      assert.isTrue(one.destroyed && two.destroyed)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(requests(), 4)
      yield* listen
      yield* settle
      assert.strictEqual(requests(), 5)
    }))

  it.scoped("/events: a listener that does not read is disconnected, the others go on", () =>
    Effect.gen(function*() {
      const { change, listen } = yield* makeEvents
      const slow = yield* listen
      const good = yield* listen
      let transitions = 0
      for (let i = 0; i < 200; i++) {
        yield* change("x".repeat(1000))
        transitions += countOf(read(good), "event: transition\n")
        assert.isBelow(slow.readableLength, 70_000)
      }
      assert.strictEqual(transitions, 200)
      assert.isTrue(slow.destroyed)
      assert.isFalse(good.destroyed)
    }))

  it.scoped("F10 turns: a message reaches at most 10 listeners a turn of the event loop, each in the order of the messages", () =>
    Effect.gen(function*() {
      const { change, listen } = yield* makeEvents
      const listeners = yield* Effect.all(Array.from({ length: 35 }, () => listen))
      yield* settle
      const before = listeners.map(read)
      assert.isTrue(before.every((text) => countOf(text, "event: pair\n") === 1))

      const counts = yield* countTurns
      for (const listener of listeners) {
        const push = listener.push.bind(listener)
        listener.push = (chunk: unknown) => {
          counts.add()
          return push(chunk)
        }
      }
      for (const message of ["first", "second"]) {
        yield* change(message)
      }
      yield* eventually(Effect.sync(() => counts.total() === 4 * listeners.length))
      assert.isAtMost(counts.most(), 10)
      for (const listener of listeners) {
        assert.deepStrictEqual(read(listener).match(/^event: \w+|"message":"\w+"/gm), [
          "event: transition",
          "\"message\":\"first\"",
          "event: pair",
          "event: transition",
          "\"message\":\"second\"",
          "event: pair"
        ])
      }
    }))

  it.scopedLive(
    "F10 turns: when many clients leave at once, at most 10 requests are ended in a turn of the event loop",
    () =>
      Effect.gen(function*() {
        const { serve, url } = yield* Listener.listen({ host: "127.0.0.1", port: 0 })
        const counts = yield* countTurns
        const { port } = new URL(url)
        let begun = 0
        serve((_, response) => {
          begun++
          response.on("close", counts.add).writeHead(200).write("x")
        })
        const sockets = yield* Effect.acquireRelease(
          Effect.sync(() => Array.from({ length: 100 }, () => net.connect(Number(port), "127.0.0.1"))),
          (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
        )
        for (const socket of sockets) {
          socket.on("error", () => {}).resume().write("GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        }
        yield* soon(eventually(Effect.sync(() => begun === sockets.length)))
        sockets.forEach((socket) => socket.destroy())
        yield* soon(eventually(Effect.sync(() => counts.total() === sockets.length)))
        assert.isAtMost(counts.most(), 10)
      }),
    30_000
  )

  it.scopedLive("/events: the number of listeners is limited", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair()
      const responses = yield* Effect.all(Array.from({ length: 201 }, () => call(`${primary.url}/events`)), {
        concurrency: "unbounded"
      })
      const codes = responses.map(({ status }) => status)
      assert.strictEqual(codes.filter((code) => code === 200).length, 200)
      assert.strictEqual(codes.filter((code) => code === 503).length, 1)
      yield* Effect.promise(() => Promise.all(responses.map(({ body }) => body?.cancel())))
    }), 30_000)
})

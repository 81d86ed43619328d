import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SocketError } from "../../src/ports/SocketError.ts"
import type * as Frames from "../../src/wire/Frames.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import { eventually, listen, message, texts, unhandledRejections } from "../support/sockets.ts"
import { anyPort, insist, linked } from "./peers.ts"

/** The two ways to receive, each giving every batch to a function. */
const receiving: Record<
  "messages" | "run",
  (socket: ZmqSocket.Router, take: (batch: ReadonlyArray<Frames.Frames>) => void) => Effect.Effect<void, SocketError>
> = {
  messages: (socket, take) => Stream.runForEach(socket.messages, (batch) => Effect.sync(() => take(batch))),
  run: (socket, take) => socket.run(async (batch) => take(batch))
}

/** Interrupts an effect when it, or a fiber of its own, is about to make the n-th step. */
const interruptedAt = <A, E, R>(n: number, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    let step = 0
    return Effect.withScheduler(
      self,
      Scheduler.make((task) => queueMicrotask(task), () => {
        if (step++ === n) {
          fiber.unsafeInterruptAsFork(FiberId.none)
        }
        return false
      })
    )
  })

const ways = ["messages", "run"] as const

for (const way of ways) {
  describe(`receiving with ${way}`, () => {
    const receive = receiving[way]

    it.scopedLive("an interrupted wait leaves the next message to the next one", () =>
      Effect.gen(function*() {
        const { dealer, router } = yield* linked
        const missed: Array<Frames.Frames> = []
        for (let i = 0; i < 3; i++) {
          const waiting = yield* Effect.fork(receive(router, (batch) => missed.push(...batch)))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(waiting)
        }
        yield* dealer.send(message("hello"))
        const [, text] = yield* Effect.flatMap(listen(router.messages), (received) => received.take)
        assert.strictEqual(String(text), "hello")
        assert.deepStrictEqual(missed, [])
      }))

    it.scopedLive("an interruption at any step loses no message and doubles none", () =>
      Effect.gen(function*() {
        const { dealer, router } = yield* linked
        const got: Array<string> = []
        const take = (batch: ReadonlyArray<Frames.Frames>) => {
          got.push(...batch.map((request) => texts(request)[1]!))
        }
        const rounds = Array.from({ length: 150 }, (_, i) => String(i))
        for (const [step, text] of rounds.entries()) {
          yield* dealer.send(message(text))
          const fiber = yield* Effect.fork(interruptedAt(step, receive(router, take)))
          yield* eventually(Effect.sync(() => got.at(-1) === text || fiber.unsafePoll() !== null))
          yield* Fiber.interrupt(fiber)
        }
        yield* dealer.send(message("end"))
        yield* Effect.forkScoped(receive(router, take))
        yield* eventually(Effect.sync(() => got.at(-1) === "end"))
        assert.deepStrictEqual(got, [...rounds, "end"])
      }))

    it.scopedLive("a socket that is closed meanwhile ends the wait with Closed", () =>
      Effect.gen(function*() {
        const rejections = yield* unhandledRejections
        const scope = yield* Scope.make()
        const { endpoint, router } = yield* Scope.extend(linked, scope)
        const waiting = yield* Effect.fork(receive(router, () => {}))
        yield* Effect.yieldNow()
        yield* Scope.close(scope, Exit.void)
        yield* Effect.flatMap(ZmqSocket.makeRouter(), (next) => next.bind(endpoint))
        assert.deepStrictEqual(rejections, [])
        const error = yield* Effect.flip(Fiber.join(waiting))
        assert.deepInclude(error, { operation: "receive", reason: "Closed" })
      }))

    it.scopedLive("the scope closes with the wait in it, quietly, and the port is free", () =>
      Effect.gen(function*() {
        const rejections = yield* unhandledRejections
        let endpoint = anyPort
        for (let i = 0; i < 20; i++) {
          endpoint = yield* Effect.scoped(Effect.gen(function*() {
            const router = yield* ZmqSocket.makeRouter()
            const bound = yield* router.bind(endpoint)
            yield* Effect.forkScoped(receive(router, () => {}))
            yield* Effect.yieldNow()
            return bound
          }))
        }
        yield* Effect.flatMap(ZmqSocket.makeRouter(), (next) => next.bind(endpoint))
        assert.deepStrictEqual(rejections, [])
      }))

    it.scopedLive("batches hold at most 256 messages, those of each sender in order", () =>
      Effect.gen(function*() {
        const router = yield* ZmqSocket.makeRouter()
        const endpoint = yield* router.bind(anyPort)
        const each = 2000
        for (const name of ["a", "b", "c"]) {
          const dealer = yield* ZmqSocket.makeDealer()
          yield* dealer.connect(endpoint)
          yield* Effect.forkScoped(
            Effect.forEach(Array(each).keys(), (n) => insist(dealer, message(name, String(n))), { discard: true })
          )
        }
        const sizes: Array<number> = []
        const got = new Map<string, Array<number>>()
        yield* Effect.forkScoped(receive(router, (batch) => {
          sizes.push(batch.length)
          for (const request of batch) {
            const [, name, n] = texts(request)
            got.set(name!, [...got.get(name!) ?? [], Number(n)])
          }
        }))
        yield* eventually(Effect.sync(() => sizes.reduce((a, b) => a + b, 0) === 3 * each))
        assert.isAtMost(Math.max(...sizes), 256)
        assert.isAbove(Math.max(...sizes), 1)
        for (const name of ["a", "b", "c"]) {
          assert.deepStrictEqual(got.get(name), [...Array(each).keys()])
        }
      }))

    it.scopedLive("poll: true after a message has arrived for an interrupted receive, until the next one takes it", () =>
      Effect.gen(function*() {
        const { dealer, router } = yield* linked
        for (let round = 0; round < 20; round++) {
          const interrupted = yield* Effect.fork(receive(router, () => {}))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(interrupted)
          assert.isFalse(yield* router.poll)
          yield* dealer.send(message("x"))
          yield* eventually(router.poll)
          const taken = yield* Deferred.make<void>()
          const next = yield* Effect.fork(receive(router, () => Deferred.unsafeDone(taken, Effect.void)))
          yield* Deferred.await(taken)
          yield* Fiber.interrupt(next)
          assert.isFalse(yield* router.poll)
        }
      }))

    it.scopedLive("a burst of 20,000 messages leaves the event loop its turns", () =>
      Effect.gen(function*() {
        const router = yield* ZmqSocket.makeRouter()
        const endpoint = yield* router.bind(anyPort)
        yield* Effect.forEach(Array(20), () =>
          Effect.gen(function*() {
            const dealer = yield* ZmqSocket.makeDealer()
            yield* dealer.connect(endpoint)
            yield* Effect.repeatN(insist(dealer, message("x")), 999)
          }))
        let left = 20_000
        let ticks = 0
        const timer = yield* Effect.acquireRelease(
          Effect.sync(() => setInterval(() => ticks++, 10)),
          (timer) => Effect.sync(() => clearInterval(timer))
        )
        yield* Effect.async<void>((resume) => {
          const fiber = Effect.runFork(receive(router, (batch) => {
            left -= batch.length
            if (left === 0) {
              clearInterval(timer)
              resume(Effect.void)
            }
          }))
          return Fiber.interrupt(fiber)
        })
        assert.isAbove(ticks, 0)
      }))
  })
}

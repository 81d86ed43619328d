import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SocketReason } from "../../src/BinaryStarError.ts"
import type { SocketError } from "../../src/BinaryStarError.ts"
import type * as Frames from "../../src/Frames.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import {
  eventually,
  freshEndpoint,
  listen,
  message,
  texts,
  transports,
  unhandledRejections
} from "../suites/support.ts"

const anyPort = "tcp://127.0.0.1:*"

/** A bound ROUTER and a DEALER that is connected to it. */
const linkedOver = (where: string) =>
  Effect.gen(function*() {
    const router = yield* ZmqSocket.makeRouter()
    const endpoint = yield* router.bind(where)
    const dealer = yield* ZmqSocket.makeDealer()
    yield* dealer.connect(endpoint)
    return { router, dealer, endpoint }
  })

const linked = linkedOver(anyPort)

/** Sends as soon as there is room. */
const insist = (socket: ZmqSocket.Sender, message: Frames.Frames) =>
  Effect.retry(socket.send(message), {
    while: (error) => error.reason === "Full",
    schedule: Schedule.spaced("1 millis")
  })

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

describe("opened, used and closed", () => {
  for (const transport of transports) {
    const endpoint = transport === "tcp" ? Effect.succeed(anyPort) : freshEndpoint(transport)

    it.scopedLive(`ROUTER, DEALER and REQ over ${transport}`, () =>
      Effect.gen(function*() {
        const router = yield* ZmqSocket.makeRouter()
        const bound = yield* router.bind(yield* endpoint)
        const requests = yield* listen(router.messages)
        for (const make of [ZmqSocket.makeDealer(), ZmqSocket.makeRequest()]) {
          const client = yield* make
          yield* client.connect(bound)
          const replies = yield* listen(client.messages)
          for (const text of ["first", "second"]) {
            yield* client.send(message(text))
            const request = yield* requests.take
            assert.strictEqual(texts(request).at(-1), text)
            yield* router.send(request)
            assert.deepStrictEqual(texts(yield* replies.take), [text])
          }
        }
      }))

    it.scopedLive(`PUB and SUB over ${transport}`, () =>
      Effect.gen(function*() {
        const publisher = yield* ZmqSocket.makePublisher()
        const subscriber = yield* ZmqSocket.makeSubscriber()
        yield* subscriber.connect(yield* publisher.bind(yield* endpoint))
        const heard = yield* listen(subscriber.messages)
        yield* Effect.zipRight(publisher.send(message("hello")), Effect.sleep("1 millis")).pipe(
          Effect.forever,
          Effect.race(heard.take)
        )
        yield* publisher.send(message("one"))
        yield* publisher.send(message("two", ""))
        const rest = Stream.repeatEffect(heard.take).pipe(
          Stream.map(texts),
          Stream.dropWhile(([text]) => text === "hello")
        )
        assert.deepStrictEqual([...yield* Stream.runCollect(Stream.take(rest, 2))], [["one"], ["two", ""]])
      }))

    it.scopedLive(`an endpoint of ${transport} can be bound again as soon as its socket is closed`, () =>
      Effect.gen(function*() {
        let where = yield* endpoint
        for (let i = 0; i < 20; i++) {
          where = yield* Effect.scoped(Effect.gen(function*() {
            const { dealer, endpoint, router } = yield* linkedOver(where)
            const requests = yield* listen(router.messages)
            yield* dealer.send(message("x"))
            yield* requests.take
            return endpoint
          }))
        }
      }))
  }
})

describe("errors", () => {
  const refused = (
    operation: "bind" | "connect",
    cases: ReadonlyArray<readonly [endpoint: string, reason: SocketReason]>
  ) => {
    for (const [endpoint, reason] of cases) {
      it.scopedLive(`${operation} ${endpoint}: ${reason}`, () =>
        Effect.gen(function*() {
          const socket = yield* ZmqSocket.makeRouter()
          const error = yield* Effect.flip(socket[operation](endpoint))
          assert.deepInclude(error, { _tag: "SocketError", operation, endpoint, reason })
          assert.include(error.message, `cannot ${operation} ${endpoint}: `)
        }))
    }
  }
  refused("bind", [
    ["nonsense", "InvalidEndpoint"],
    ["http://127.0.0.1:80", "InvalidEndpoint"],
    ["tcp://127.0.0.1", "InvalidEndpoint"],
    ["tcp://127.0.0.1:0", "InvalidEndpoint"],
    ["tcp://127.0.0.1:99999", "InvalidEndpoint"],
    ["ipc:///no/such/folder/socket", "InvalidEndpoint"],
    ["tcp://no-such-host.invalid:5555", "NoSuchDevice"],
    ["tcp://nosuchinterface0:5555", "NoSuchDevice"],
    ["tcp://203.0.113.1:5555", "NoSuchDevice"]
  ])
  refused("connect", [
    ["nonsense", "InvalidEndpoint"],
    ["tcp://*:5555", "InvalidEndpoint"],
    ["tcp://127.0.0.1:99999", "InvalidEndpoint"],
    ["tcp://no-such-host.invalid:5555", "UnknownHost"]
  ])

  it.scopedLive("libzmq, which would take it modulo 65536, never sees a port out of range", () =>
    Effect.gen(function*() {
      const socket = yield* ZmqSocket.makeRouter()
      const error = yield* Effect.flip(socket.bind("tcp://127.0.0.1:99999"))
      assert.isUndefined(error.cause)
    }))

  for (const transport of transports) {
    it.scopedLive(`an endpoint of ${transport} in use: AddressInUse`, () =>
      Effect.gen(function*() {
        const first = yield* ZmqSocket.makeRouter()
        const endpoint = yield* first.bind(yield* freshEndpoint(transport))
        const error = yield* ZmqSocket.makeRouter().pipe(
          Effect.flatMap((second) => second.bind(endpoint)),
          Effect.flip
        )
        assert.deepInclude(error, { operation: "bind", endpoint, reason: "AddressInUse" })
      }))
  }

  it.scopedLive("a REQ that sends out of turn: OutOfTurn", () =>
    Effect.gen(function*() {
      const { endpoint } = yield* linked
      const request = yield* ZmqSocket.makeRequest()
      yield* request.connect(endpoint)
      yield* request.send(message("first"))
      const error = yield* Effect.flip(request.send(message("second")))
      assert.deepInclude(error, { operation: "send", endpoint, reason: "OutOfTurn" })
    }))

  it.scopedLive("a DEALER with nobody there: Full, at once or when its queue is full", () =>
    Effect.gen(function*() {
      const dealer = yield* ZmqSocket.makeDealer()
      const alone = yield* Effect.flip(dealer.send(message("x")))
      assert.deepInclude(alone, { operation: "send", endpoint: undefined, reason: "Full" })
      const endpoint = yield* freshEndpoint("tcp")
      yield* dealer.connect(endpoint)
      const full = yield* Effect.flip(Effect.forever(dealer.send(message("x"))))
      assert.deepInclude(full, { operation: "send", endpoint, reason: "Full" })
    }))

  it.scopedLive("a socket that is closed: Closed", () =>
    Effect.gen(function*() {
      const { dealer, router } = yield* Effect.scoped(linked)
      const errors = yield* Effect.all([
        dealer.send(message("x")),
        router.sendAll([message("id", "x")]),
        Stream.runDrain(router.messages),
        router.run(async () => {}),
        router.bind(anyPort),
        router.connect("tcp://127.0.0.1:5555")
      ].map((use) => Effect.flip(use)))
      assert.deepStrictEqual(
        errors.map(({ operation, reason }) => `${operation}: ${reason}`),
        ["send", "send", "receive", "receive", "bind", "connect"].map((operation) => `${operation}: Closed`)
      )
    }))
})

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
        const [, text] = yield* Effect.flatMap(listen(router.messages), (heard) => heard.take)
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

    it.scopedLive("waiting: what has arrived for a wait that was interrupted, until the next one takes it", () =>
      Effect.gen(function*() {
        const { dealer, router } = yield* linked
        for (let round = 0; round < 20; round++) {
          const interrupted = yield* Effect.fork(receive(router, () => {}))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(interrupted)
          assert.isFalse(yield* router.waiting)
          yield* dealer.send(message("x"))
          yield* eventually(router.waiting)
          const taken = yield* Deferred.make<void>()
          const next = yield* Effect.fork(receive(router, () => Deferred.unsafeDone(taken, Effect.void)))
          yield* Deferred.await(taken)
          yield* Fiber.interrupt(next)
          assert.isFalse(yield* router.waiting)
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

describe("connections", () => {
  const sides = {
    "a DEALER": [ZmqSocket.makeDealer(), ZmqSocket.makeRouter()],
    "a SUB": [ZmqSocket.makeSubscriber(), ZmqSocket.makePublisher()]
  } as const
  for (const transport of ["ipc", "tcp"] as const) {
    for (const [name, [one, other]] of Object.entries(sides)) {
      it.scopedLive(`${name} over ${transport} tells of attempts that fail, of a connection, and of its loss`, () =>
        Effect.gen(function*() {
          const endpoint = yield* freshEndpoint(transport)
          const socket = yield* one
          const events = yield* Mailbox.fromStream(socket.connections)
          yield* socket.connect(endpoint)
          assert.strictEqual(yield* events.take, "failed")
          for (let life = 0; life < 3; life++) {
            yield* Effect.scoped(Effect.gen(function*() {
              yield* Effect.flatMap(other, (other) => other.bind(endpoint))
              assert.strictEqual(
                yield* Effect.repeat(events.take, { until: (event) => event !== "failed" }),
                "connected"
              )
            }))
            assert.strictEqual(yield* events.take, "lost")
            assert.strictEqual(yield* events.take, "failed")
          }
        }))
    }
  }

  it.scopedLive("keeps the latest events for whoever asks late, and ends with the socket", () =>
    Effect.gen(function*() {
      const endpoint = yield* freshEndpoint("tcp")
      const scope = yield* Scope.make()
      const dealer = yield* Scope.extend(ZmqSocket.makeDealer(), scope)
      yield* dealer.connect(endpoint)
      const router = yield* ZmqSocket.makeRouter()
      yield* router.bind(endpoint)
      const requests = yield* listen(router.messages)
      yield* dealer.send(message("x"))
      yield* requests.take
      assert.include(
        [...yield* Stream.runCollect(Stream.takeUntil(dealer.connections, (event) => event !== "failed"))],
        "connected"
      )
      const rest = yield* Effect.fork(Stream.runDrain(dealer.connections))
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.await(rest)
    }))
})

it.scopedLive("a bind that is interrupted leaves nothing behind", () =>
  Effect.gen(function*() {
    const endpoint = yield* freshEndpoint("tcp")
    const fiber = yield* Effect.fork(
      Effect.scoped(Effect.flatMap(ZmqSocket.makeRouter(), (router) => router.bind(endpoint)))
    )
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(fiber)
    const next = yield* ZmqSocket.makeRouter()
    const inUse = (error: SocketError) => error.reason === "AddressInUse"
    assert.strictEqual(yield* Effect.retry(next.bind(endpoint), { while: inUse }), endpoint)
  }))

import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { SocketError, SocketReason } from "../../src/ports/SocketError.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import { freshEndpoint, listen, message, texts, transports } from "../support/sockets.ts"
import { anyPort, linked, linkedOver } from "./peers.ts"

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
        const received = yield* listen(subscriber.messages)
        yield* Effect.zipRight(publisher.send(message("hello")), Effect.sleep("1 millis")).pipe(
          Effect.forever,
          Effect.race(received.take)
        )
        yield* publisher.send(message("one"))
        yield* publisher.send(message("two", ""))
        const rest = Stream.repeatEffect(received.take).pipe(
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
  const failures = (
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
  failures("bind", [
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
  failures("connect", [
    ["nonsense", "InvalidEndpoint"],
    ["tcp://*:5555", "InvalidEndpoint"],
    ["tcp://127.0.0.1:99999", "InvalidEndpoint"]
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

  it.scopedLive("a DEALER without a connection: Full, at once or when its queue is full", () =>
    Effect.gen(function*() {
      const dealer = yield* ZmqSocket.makeDealer()
      const alone = yield* Effect.flip(dealer.send(message("x")))
      assert.deepInclude(alone, { operation: "send", endpoint: undefined, reason: "Full" })
      const endpoint = yield* freshEndpoint("tcp")
      yield* dealer.connect(endpoint)
      const full = yield* Effect.flip(Effect.forever(dealer.send(message("x"))))
      assert.deepInclude(full, { operation: "send", endpoint, reason: "Full" })
      yield* Effect.async<void>((resume) => dealer.sendNow(message("x"), () => resume(Effect.void)))
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
      yield* Effect.async<void>((resume) => dealer.sendNow(message("x"), () => resume(Effect.void)))
      assert.deepStrictEqual(
        errors.map(({ operation, reason }) => `${operation}: ${reason}`),
        ["send", "send", "receive", "receive", "bind", "connect"].map((operation) => `${operation}: Closed`)
      )
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

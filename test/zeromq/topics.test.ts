import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as net from "node:net"
import * as zmq from "zeromq"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import * as Zmtp from "../campaigns/fuzz/zmtp.ts"
import { eventually, freshEndpoint, listen, message, texts, transports } from "../support/sockets.ts"
import { anyPort } from "./peers.ts"

describe("a state publisher", () => {
  const subscribe = (endpoint: string) =>
    Effect.gen(function*() {
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => new zmq.Subscriber({ linger: 0 })),
        (socket) => Effect.sync(() => socket.close())
      )
      socket.subscribe()
      socket.connect(endpoint)
      return socket
    })

  for (const transport of transports) {
    it.scopedLive(`over ${transport}: each subscriber has joined, receives what follows, and leaves`, () =>
      Effect.gen(function*() {
        const publisher = yield* ZmqSocket.makeStatePublisher({ maxMessageSize: 512 })
        const endpoint = yield* publisher.bind(transport === "tcp" ? anyPort : yield* freshEndpoint(transport))
        const changes = yield* Mailbox.fromStream(publisher.subscriptions)
        assert.strictEqual(yield* publisher.subscribers, 0)
        for (let life = 0; life < 3; life++) {
          yield* Effect.scoped(Effect.gen(function*() {
            for (const text of ["1", "2"]) {
              const subscriber = yield* subscribe(endpoint)
              assert.strictEqual((yield* changes.take).change, "joined")
              yield* publisher.send(message(text))
              assert.strictEqual(String((yield* Effect.promise(() => subscriber.receive()))[0]), text)
              assert.strictEqual(yield* publisher.subscribers, 1)
            }
          }))
          assert.strictEqual((yield* changes.take).change, "left")
          assert.strictEqual(yield* publisher.subscribers, 0)
        }
      }))
  }

  it.scopedLive("a subscriber that subscribes twice and disconnects leaves", () =>
    Effect.gen(function*() {
      const publisher = yield* ZmqSocket.makeStatePublisher()
      const endpoint = yield* publisher.bind(anyPort)
      const changes = yield* Mailbox.fromStream(publisher.subscriptions)
      yield* Effect.scoped(Effect.gen(function*() {
        const subscriber = yield* subscribe(endpoint)
        subscriber.subscribe()
        yield* Effect.repeatN(changes.take, 1)
      }))
      assert.strictEqual((yield* changes.take).change, "left")
      assert.strictEqual(yield* publisher.subscribers, 0)
    }))

  it.scopedLive("any other message of a subscriber is ignored, and too large a frame ends its connection", () =>
    Effect.gen(function*() {
      const publisher = yield* ZmqSocket.makeStatePublisher({ maxMessageSize: 512 })
      const endpoint = yield* publisher.bind(anyPort)
      const changes = yield* Mailbox.fromStream(publisher.subscriptions)
      const subscriber = new zmq.XSubscriber({ linger: 0 })
      yield* Effect.addFinalizer(() => Effect.sync(() => subscriber.close()))
      subscriber.connect(endpoint)
      for (const frame of [[], [2], Buffer.from("hello"), [1], Buffer.alloc(513, 1)]) {
        yield* Effect.promise(() => subscriber.send(Buffer.from(frame)))
      }
      assert.strictEqual((yield* changes.take).change, "joined")
      assert.strictEqual((yield* changes.take).change, "left")
      assert.strictEqual(yield* publisher.subscribers, 0)
    }))

  for (const [topics, topic] of [["one topic", () => 0], ["ever new topics", () => Math.random()]] as const) {
    it.scopedLive(`a flood of subscriptions to ${topics} costs neither time nor memory, and others are served`, () =>
      Effect.gen(function*() {
        const publisher = yield* ZmqSocket.makeStatePublisher({ maxMessageSize: 512 })
        const endpoint = yield* publisher.bind(anyPort)
        const before = process.memoryUsage().rss
        const subscription = () => {
          const frame = Buffer.alloc(252, 7)
          frame.set([0, 250, 1])
          frame.writeDoubleBE(topic(), 3)
          return frame
        }
        const connection = net.connect(Number(endpoint.split(":")[2]), "127.0.0.1").on("error", () => {})
        yield* Effect.addFinalizer(() => Effect.sync(() => connection.destroy()))
        const pour = () => {
          while (connection.write(Buffer.concat(Array.from({ length: 100 }, subscription)))) {
            // Until the system takes no more.
          }
        }
        connection.on("drain", pour)
        connection.once("data", () => connection.write(Zmtp.ready("SUB")))
        connection.write(Zmtp.greeting)
        yield* Effect.sleep("100 millis")
        pour()
        yield* eventually(Effect.map(publisher.subscribers, (count) => count > 0))
        const subscriber = yield* ZmqSocket.makeSubscriber()
        yield* subscriber.connect(endpoint)
        const received = yield* listen(subscriber.messages)
        let longest = 0
        for (let round = 0; round < 20; round++) {
          const start = performance.now()
          yield* publisher.send(message("3"))
          yield* Effect.sleep("50 millis")
          longest = Math.max(longest, performance.now() - start)
        }
        assert.deepStrictEqual(texts(yield* received.take), ["3"])
        assert.isBelow(longest, 500)
        // Most of it is what this test floods with.
        assert.isBelow((process.memoryUsage().rss - before) / 2 ** 20, 250)
        assert.isBelow(yield* publisher.subscribers, 500)
      }))
  }
})

import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as net from "node:net"
import * as os from "node:os"
import * as zmq from "zeromq"
import { connectDirectly } from "../../src/zeromq/connector.ts"
import { isRefused } from "../../src/zeromq/crashEvidence.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import * as Zmtp from "../campaigns/fuzz/zmtp.ts"
import { eventually, freshEndpoint, listen, message, texts } from "../support/sockets.ts"
import { anyPort, insist, listener } from "./peers.ts"

describe("connections", () => {
  const sides = {
    "a DEALER": [ZmqSocket.makeDealer(), ZmqSocket.makeRouter()],
    "a SUB": [ZmqSocket.makeSubscriber(), ZmqSocket.makePublisher()]
  } as const
  for (const transport of ["ipc", "tcp"] as const) {
    for (const [name, [one, other]] of Object.entries(sides)) {
      it.scopedLive(`${name} over ${transport} reports every step: failed, opened, connected, lost`, () =>
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
                "opened"
              )
              assert.strictEqual(yield* events.take, "connected")
            }))
            assert.strictEqual(yield* events.take, "lost")
            assert.strictEqual(yield* events.take, "failed")
          }
        }))
    }
  }

  /** What a subscriber reports of its connections to a listener that treats each of them so. */
  const against = (onConnection: (connection: net.Socket) => void, options?: ZmqSocket.BindingOptions) =>
    Effect.gen(function*() {
      const endpoint = yield* listener(onConnection)
      const subscriber = yield* ZmqSocket.makeSubscriber({ reconnectMillis: 20, ...options })
      const events = yield* Mailbox.fromStream(subscriber.connections)
      yield* subscriber.connect(endpoint)
      return { events, messages: yield* listen(subscriber.messages) }
    })
  const takeN = <A>(mailbox: Mailbox.ReadonlyMailbox<A>, n: number) => Effect.replicateEffect(mailbox.take, n)
  const tryAgain = ["opened", "failed", "opened", "failed"]
  const giveUp = ["opened", "failed", "ended"]

  it.scopedLive("F2 a listener that disconnects at once: tried again and again", () =>
    Effect.gen(function*() {
      const { events } = yield* against((connection) => connection.end())
      assert.deepStrictEqual(yield* takeN(events, 4), tryAgain)
    }))

  it.scopedLive("F2 a silent listener: failed after the time for the handshake, and tried again", () =>
    Effect.gen(function*() {
      const { events } = yield* against(() => {}, { handshakeMillis: 100 })
      assert.deepStrictEqual(yield* takeN(events, 4), tryAgain)
    }))

  it.scopedLive("F2 garbage in the handshake: libzmq has ended it for good", () =>
    Effect.gen(function*() {
      const { events } = yield* against((connection) =>
        connection.write(Buffer.concat([Zmtp.greeting, Buffer.alloc(99, 7)]))
      )
      assert.deepStrictEqual(yield* takeN(events, 3), giveUp)
    }))

  it.scopedLive("F2 garbage that looks like ZeroMQ 2: opened, and no more is known until it disconnects", () =>
    Effect.gen(function*() {
      const connections: Array<net.Socket> = []
      const { events } = yield* against((connection) => {
        connections.push(connection)
        connection.write("SSH-2.0-OpenSSH\r\n")
      }, { handshakeMillis: 50 })
      assert.strictEqual(yield* events.take, "opened")
      yield* Effect.sleep("200 millis")
      connections[0]!.end()
      assert.deepStrictEqual(yield* takeN(events, 2), ["failed", "opened"])
    }))

  it.scopedLive("a peer of ZeroMQ 3 is opened, never connected, and its messages arrive", () =>
    Effect.gen(function*() {
      const greeting2 = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 1, 0, 0]
      const { events, messages } = yield* against(
        (connection) => connection.write(Buffer.from([...greeting2, 0, 1, 0x33])),
        { handshakeMillis: 50 }
      )
      assert.strictEqual(yield* events.take, "opened")
      assert.deepStrictEqual(texts(yield* messages.take), ["3"])
    }))

  it.scopedLive("F2 a socket of a kind that cannot be the other end: libzmq has ended it for good", () =>
    Effect.gen(function*() {
      const other = yield* ZmqSocket.makeRouter()
      const subscriber = yield* ZmqSocket.makeSubscriber()
      const events = yield* Mailbox.fromStream(subscriber.connections)
      yield* subscriber.connect(yield* other.bind(anyPort))
      assert.deepStrictEqual(yield* takeN(events, 3), giveUp)
    }))

  it.scopedLive("F2 a socket that has connected to itself: libzmq has ended it for good", () =>
    Effect.gen(function*() {
      const { host, port } = new URL((yield* freshEndpoint("tcp")).replace("tcp:", "http:"))
      const socket = new zmq.Subscriber({ linger: 0 })
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
      const seen: Array<string> = []
      for (const event of ["connect", "disconnect", "connect:retry"] as const) {
        socket.events.on(event, () => seen.push(event))
      }
      // The port to connect from is the one to connect to, as the system may choose it among its ephemeral ports.
      socket.connect(`tcp://127.0.0.1:${port};${host}`)
      yield* eventually(Effect.sync(() => seen.length === 2))
      assert.deepStrictEqual(seen, ["connect", "disconnect"])
    }))

  for (const keys of ["with", "without"] as const) {
    it.scopedLive(`a server whose keys do not fit a subscriber ${keys} keys: libzmq has ended it for good`, () =>
      Effect.gen(function*() {
        const own = zmq.curveKeyPair()
        const server = keys === "with" ? {} : { curveServer: true, curveSecretKey: own.secretKey }
        const publisher = new zmq.Publisher({ linger: 0, ...server })
        yield* Effect.addFinalizer(() => Effect.sync(() => publisher.close()))
        yield* Effect.promise(() => publisher.bind(anyPort))
        const client = keys === "without" ? {} : {
          curvePublicKey: own.publicKey,
          curveSecretKey: own.secretKey,
          curveServerKey: own.publicKey
        }
        const subscriber = yield* ZmqSocket.makeSubscriber({
          security: { options: client, install: () => Effect.succeed(connectDirectly) }
        })
        const events = yield* Mailbox.fromStream(subscriber.connections)
        yield* subscriber.connect(publisher.lastEndpoint!)
        assert.deepStrictEqual(yield* takeN(events, 3), giveUp)
      }))
  }

  it.scopedLive("F14 a frame above the limit: disconnected at once, and libzmq has ended it for good", () =>
    Effect.gen(function*() {
      const frame = Buffer.alloc(9)
      frame[0] = 2
      frame.writeBigUInt64BE(600_000_000n, 1)
      const closed = yield* Deferred.make<void>()
      const { events } = yield* against((connection) => {
        connection.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        connection.write(Buffer.concat([Zmtp.greeting, Zmtp.ready("PUB")]))
        // The subscription is the last that arrives.
        connection.on("data", (data) => data.at(-1) === 1 ? connection.write(frame) : undefined)
      }, { maxMessageSize: 512 })
      assert.deepStrictEqual(yield* takeN(events, 4), ["opened", "connected", "lost", "ended"])
      yield* Deferred.await(closed)
    }))

  it.scopedLive("the latest events are kept for a late consumer, and the stream ends with the socket", () =>
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
        [...yield* Stream.runCollect(Stream.takeUntil(dealer.connections, (event) => event === "connected"))],
        "connected"
      )
      const rest = yield* Effect.fork(Stream.runDrain(dealer.connections))
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.await(rest)
    }))
})

describe("names", () => {
  /** A free port that is free at both loopback addresses. */
  const port = Effect.map(freshEndpoint("tcp"), (endpoint) => endpoint.split(":")[2]!)
  const publishAt = (endpoint: string) =>
    Effect.tap(ZmqSocket.makeStatePublisher(), (publisher) => publisher.bind(endpoint))
  const hasIpv6 = Object.values(os.networkInterfaces()).flat().some((address) => address?.address === "::1")

  it.scopedLive("F12 a host that cannot be looked up: connect returns at once, and there is one warning", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      const subscriber = yield* ZmqSocket.makeSubscriber().pipe(
        Effect.tap((subscriber) => subscriber.connect("tcp://no-such-host.invalid:5555")),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      yield* eventually(Effect.sync(() => lines.length > 0))
      yield* Effect.sleep("1500 millis")
      assert.lengthOf(lines, 1)
      assert.include(lines[0], "cannot look up the host of tcp://no-such-host.invalid:5555")
      assert.isFalse(yield* subscriber.poll)
    }))

  for (const address of ["127.0.0.1", "[::1]"]) {
    it.scopedLive.skipIf(!hasIpv6)(
      `F13 localhost that only listens at ${address} is connected, again and again`,
      () =>
        Effect.gen(function*() {
          const at = yield* port
          const subscriber = yield* ZmqSocket.makeSubscriber()
          const received = yield* listen(subscriber.messages)
          yield* subscriber.connect(`tcp://localhost:${at}`)
          for (let life = 0; life < 3; life++) {
            yield* Effect.scoped(Effect.gen(function*() {
              const publisher = yield* publishAt(`tcp://${address}:${at}`)
              yield* eventually(Effect.map(publisher.subscribers, (count) => count === 1))
              yield* publisher.send(message(String(life)))
              assert.deepStrictEqual(texts(yield* received.take), [String(life)])
            }))
            yield* eventually(isRefused(`tcp://localhost:${at}`))
          }
        })
    )
  }

  it.scopedLive.skipIf(!hasIpv6)(
    "F13 localhost that listens at both addresses is connected once",
    () =>
      Effect.gen(function*() {
        const at = yield* port
        const publishers = yield* Effect.forEach(
          ["127.0.0.1", "[::1]"],
          (address) => publishAt(`tcp://${address}:${at}`)
        )
        const subscriber = yield* ZmqSocket.makeSubscriber()
        const received = yield* listen(subscriber.messages)
        yield* subscriber.connect(`tcp://localhost:${at}`)
        const counts = Effect.all(publishers.map(({ subscribers }) => subscribers))
        yield* eventually(Effect.map(counts, (counts) => counts.includes(1)))
        yield* Effect.sleep("1500 millis")
        assert.deepStrictEqual((yield* counts).sort(), [0, 1])
        yield* Effect.forEach(publishers, (publisher) => publisher.send(message("once")))
        assert.deepStrictEqual(texts(yield* received.take), ["once"])
        yield* Effect.sleep("100 millis")
        assert.strictEqual(yield* received.size.pipe(Effect.map(Option.getOrNull)), 0)
      })
  )

  it.scopedLive.skipIf(!hasIpv6)(
    "F13 what a DEALER has taken for a host with several addresses is not lost with one of them",
    () =>
      Effect.gen(function*() {
        const at = yield* port
        const dealer = yield* ZmqSocket.makeDealer()
        yield* dealer.connect(`tcp://localhost:${at}`)
        const sending = yield* Effect.fork(insist(dealer, message("kept")))
        yield* Effect.sleep("200 millis")
        const router = yield* ZmqSocket.makeRouter()
        yield* router.bind(`tcp://[::1]:${at}`)
        const requests = yield* listen(router.messages)
        yield* Fiber.join(sending)
        assert.strictEqual(texts(yield* requests.take)[1], "kept")
      })
  )

  it.scopedLive.skipIf(!hasIpv6)("F13 tcp://* listens at both addresses", () =>
    Effect.gen(function*() {
      const router = yield* ZmqSocket.makeRouter()
      const [, port] = /:(\d+)$/.exec(yield* router.bind("tcp://*:*"))!
      const requests = yield* listen(router.messages)
      for (const address of ["127.0.0.1", "[::1]"]) {
        const dealer = yield* ZmqSocket.makeDealer()
        yield* dealer.connect(`tcp://${address}:${port}`)
        yield* dealer.send(message(address))
        assert.strictEqual(texts(yield* requests.take)[1], address)
      }
    }))

  it.scopedLive("F2 what libzmq has given up is connected again as soon as the right one listens there", () =>
    Effect.gen(function*() {
      const endpoint = yield* freshEndpoint("tcp")
      const subscriber = yield* ZmqSocket.makeSubscriber()
      const events = yield* Mailbox.fromStream(subscriber.connections)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.flatMap(ZmqSocket.makeRouter(), (router) => router.bind(endpoint))
        yield* subscriber.connect(endpoint)
        yield* Effect.repeat(events.take, { until: (event) => event === "ended" })
      }))
      yield* publishAt(endpoint)
      yield* Effect.repeat(events.take, { until: (event) => event === "connected" })
    }))
})

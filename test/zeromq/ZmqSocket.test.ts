import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Logger from "effect/Logger"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as net from "node:net"
import * as os from "node:os"
import * as zmq from "zeromq"
import { isConnectedToItself } from "../../src/internal/RefusalProbe.ts"
import type { SocketReason } from "../../src/ports/SocketError.ts"
import type { SocketError } from "../../src/ports/SocketError.ts"
import type * as Frames from "../../src/wire/Frames.ts"
import { connectDirectly } from "../../src/zeromq/connector.ts"
import { isRefused } from "../../src/zeromq/refusalProbe.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import {
  eventually,
  freshEndpoint,
  listen,
  message,
  texts,
  transports,
  unhandledRejections
} from "../support/sockets.ts"

const anyPort = "tcp://127.0.0.1:*"

/** The greeting of ZMTP 3.0 without keys. */
const greeting = Buffer.alloc(64)
greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0])
greeting.write("NULL", 12)

/** What ends the handshake of a socket of this type. */
const readyAs = (type: string) => {
  const body = Buffer.from(`\x05READY\x0bSocket-Type\x00\x00\x00\x03${type}`, "latin1")
  return Buffer.concat([Buffer.from([4, body.length]), body])
}
const ready = readyAs("PUB")

/** A TCP server for tests of what is not ZeroMQ; its endpoint. */
const listener = (onConnection: (connection: net.Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
        const connections = new Set<net.Socket>()
        const server = net.createServer((connection) => {
          connections.add(connection)
          connection.on("error", () => {})
          onConnection(connection)
        }).listen(0, "127.0.0.1", () => {
          const close = () => {
            server.close()
            connections.forEach((connection) => connection.destroy())
          }
          resume(Effect.succeed({ port: (server.address() as net.AddressInfo).port, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ port }) => `tcp://127.0.0.1:${port}`
  )

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

  it.scopedLive("F2 a listener that hangs up at once: tried again and again", () =>
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
        connection.write(Buffer.concat([greeting, Buffer.alloc(99, 7)]))
      )
      assert.deepStrictEqual(yield* takeN(events, 3), giveUp)
    }))

  it.scopedLive("F2 garbage that looks like ZeroMQ 2: opened, and no more is known until it hangs up", () =>
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

  it.scopedLive("F14 a frame that is larger than it may be: cut at once, and libzmq has ended it for good", () =>
    Effect.gen(function*() {
      const frame = Buffer.alloc(9)
      frame[0] = 2
      frame.writeBigUInt64BE(600_000_000n, 1)
      const closed = yield* Deferred.make<void>()
      const { events } = yield* against((connection) => {
        connection.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        connection.write(Buffer.concat([greeting, ready]))
        // The subscription is the last that arrives.
        connection.on("data", (data) => data.at(-1) === 1 ? connection.write(frame) : undefined)
      }, { maxMessageSize: 512 })
      assert.deepStrictEqual(yield* takeN(events, 4), ["opened", "connected", "lost", "ended"])
      yield* Deferred.await(closed)
    }))

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

describe("refused connections", () => {
  it.scopedLive("F2 a connection to itself counts as refused", () =>
    Effect.gen(function*() {
      const port = Number((yield* freshEndpoint("tcp")).split(":")[2])
      const socket = yield* Effect.acquireRelease(
        Effect.async<net.Socket, Error>((resume) => {
          const socket = net.connect({ host: "127.0.0.1", port, localAddress: "127.0.0.1", localPort: port })
          socket.on("connect", () => resume(Effect.succeed(socket))).on("error", (error) => resume(Effect.fail(error)))
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      assert.isTrue(isConnectedToItself(socket))
    }))

  it.scopedLive("a listener, be it silent, refuses nothing; a name that is not known neither", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* isRefused(yield* listener(() => {})))
      assert.isFalse(yield* isRefused("tcp://never-connected.example:5003"))
      assert.isTrue(yield* isRefused(yield* freshEndpoint("tcp")))
    }))
})

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
              assert.strictEqual(yield* changes.take, "joined")
              yield* publisher.send(message(text))
              assert.strictEqual(String((yield* Effect.promise(() => subscriber.receive()))[0]), text)
              assert.strictEqual(yield* publisher.subscribers, 1)
            }
          }))
          assert.strictEqual(yield* changes.take, "left")
          assert.strictEqual(yield* publisher.subscribers, 0)
        }
      }))
  }

  it.scopedLive("a subscriber that subscribes twice and is gone is no subscriber any more", () =>
    Effect.gen(function*() {
      const publisher = yield* ZmqSocket.makeStatePublisher()
      const endpoint = yield* publisher.bind(anyPort)
      const changes = yield* Mailbox.fromStream(publisher.subscriptions)
      yield* Effect.scoped(Effect.gen(function*() {
        const subscriber = yield* subscribe(endpoint)
        subscriber.subscribe()
        yield* Effect.repeatN(changes.take, 1)
      }))
      assert.strictEqual(yield* changes.take, "left")
      assert.strictEqual(yield* publisher.subscribers, 0)
    }))

  it.scopedLive("anything else that a subscriber sends is ignored, and too large a frame cuts it off", () =>
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
      assert.strictEqual(yield* changes.take, "joined")
      assert.strictEqual(yield* changes.take, "left")
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
        connection.once("data", () => connection.write(readyAs("SUB")))
        connection.write(greeting)
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

import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as LazyPirate from "../../src/client/LazyPirate.ts"
import { RequestError } from "../../src/client/RequestError.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as ClientLink from "../../src/ports/ClientLink.ts"
import { SocketError } from "../../src/ports/SocketError.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import { settle } from "../support/nodes.ts"
import { listen, runOf } from "../support/sockets.ts"

const servers = ["inproc://a", "inproc://b"]

interface Received {
  readonly server: string
  readonly at: number
  readonly text: string
  /** Replies as the server does: the envelope unchanged, then another body. */
  readonly reply: (text: string) => void
}

/** A client whose servers handle each message with `onRequest`. */
const makeClient = (
  onRequest: (received: Received) => void,
  options: LazyPirate.Options = {},
  isUnknown: (server: string) => boolean = () => false
) =>
  Effect.gen(function*() {
    const received: Array<Received> = []
    const logged: Array<string> = []
    let open = 0
    const link = Layer.succeed(ClientLink.ClientLink, {
      connect: (server) =>
        Effect.gen(function*() {
          if (isUnknown(server)) {
            return yield* new SocketError({ reason: "UnknownHost", operation: "connect", endpoint: server })
          }
          const queue: Array<ReadonlyArray<Frames.Frames>> = []
          let wake = () => {}
          yield* Effect.acquireRelease(
            Effect.sync(() => open++),
            () => Effect.sync(() => open--)
          )
          return {
            sendNow: () => assert.fail("a Lazy Pirate waits for each message to be sent"),
            send: (message) =>
              Effect.map(Clock.currentTimeMillis, (at) => {
                const [id, empty, ...body] = message
                const one: Received = {
                  server,
                  at,
                  text: Frames.toString(body),
                  reply: (text) => {
                    queue.push([[id!, empty!, ...Frames.make(text)]])
                    wake()
                  }
                }
                received.push(one)
                onRequest(one)
              }),
            events: Stream.never,
            run: runOf(Stream.repeatEffect(Effect.async<ReadonlyArray<Frames.Frames>>((resume) => {
              wake = () => {
                const batch = queue.shift()
                if (batch !== undefined) {
                  wake = () => {}
                  resume(Effect.succeed(batch))
                }
              }
              wake()
            })))
          }
        })
    })
    const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => logged.push(String(message))))
    const { request } = yield* LazyPirate.make({ servers, ...options }).pipe(
      Effect.provide(link),
      Effect.provide(logger)
    )
    yield* settle
    return {
      client: { request: (frames: Frames.Input) => Effect.provide(request(frames), logger) },
      received,
      logged,
      connections: () => open
    }
  })

const text = (reply: Effect.Effect<Frames.Frames, RequestError>) => Effect.map(reply, Frames.toString)

describe("a client", () => {
  it.scoped("sends to the first server and returns its reply", () =>
    Effect.gen(function*() {
      const { received, client, logged } = yield* makeClient(({ reply, text }) => reply(`${text}!`))
      assert.strictEqual(yield* text(client.request("hello")), "hello!")
      assert.deepStrictEqual(yield* client.request([Buffer.from("a"), Buffer.alloc(0)]), Frames.make("a !"))
      assert.deepStrictEqual(received.map(({ server }) => server), ["inproc://a", "inproc://a"])
      assert.deepStrictEqual(logged, ["connecting to server at inproc://a..."])
    }))

  it.scoped("fails over without a reply: disconnects, waits for reconnectDelay, sends the same to the other server", () =>
    Effect.gen(function*() {
      const { received, client, connections, logged } = yield* makeClient(({ reply, server, text }) => {
        if (server === "inproc://b") {
          reply(text)
        }
      })
      const reply = yield* Effect.fork(text(client.request("1")))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(connections(), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(connections(), 0)
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(received.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(reply), "1")
      assert.deepStrictEqual(received.map(({ at, server, text }) => [server, text, at]), [
        ["inproc://a", "1", 0],
        ["inproc://b", "1", 3000]
      ])
      assert.deepStrictEqual(logged, [
        "connecting to server at inproc://a...",
        "no response from server, failing over",
        "connecting to server at inproc://b..."
      ])
      assert.strictEqual(yield* text(client.request("2")), "2")
      assert.strictEqual(received.at(-1)!.server, "inproc://b")
    }))

  it.scoped("fails with a typed error in the promised time when no server replies", () =>
    Effect.gen(function*() {
      const { received, client, connections } = yield* makeClient(() => {}, { retry: Schedule.recurs(2) })
      const reply = yield* Effect.fork(Effect.exit(client.request("1")))
      yield* TestClock.adjust("6999 millis")
      assert.isNull(yield* Fiber.poll(reply).pipe(Effect.map((poll) => poll._tag === "None" ? null : poll.value)))
      yield* TestClock.adjust("1 millis")
      const exit = yield* Fiber.join(reply)
      assert.isTrue(Exit.isFailure(exit))
      const error = yield* Effect.flip(Effect.suspend(() => exit))
      assert.instanceOf(error, RequestError)
      assert.strictEqual(error.reason, "NoReply")
      assert.strictEqual(error.attempts, 3)
      assert.strictEqual(error.message, "no reply from inproc://a or inproc://b after 3 attempts")
      assert.deepStrictEqual(received.map(({ at, server }) => [server, at]), [
        ["inproc://a", 0],
        ["inproc://b", 3000],
        ["inproc://a", 6000]
      ])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(connections(), 1)
    }))

  it.scoped("does not take a late reply for that to another request", () =>
    Effect.gen(function*() {
      const { received, client } = yield* makeClient(() => {}, { servers: ["inproc://a"], retry: Schedule.recurs(0) })
      const first = yield* Effect.fork(Effect.exit(client.request("first")))
      yield* TestClock.adjust("500 millis")
      const second = yield* Effect.fork(text(client.request("second")))
      const third = yield* Effect.fork(text(client.request("third")))
      yield* settle
      yield* Fiber.interrupt(first)
      received[0]!.reply("reply to first")
      yield* settle
      received[2]!.reply("reply to third")
      received[1]!.reply("reply to second")
      assert.strictEqual(yield* Fiber.join(second), "reply to second")
      assert.strictEqual(yield* Fiber.join(third), "reply to third")
    }))

  it.scoped("runs many requests at once, each with its own reply", () =>
    Effect.gen(function*() {
      const waiting: Array<Received> = []
      const { client } = yield* makeClient((received) => {
        waiting.push(received)
        if (waiting.length === 100) {
          waiting.reverse().forEach(({ reply, text }) => reply(`reply to ${text}`))
        }
      })
      const requests = Array.from({ length: 100 }, (_, i) => String(i))
      const replies = yield* Effect.forEach(requests, (request) => text(client.request(request)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(replies, requests.map((request) => `reply to ${request}`))
    }))

  it.scoped("moves all pending requests to the other server with the first that times out", () =>
    Effect.gen(function*() {
      const { received, client, logged } = yield* makeClient(({ reply, server, text }) => {
        if (server === "inproc://b") {
          reply(text)
        }
      })
      const first = yield* Effect.fork(text(client.request("1")))
      yield* TestClock.adjust("900 millis")
      const second = yield* Effect.fork(text(client.request("2")))
      yield* TestClock.adjust("2100 millis")
      assert.strictEqual(yield* Fiber.join(first), "1")
      assert.strictEqual(yield* Fiber.join(second), "2")
      assert.sameDeepMembers(received.map(({ at, server, text }) => [server, text, at]), [
        ["inproc://a", "1", 0],
        ["inproc://a", "2", 900],
        ["inproc://b", "1", 3000],
        ["inproc://b", "2", 3000]
      ])
      assert.strictEqual(logged.filter((line) => line.startsWith("no response")).length, 1)
    }))

  it.scoped("stays with a server that replies to other requests", () =>
    Effect.gen(function*() {
      const { received, client, logged } = yield* makeClient(({ reply, text }) => {
        if (text !== "lost") {
          reply(text)
        }
      }, { retry: Schedule.recurs(2) })
      const lost = yield* Effect.fork(Effect.flip(client.request("lost")))
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust("300 millis")
        assert.strictEqual(yield* text(client.request(String(i))), String(i))
      }
      assert.strictEqual((yield* Fiber.join(lost)).attempts, 3)
      assert.isTrue(received.every(({ server }) => server === "inproc://a"))
      assert.deepStrictEqual(logged, ["connecting to server at inproc://a..."])
    }))

  it.scoped("fails pending and later requests when it is closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { client } = yield* makeClient(() => {}, { retry: Schedule.forever }).pipe(Scope.extend(scope))
      const waiting = yield* Effect.fork(Effect.flip(client.request("1")))
      yield* TestClock.adjust("1500 millis")
      const reconnecting = yield* Effect.fork(Effect.flip(client.request("2")))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "NoReply")
      assert.strictEqual((yield* Fiber.join(reconnecting)).reason, "NoReply")
      assert.strictEqual((yield* Effect.flip(client.request("3"))).reason, "NoReply")
    }))

  it.scoped("connects to the next server when a host name cannot be resolved", () =>
    Effect.gen(function*() {
      const { received, client } = yield* makeClient(
        ({ reply, text }) => reply(text),
        {},
        (server) => server === "inproc://a"
      )
      const reply = yield* Effect.fork(text(client.request("1")))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(reply), "1")
      assert.deepStrictEqual(received.map(({ server }) => server), ["inproc://b"])
    }))

  it.scoped("keeps working when requests are interrupted, at any time", () =>
    Effect.gen(function*() {
      let silent = true
      const { client, connections } = yield* makeClient(({ reply, text }) => {
        if (!silent) {
          reply(text)
        }
      })
      for (const millis of [0, 1, 999, 1000, 1500, 2999, 3000, 3500]) {
        const request = yield* Effect.fork(client.request(`${millis}`))
        yield* TestClock.adjust(millis)
        yield* Fiber.interrupt(request)
      }
      yield* TestClock.adjust("10 seconds")
      silent = false
      assert.strictEqual(yield* text(client.request("still there")), "still there")
      assert.strictEqual(connections(), 1)
    }))

  it.scoped("adds the delays of the retry schedule to reconnectDelay", () =>
    Effect.gen(function*() {
      const retry = Schedule.intersect(Schedule.spaced("5 seconds"), Schedule.recurs(2))
      const { received, client } = yield* makeClient(() => {}, { retry })
      const lost = yield* Effect.fork(Effect.zip(Effect.flip(client.request("1")), Clock.currentTimeMillis))
      yield* TestClock.adjust("1 minute")
      const [error, at] = yield* Fiber.join(lost)
      assert.strictEqual(error.attempts, 3)
      assert.strictEqual(at, 13_000)
      assert.deepStrictEqual(received.map(({ at, server }) => [server, at]), [
        ["inproc://a", 0],
        ["inproc://b", 6000],
        ["inproc://a", 12_000]
      ])
    }))

  it.scoped("does not fail over because of an interrupted request", () =>
    Effect.gen(function*() {
      const { client, logged } = yield* makeClient(() => {})
      const request = yield* Effect.fork(client.request("1"))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(request)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(logged, ["connecting to server at inproc://a..."])
    }))

  it.scoped("rejects invalid options and names their fields", () =>
    Effect.gen(function*() {
      const fieldsOf = (options: unknown) =>
        makeClient(() => {}, options as LazyPirate.Options).pipe(
          Effect.flip,
          Effect.map(({ issues }) => issues.map(({ field }) => field))
        )
      assert.deepStrictEqual(yield* fieldsOf({ servers: [] }), ["servers.0"])
      assert.deepStrictEqual(yield* fieldsOf({ servers: ["inproc://a", "tcp://*:1"] }), ["servers.1"])
      assert.deepStrictEqual(yield* fieldsOf({ timeout: "soon", reconnectDelay: "later" }), [
        "timeout",
        "reconnectDelay"
      ])
    }))
})

describe("a client over ZeroMQ", () => {
  const client = (options: LazyPirate.Options) => LazyPirate.make(options).pipe(Effect.provide(ZmqClientLink.layer))

  it.scopedLive("fails over during a request", () =>
    Effect.gen(function*() {
      const deaf = yield* ZmqSocket.makeRouter()
      const echo = yield* ZmqSocket.makeRouter()
      const servers = [yield* deaf.bind("tcp://127.0.0.1:*"), yield* echo.bind("tcp://127.0.0.1:*")]
      yield* Stream.runForEach(echo.messages, echo.sendAll).pipe(Effect.forkScoped)
      const { request } = yield* client({ servers, timeout: "200 millis", reconnectDelay: "50 millis" })
      const replies = yield* Effect.forEach(["1", "2", "3"], (sequence) => text(request(sequence)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(replies, ["1", "2", "3"])
    }))

  it.scopedLive("drops replies that are late, duplicate, unsolicited or malformed", () =>
    Effect.gen(function*() {
      const server = yield* ZmqSocket.makeRouter()
      const { request } = yield* client({ servers: [yield* server.bind("tcp://127.0.0.1:*")], timeout: "30 seconds" })
      const requests = yield* listen(server.messages)
      const abandoned = yield* Effect.fork(request("abandoned"))
      const late = yield* requests.take
      yield* Fiber.interrupt(abandoned)
      for (const sequence of ["1", "2"]) {
        const reply = yield* Effect.fork(text(request(sequence)))
        const received = yield* requests.take
        const [identity, id, delimiter] = received
        yield* server.sendAll([
          late,
          [identity!],
          [identity!, id!],
          [identity!, delimiter!],
          [identity!, id!, ...Frames.make("no delimiter")],
          [identity!, ...Frames.make("unsolicited"), delimiter!, ...Frames.make("x")],
          received,
          received
        ])
        assert.strictEqual(yield* Fiber.join(reply), sequence)
      }
    }))

  it.scopedLive("survives an unknown host, and two servers that do not run", () =>
    Effect.gen(function*() {
      const echo = yield* ZmqSocket.makeRouter()
      const servers = ["tcp://unknown.invalid:5001", yield* echo.bind("tcp://127.0.0.1:*")]
      yield* Stream.runForEach(echo.messages, echo.sendAll).pipe(Effect.forkScoped)
      const { request } = yield* client({ servers, reconnectDelay: "50 millis" })
      assert.strictEqual(yield* text(request("1")), "1")
      const lost = yield* client({
        servers: ["ipc:///nowhere/a", "ipc:///nowhere/b"],
        timeout: "50 millis",
        reconnectDelay: "10 millis"
      })
      assert.strictEqual((yield* Effect.flip(lost.request("2"))).attempts, 4)
    }))

  it.scopedLive("connects to several pairs in one process", () =>
    Effect.gen(function*() {
      const pair = (name: string) =>
        Effect.gen(function*() {
          const member = (role: Role, other: string) => {
            const options = {
              role,
              policy: "classic",
              frontend: `inproc://${name}-${role}-frontend`,
              stateEndpoint: `inproc://${name}-${role}-state`,
              peerEndpoint: `inproc://${name}-${other}-state`,
              heartbeat: "50 millis"
            } as const
            return Layer.provide(
              BinaryStar.layer(options, ({ body }) => `${name}: ${Frames.toString(body)}`),
              Zmq.layer(options)
            )
          }
          yield* Layer.build(member("primary", "backup"))
          yield* Layer.build(member("backup", "primary"))
          return yield* client({ servers: [`inproc://${name}-primary-frontend`, `inproc://${name}-backup-frontend`] })
        })
      const [red, blue] = [yield* pair("red"), yield* pair("blue")]
      assert.strictEqual(yield* text(red.request("1")), "red: 1")
      assert.strictEqual(yield* text(blue.request("2")), "blue: 2")
    }))

  it("Handler.echo replies with the body of the request", () => {
    assert.deepStrictEqual(
      Handler.echo({ client: "", state: "ACTIVE", term: Option.none(), body: Frames.make("x") }),
      Frames.make("x")
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import { BinaryStar, layer } from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import type { State } from "../../src/protocol/StateMachine.ts"
import type { Options } from "../../src/settings/BinaryStarConfig.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import type { Transport } from "../support/sockets.ts"
import { eventually, freshEndpoint, listen, message, quiet, texts } from "../support/sockets.ts"

/** Starts a member over sockets. */
const start = <R>(options: Options, handler: Handler.Handler<R>) =>
  Effect.map(
    Layer.build(Layer.provide(layer(options, handler), Layer.merge(Zmq.layer(options), quiet))),
    (context) => Context.get(context, BinaryStar)
  )

/** Starts a primary without a peer, which answers at once. */
const startAlone = <R = never>(handler: Handler.Handler<R>, options: Partial<Options> = {}) =>
  Effect.gen(function*() {
    const [frontend, stateEndpoint, peerEndpoint] = yield* Effect.replicateEffect(freshEndpoint("tcp"), 3, {
      concurrency: 3
    })
    const member = yield* start({
      role: "primary",
      policy: "classic",
      frontend,
      stateEndpoint,
      peerEndpoint,
      ...options
    }, handler)
    return { frontend: frontend!, member }
  })

type MakeClient = typeof ZmqSocket.makeDealer | typeof ZmqSocket.makeRequest

/** Connects a socket; what it sends begins with an envelope, and so must what comes back. */
const connect = (make: MakeClient, frontend: string, envelope: Frames.Frames = []) =>
  Effect.gen(function*() {
    const socket = yield* make()
    yield* socket.connect(frontend)
    const replies = yield* listen(socket.messages)
    return {
      send: (body: Frames.Frames) => socket.send([...envelope, ...body]),
      reply: Effect.map(replies.take, (reply) => {
        assert.deepStrictEqual(texts(reply.slice(0, envelope.length)), texts(envelope))
        return reply.slice(envelope.length)
      })
    }
  })

const clients = {
  "a REQ": (frontend: string) => connect(ZmqSocket.makeRequest, frontend),
  "a DEALER with a delimiter": (frontend: string) => connect(ZmqSocket.makeDealer, frontend, [Frames.delimiter]),
  "a DEALER without a delimiter": (frontend: string) => connect(ZmqSocket.makeDealer, frontend),
  "a DEALER with a longer envelope": (frontend: string) =>
    connect(ZmqSocket.makeDealer, frontend, [...message("hop", "hop"), Frames.delimiter])
}

const requests = {
  "1 frame": message("hello"),
  "20 frames": message(...Array.from({ length: 20 }, (_, i) => `frame ${i}`)),
  "empty frames": message("", "", "x", "", ""),
  "0 bytes": message(""),
  "bytes that are no text": [Uint8Array.of(0, 255, 128, 13, 10), Uint8Array.of(0)],
  "16 MiB": [Buffer.alloc(16 * 1024 * 1024, "0123456789abcde")]
}

const isSame = (one: Frames.Frames, other: Frames.Frames) =>
  one.length === other.length && one.every((frame, i) => Buffer.compare(frame, other[i]!) === 0)

describe("a member echoes", () => {
  for (const [name, client] of Object.entries(clients)) {
    it.scopedLive(`requests of ${name} unchanged`, () =>
      Effect.gen(function*() {
        const { frontend } = yield* startAlone(Handler.echo, { maxMessageSize: 16 * 1024 * 1024 })
        const { reply, send } = yield* client(frontend)
        for (const [what, request] of Object.entries(requests)) {
          yield* send(request)
          assert.isTrue(isSame(yield* reply, request), what)
        }
      }))
  }

  it.scopedLive("requests of 100 clients at a time, each reply to its own client", () =>
    Effect.gen(function*() {
      const { frontend, member } = yield* startAlone(Handler.echo)
      const kinds = Object.values(clients)
      yield* Effect.forEach(Array(100).keys(), (n) =>
        Effect.gen(function*() {
          const { reply, send } = yield* kinds[n % kinds.length]!(frontend)
          for (let i = 0; i < 20; i++) {
            const request = ["", `client ${n}`, `request ${i}`]
            yield* send(message(...request))
            assert.deepStrictEqual(texts(yield* reply), request)
          }
        }), { concurrency: "unbounded", discard: true })
      assert.deepInclude(yield* member.counters, { accepted: 2000, rejected: 0, failed: 0 })
    }))

  it.scopedLive("more requests at a time than its queues hold, through the client", () =>
    Effect.gen(function*() {
      const { frontend } = yield* startAlone(Handler.echo)
      const { request } = yield* BinaryStarClient.make({ servers: [frontend], timeout: "30 seconds" }).pipe(
        Effect.provide([ZmqClientLink.layer, quiet])
      )
      const requestTexts = Array.from({ length: 2000 }, (_, i) => String(i))
      const replies = yield* Effect.forEach(requestTexts, (text) => request(text), { concurrency: "unbounded" })
      assert.deepStrictEqual(replies.map(Frames.toString), requestTexts)
    }))
})

describe("a handler that is an effect", () => {
  it.scopedLive("runs beside others up to the concurrency, and each reply finds its client", () =>
    Effect.gen(function*() {
      const started = yield* Mailbox.make<{ readonly finish: Effect.Effect<unknown> }>()
      let running = 0
      let most = 0
      const { frontend } = yield* startAlone(({ body }) =>
        Effect.gen(function*() {
          most = Math.max(most, ++running)
          const gate = yield* Deferred.make<void>()
          yield* started.offer({ finish: Deferred.succeed(gate, undefined) })
          yield* Deferred.await(gate)
          running--
          return body
        }), { concurrency: 3 })
      const all = yield* Effect.replicateEffect(clients["a REQ"](frontend), 10)
      yield* Effect.forEach(all, ({ send }, i) => send(message(String(i))))
      let inHand = yield* Effect.replicateEffect(started.take, 3)
      for (let i = 3; i < all.length; i++) {
        // The last one that began is the first to end.
        yield* inHand.pop()!.finish
        inHand = [...inHand, yield* started.take]
      }
      yield* Effect.forEach(inHand, ({ finish }) => finish)
      const replies = yield* Effect.forEach(all, ({ reply }) => reply)
      assert.deepStrictEqual(replies.map(texts), all.map((_, i) => [String(i)]))
      assert.strictEqual(most, 3)
    }))

  it.scopedLive("that fails in whatever way drops its own request and no other", () =>
    Effect.gen(function*() {
      const { frontend, member } = yield* startAlone(({ body }) => {
        switch (Frames.toString(body)) {
          case "throw":
            throw new Error("thrown")
          case "fail":
            return Effect.fail("failed")
          case "die":
            return Effect.die(new Error("died"))
          case "interrupt":
            return Effect.interrupt
          case "late":
            return Effect.zipRight(Effect.sleep("1 millis"), Effect.fail("failed late"))
          default:
            return Effect.succeed(body)
        }
      }, { concurrency: 2 })
      const { reply, send } = yield* clients["a DEALER with a delimiter"](frontend)
      const bad = ["throw", "fail", "die", "interrupt", "late"]
      for (let round = 0; round < 3; round++) {
        for (const text of bad) {
          yield* send(message(text))
          yield* send(message(`after ${text}`))
          assert.deepStrictEqual(texts(yield* reply), [`after ${text}`])
        }
      }
      yield* eventually(Effect.map(member.counters, ({ failed }) => failed === 3 * bad.length))
      assert.deepInclude(yield* member.counters, { accepted: 6 * bad.length, rejected: 0 })
    }))

  it.scopedLive("may use a service", () =>
    Effect.gen(function*() {
      class Greeting extends Context.Tag("test/Greeting")<Greeting, { readonly greet: (name: string) => string }>() {}
      const { frontend } = yield* startAlone(({ body }) =>
        Effect.map(Greeting, ({ greet }) => greet(Frames.toString(body)))
      ).pipe(Effect.provideService(Greeting, { greet: (name) => `Hello, ${name}!` }))
      const { reply, send } = yield* clients["a REQ"](frontend)
      yield* send(message("world"))
      assert.deepStrictEqual(texts(yield* reply), ["Hello, world!"])
    }))
})

describe("two pairs in one process", () => {
  /** Starts a pair that signs its answers, and a client of it. */
  const startPair = (name: string, transport: Transport) =>
    Effect.gen(function*() {
      const [one, two, oneState, twoState] = yield* Effect.replicateEffect(freshEndpoint(transport), 4)
      const common = { policy: "classic", heartbeat: "200 millis" } as const
      const sign: Handler.Handler = ({ body }) => [...message(name), ...body]
      const primaryScope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      const primary = yield* Scope.extend(
        start({ ...common, role: "primary", frontend: one, stateEndpoint: oneState, peerEndpoint: twoState }, sign),
        primaryScope
      )
      const backup = yield* start({
        ...common,
        role: "backup",
        frontend: two,
        stateEndpoint: twoState,
        peerEndpoint: oneState
      }, sign)
      const client = yield* BinaryStarClient.make({
        servers: [one!, two!],
        timeout: "30 seconds"
      }).pipe(Effect.provide([ZmqClientLink.layer, quiet]))
      return {
        primary,
        backup,
        killPrimary: Scope.close(primaryScope, Exit.void),
        request: (text: string) => client.request(text).pipe(Effect.map(texts), Effect.provide(quiet))
      }
    })

  const becomes = ({ changes }: BinaryStar["Type"], state: State) =>
    Stream.runHead(Stream.filter(changes, (now) => now === state))

  for (const transports of [["inproc", "ipc"], ["ipc", "inproc"]] as const) {
    it.scopedLive(`over ${transports.join(" and ")}: one fails over and the other does not notice`, () =>
      Effect.gen(function*() {
        const red = yield* startPair("red", transports[0])
        const blue = yield* startPair("blue", transports[1])
        for (const { backup, primary } of [red, blue]) {
          yield* becomes(primary, "ACTIVE")
          yield* becomes(backup, "PASSIVE")
        }
        assert.deepStrictEqual(yield* red.request("1"), ["red", "1"])
        assert.deepStrictEqual(yield* blue.request("1"), ["blue", "1"])
        yield* red.killPrimary
        assert.deepStrictEqual(yield* red.request("2"), ["red", "2"])
        assert.strictEqual(yield* red.backup.state, "ACTIVE")
        assert.deepStrictEqual(yield* blue.request("2"), ["blue", "2"])
        assert.strictEqual(yield* blue.primary.state, "ACTIVE")
        assert.strictEqual(yield* blue.backup.state, "PASSIVE")
      }))
  }
})

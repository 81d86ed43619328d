import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import { BinaryStar, layer } from "../../src/member/BinaryStar.ts"
import type * as Handler from "../../src/member/Handler.ts"
import type { Options } from "../../src/settings/BinaryStarConfig.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import * as Zmtp from "../campaigns/fuzz/zmtp.ts"
import { eventually, freshEndpoint, listen, message, texts, unhandledRejections } from "../support/sockets.ts"

/** A primary without a peer, which serves at once, and its log lines. */
const serve = (handler: Handler.Handler, options: Partial<Options> = {}) =>
  Effect.gen(function*() {
    const [frontend, stateEndpoint, peerEndpoint] = (yield* Effect.replicateEffect(freshEndpoint("tcp"), 3)) as [
      string,
      string,
      string
    ]
    const settings: Options = { role: "primary", policy: "classic", frontend, stateEndpoint, peerEndpoint, ...options }
    const lines: Array<string> = []
    const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => lines.push(String(message))))
    const context = yield* Layer.build(
      layer(settings, handler).pipe(Layer.provide(Zmq.layer(settings)), Layer.provide(logger))
    )
    return { frontend, state: stateEndpoint, lines, member: Context.get(context, BinaryStar) }
  })

const echo: Handler.Handler = ({ body }) => body

const dealer = (frontend: string) =>
  Effect.gen(function*() {
    const socket = yield* ZmqSocket.makeDealer()
    yield* socket.connect(frontend)
    const replies = yield* listen(socket.messages)
    return {
      ...socket,
      replies,
      request: (...frames: ReadonlyArray<string>) => socket.send([Frames.delimiter, ...message(...frames)]),
      reply: Effect.map(replies.take, (reply) => texts(reply.slice(1)))
    }
  })

const client = (frontend: string): Effect.Effect<BinaryStarClient.BinaryStarClient["Type"], never, Scope.Scope> =>
  BinaryStarClient.make({ servers: [frontend], retryAfter: "1 minute", timeout: "1 minute" }).pipe(
    Effect.provide(ZmqClientLink.layer),
    Effect.orDie
  )

/** Another client is served. */
const isWell = (frontend: string) =>
  Effect.gen(function*() {
    const other = yield* dealer(frontend)
    yield* other.request("still served?")
    assert.deepStrictEqual(yield* other.reply, ["still served?"])
  }).pipe(Effect.scoped)

const untilRejected = ({ member }: { readonly member: BinaryStar["Type"] }, count: number) =>
  eventually(Effect.map(member.report, ({ connections }) => connections.rejected >= count))

describe("a client that", () => {
  it.scopedLive("sends a frame above the limit is disconnected; a frame at the limit is served", () =>
    Effect.gen(function*() {
      const server = yield* serve(echo, { maxMessageSize: 10_000 })
      const { request, reply } = yield* dealer(server.frontend)
      yield* request("x".repeat(10_000))
      assert.strictEqual((yield* reply)[0]!.length, 10_000)
      const raw = yield* Zmtp.introduced(server.frontend)
      yield* raw.write(Zmtp.message(Buffer.alloc(0), Buffer.alloc(10_001)))
      yield* raw.closed
      // A size that is only announced counts, too.
      const liar = yield* Zmtp.introduced(server.frontend)
      yield* liar.write(Zmtp.head(Number.MAX_SAFE_INTEGER, 0))
      yield* liar.closed
      yield* isWell(server.frontend)
    }))

  it.scopedLive("sends too many frames receives an error", () =>
    Effect.gen(function*() {
      const { frontend, member, lines } = yield* serve(echo, { maxFrames: 8 })
      const { request } = yield* client(frontend)
      const frames = (count: number) => message(...Array.from({ length: count }, () => "x"))
      assert.lengthOf(yield* request(frames(6)), 6)
      const error = yield* Effect.flip(request(frames(7)))
      assert.deepStrictEqual([error.reason, Frames.toString(error.detail ?? [])], [
        "Failed",
        "9 frames, more than the limit of 8 per request"
      ])
      const legacy = yield* dealer(frontend)
      yield* legacy.request(...Array.from({ length: 8 }, () => "too many"))
      yield* legacy.request("few")
      assert.deepStrictEqual(yield* legacy.reply, ["few"])
      assert.strictEqual((yield* member.counters).limited, 2)
      assert.lengthOf(lines.filter((line) => /request rejected: 9 frames/.test(line)), 1)
    }))

  it.scopedLive("has as many requests in progress as it may is rejected, and no other client is", () =>
    Effect.gen(function*() {
      const release = yield* Deferred.make<void>()
      const { frontend, member } = yield* serve(
        ({ body }) => Effect.as(Deferred.await(release), body),
        { concurrency: 4, maxPerClient: 2 }
      )
      const one = yield* client(frontend)
      const other = yield* client(frontend)
      yield* Effect.forkScoped(Effect.all([one.request("a"), one.request("b")], { concurrency: 2 }))
      yield* eventually(Effect.map(member.counters, ({ accepted }) => accepted === 2))
      assert.strictEqual((yield* Effect.flip(one.request("c"))).reason, "Busy")
      const others = yield* Effect.forkScoped(other.request("d"))
      yield* eventually(Effect.map(member.counters, ({ accepted }) => accepted === 3))
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual(Frames.toString(yield* others), "d")
      assert.strictEqual(Frames.toString(yield* one.request("e")), "e")
      // A request that is sent again while it is in progress counts twice.
      assert.isAtLeast((yield* member.counters).limited, 1)
    }))

  it.scopedLive("sends many requests does not delay others: clients take turns", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const release = yield* Deferred.make<void>()
      const { frontend } = yield* serve(
        ({ body }) =>
          Effect.suspend(() => {
            order.push(Frames.toString(body))
            return Effect.as(Deferred.await(release), body)
          }),
        { concurrency: 1 }
      )
      const greedy = yield* dealer(frontend)
      yield* greedy.request("greedy")
      yield* eventually(Effect.sync(() => order.length === 1))
      for (let i = 1; i < 900; i++) {
        yield* greedy.request("greedy")
      }
      const modest = yield* Effect.replicateEffect(dealer(frontend), 3)
      yield* Effect.forEach(modest, ({ request }, i) => request(`modest ${i}`), { discard: true })
      // Until they have arrived, for which there is no event.
      yield* Effect.sleep("100 millis")
      yield* Deferred.succeed(release, undefined)
      yield* Effect.forEach(modest, ({ reply }) => reply, { discard: true })
      // Requests in progress or queued before are the greedy client's. Once the others have arrived, clients take turns.
      const first = order.findIndex((client) => client !== "greedy")
      assert.isAtMost(first, 8)
      assert.isAtMost(order.indexOf("modest 2"), first + 8)
      yield* eventually(Effect.sync(() => order.length === 903))
    }))

  it.scopedLive("does not complete the handshake is disconnected, and counted", () =>
    Effect.gen(function*() {
      const server = yield* serve(echo, { handshakeTimeout: "50 millis" })
      const silent = yield* Zmtp.connect(server.frontend)
      const half = yield* Zmtp.connect(server.frontend)
      yield* half.write(Zmtp.greeting)
      yield* Effect.zipRight(silent.closed, half.closed)
      yield* untilRejected(server, 2)
      const stranger = yield* Zmtp.connect(server.frontend)
      yield* stranger.write(Zmtp.greetingOf("PLAIN"))
      yield* stranger.closed
      yield* untilRejected(server, 3)
      // One line for each reason.
      const rejections = () => server.lines.filter((line) => /^tcp.*: rejected a connection: /.test(line))
      yield* eventually(Effect.sync(() => rejections().length === 2))
      assert.match(rejections()[0]!, /the handshake was not completed, or not in time$/)
      yield* eventually(Effect.map(server.member.report, ({ connections }) => connections.open === 0))
      yield* isWell(server.frontend)
    }))

  it.scopedLive("does not answer pings is disconnected", () =>
    Effect.gen(function*() {
      const server = yield* serve(echo, { ping: "50 millis" })
      const mute = yield* Zmtp.introduced(server.frontend)
      const alive = yield* dealer(server.frontend)
      yield* alive.request("before")
      yield* alive.reply
      yield* mute.closed
      yield* alive.request("after")
      assert.deepStrictEqual(yield* alive.reply, ["after"])
      assert.strictEqual((yield* server.member.report).connections.open, 1)
    }))

  it.scopedLive("connects beyond the limit of connections retries, and is accepted when another one disconnects", () =>
    Effect.gen(function*() {
      const { frontend, member, lines } = yield* serve(echo, { maxConnections: 2 })
      const first = yield* dealer(frontend)
      yield* first.request("first")
      assert.deepStrictEqual(yield* first.reply, ["first"])
      const life = yield* Scope.make()
      const second = yield* Scope.extend(dealer(frontend), life)
      yield* second.request("second")
      assert.deepStrictEqual(yield* second.reply, ["second"])
      const third = yield* dealer(frontend)
      yield* third.request("third")
      yield* untilRejected({ member }, 3)
      assert.deepStrictEqual(yield* third.poll, false)
      yield* Scope.close(life, Exit.void)
      assert.deepStrictEqual(yield* third.reply, ["third"])
      assert.strictEqual((yield* member.report).connections.open, 2)
      assert.lengthOf(
        lines.filter((line) => line.endsWith("rejected a connection: the limit of connections is reached")),
        1
      )
    }))

  it.scopedLive("competes with many others for a connection gets one as soon as some are free", () =>
    Effect.gen(function*() {
      const { frontend } = yield* serve(echo, { maxConnections: 5 })
      const inside: Array<Scope.CloseableScope> = []
      yield* Effect.replicateEffect(
        Effect.gen(function*() {
          const life = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
          const { request, reply } = yield* Scope.extend(dealer(frontend), life)
          yield* request("in?")
          yield* Effect.forkIn(Effect.andThen(reply, () => inside.push(life)), life)
        }),
        60
      )
      yield* eventually(Effect.sync(() => inside.length === 5))
      for (const life of inside.slice(0, 3)) {
        yield* Scope.close(life, Exit.void)
      }
      yield* eventually(Effect.sync(() => inside.length === 8))
    }))

  it.scopedLive("sends a message that never ends is disconnected with all others, which connect again", () =>
    Effect.gen(function*() {
      const rejections = yield* unhandledRejections
      // Less than this process has, so that all are disconnected at once, and again when it has grown by a quarter.
      const { frontend, member, lines } = yield* serve(echo, { maxMemory: 16 })
      const resets = Effect.map(member.report, ({ connections }) => connections.resets)
      yield* eventually(Effect.map(resets, (count) => count === 1))
      const alive = yield* client(frontend)
      assert.strictEqual(Frames.toString(yield* alive.request("before")), "before")
      const raw = yield* Zmtp.introduced(frontend)
      const frame = Zmtp.frame(Buffer.alloc(1_000_000), false)
      yield* Effect.repeat(raw.write(frame), { while: (isThere) => isThere })
      yield* eventually(Effect.map(resets, (count) => count >= 2))
      assert.strictEqual(Frames.toString(yield* alive.request("after")), "after")
      assert.isTrue(
        lines.some((line) =>
          /MiB besides JavaScript's heap, of 16: all connections of clients at .* are closed/.test(line)
        )
      )
      assert.deepStrictEqual(rejections, [])
    }))
})

it.scopedLive("a state port accepts short messages only", () =>
  Effect.gen(function*() {
    const { frontend, member, state } = yield* serve(echo, { heartbeat: "20 millis" })
    const raw = yield* Zmtp.introduced(state, "SUB")
    yield* raw.write(Zmtp.subscribe(Buffer.alloc(2000)))
    yield* raw.closed
    yield* isWell(frontend)
    const subscriber = yield* ZmqSocket.makeSubscriber()
    yield* subscriber.connect(state)
    assert.deepStrictEqual(texts((yield* subscriber.receive)[0]!), ["1"])
    assert.strictEqual((yield* member.counters).malformed, 0)
  }))

import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import { RequestError } from "../../src/client/RequestError.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as BinaryStarRpc from "../../src/rpc/BinaryStarRpc.ts"
import { eventually } from "../support/sockets.ts"
import { NotFound, Unauthorized, User } from "./rpcGroup.ts"
import type { Client, Pair, Place, Server } from "./rpcPair.ts"
import { makePair } from "./rpcPair.ts"

const serializations = {
  json: RpcSerialization.layerJson,
  ndjson: RpcSerialization.layerNdjson,
  msgPack: RpcSerialization.layerMsgPack,
  jsonRpc: RpcSerialization.layerJsonRpc(),
  ndJsonRpc: RpcSerialization.layerNdJsonRpc()
}

/**
 * Uses the scheduler for applications that do more than a member: with the default one, busy streams stall the member, which
 * then ends its term.
 */
const itLive = (name: string, test: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.scopedLive(name, () => Effect.provide(test(), BinaryStar.layerScheduler))

/** Limit for immediate events on a busy machine. */
const promptly = "20 seconds"

const happens = (check: () => boolean) =>
  Effect.timeoutFail(eventually(Effect.sync(check)), {
    duration: promptly,
    onTimeout: () => new Error(`did not happen: ${check}`)
  })

/** `count` numbers from 0. */
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

/** The error of a call that was lost. */
const lostBy = <A, E>(exit: Exit.Exit<A, E>): RpcClientError => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
  assert.instanceOf(error, RpcClientError, String(exit))
  return error
}

/** Tests of RPC over any transport, with each serialization. */
export const rpcSuite = (name: string, place: Effect.Effect<Place, never, Scope.Scope>): void => {
  for (const [serialization, layer] of Object.entries(serializations)) {
    describe(`${name}, ${serialization}`, () => {
      const pair = Effect.map(place, (place) => makePair(place, layer, "3 seconds"))
      /** One server and one client. */
      const connected = Effect.gen(function*() {
        const { connect, start } = yield* pair
        const server = yield* start("primary")
        return { ...server, ...yield* connect(), connect }
      })

      itLive("a handler has the term of its server, the fencing token", () =>
        Effect.gen(function*() {
          const { call } = yield* connected
          assert.strictEqual(yield* call.Term(), 1)
        }))

      itLive("values, class instances and failures arrive unchanged", () =>
        Effect.gen(function*() {
          const { call, seen } = yield* connected
          const user = yield* call.Get({ id: "1" })
          assert.instanceOf(user, User)
          assert.strictEqual(user.greeting, "hello user 1")
          const failure = yield* Effect.flip(call.Get({ id: "0" }))
          assert.instanceOf(failure, NotFound)
          assert.deepStrictEqual(failure, new NotFound({ id: "0" }))
          assert.isUndefined(yield* call.Save(new User({ id: "2", name: "two" })))
          assert.instanceOf(seen.saved[0], User)
          assert.strictEqual(yield* call.Twice({ n: 21 }), 42)
          assert.deepStrictEqual(yield* call.Date({ date: new Date(1) }), new Date(2))
          assert.strictEqual(yield* call.nested.Double({ n: 4 }), 8)
          assert.strictEqual(yield* call.Echo({ text: "\n\u0000 ü \"'" }), "\n\u0000 ü \"'")
          assert.strictEqual(yield* call.Echo({ text: "" }), "")
          assert.isUndefined(yield* call.Get({ id: "1" }, { discard: true }))
        }))

      itLive("defects arrive as defects", () =>
        Effect.gen(function*() {
          const { call, connect } = yield* connected
          const dies = <A, E>(call: Effect.Effect<A, E>) =>
            Effect.map(Effect.exit(call), (exit) => {
              assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause), String(exit))
              return String(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit)
            })
          assert.include(yield* dies(call.Die({ message: "this is why" })), "this is why")
          yield* dies(call.WrongResult())
          assert.strictEqual(yield* call.Twice({ n: 1 }), 2)

          // An unknown procedure, and a payload that does not match its schema.
          const other = yield* connect()
          const stranger = yield* makeStranger(other.request, layer)
          assert.include(yield* dies(stranger.Unknown()), "Unknown request tag: Unknown")
          assert.include(yield* dies(stranger.Twice({ n: "no number" })), "Expected number")
          assert.strictEqual(yield* call.Twice({ n: 2 }), 4)
        }))

      itLive("a defect ends all calls of its client, and no call of another", () =>
        Effect.gen(function*() {
          const { call, connect, seen } = yield* connected
          const other = yield* connect()
          const untouched = yield* Effect.fork(other.call.Hold({ name: "untouched" }))
          const calls = yield* Effect.fork(Effect.all([
            Effect.exit(call.Hold({ name: "held" })),
            Effect.exit(Stream.runDrain(call.Idle({ name: "idle" })))
          ], { concurrency: "unbounded" }))
          yield* happens(() => seen.begun.size === 3)
          yield* Effect.exit(call.Die({ message: "fatal" }))
          for (const exit of yield* Fiber.join(calls)) {
            assert.isTrue(Exit.isFailure<unknown, unknown>(exit) && Cause.isDie(exit.cause), String(exit))
          }
          // A call that is no stream goes on at the server, as with any other protocol.
          yield* happens(() => seen.interrupted.has("idle"))
          assert.strictEqual(yield* call.Twice({ n: 1 }), 2)
          assert.isFalse(seen.interrupted.has("held"))
          yield* Deferred.succeed(seen.open, undefined)
          assert.strictEqual(yield* Fiber.join(untouched), "untouched")
        }))

      itLive("headers pass through the middleware of both ends", () =>
        Effect.gen(function*() {
          const { call, connect } = yield* connected
          assert.deepStrictEqual(
            yield* call.Header({ name: "color" }, { headers: { Color: "red" } }),
            Option.some("red")
          )
          assert.deepStrictEqual(
            yield* call.Header({ name: "color" }).pipe(RpcClient.withHeaders({ color: "blue" })),
            Option.some("blue")
          )
          assert.deepStrictEqual(yield* call.Header({ name: "color" }), Option.none())
          assert.instanceOf(yield* Effect.flip(call.WhoAmI()), Unauthorized)
          const known = yield* connect({ name: "Ada" })
          assert.deepStrictEqual(yield* known.call.WhoAmI(), new User({ id: "me", name: "Ada" }))
        }))

      itLive("streams arrive in order and complete", () =>
        Effect.gen(function*() {
          const { call } = yield* connected
          const range = (to: number, chunk: number) => Stream.runCollect(call.Range({ from: 0, to, chunk }))
          assert.deepStrictEqual([...yield* range(99, 7)], numbers(100))
          assert.deepStrictEqual([...yield* range(999, 1)], numbers(1000))
          assert.deepStrictEqual([...yield* range(-1, 1)], [])
          const users = yield* Stream.runCollect(call.Users({ ids: ["1", "2"] }))
          assert.deepStrictEqual([...users], [1, 2].map((id) => new User({ id: `${id}`, name: `user ${id}` })))
          assert.instanceOf(Chunk.unsafeHead(users), User)

          const got: Array<string> = []
          const failure = yield* call.Users({ ids: ["1", "2", "0", "3"] }).pipe(
            Stream.runForEach(({ id }) => Effect.sync(() => got.push(id))),
            Effect.flip
          )
          assert.deepStrictEqual(got, ["1", "2"])
          assert.deepStrictEqual(failure, new NotFound({ id: "0" }))

          assert.deepStrictEqual([...yield* Stream.runCollect(call.Mailbox({ count: 50 }))], numbers(50))
          const mailbox = yield* call.Range({ from: 0, to: 9, chunk: 10 }, { asMailbox: true })
          assert.deepStrictEqual([...(yield* mailbox.takeAll)[0]], numbers(10))
        }))

      itLive("concurrent calls and streams each receive their own results", () =>
        Effect.gen(function*() {
          const { call } = yield* connected
          const [calls, streams] = yield* Effect.all([
            Effect.forEach(numbers(1000), (n) => call.Twice({ n }), { concurrency: "unbounded" }),
            Effect.forEach(
              numbers(20),
              (n) => Stream.runCollect(call.Range({ from: n, to: n + 20, chunk: 3 })),
              { concurrency: "unbounded" }
            )
          ], { concurrency: "unbounded" })
          assert.deepStrictEqual(calls, numbers(1000).map((n) => 2 * n))
          assert.deepStrictEqual(
            streams.map((chunk) => [...chunk]),
            numbers(20).map((n) => numbers(21).map((i) => n + i))
          )
        }))

      itLive("calls made together complete independently", () =>
        Effect.gen(function*() {
          const { call, seen } = yield* connected
          const order: Array<unknown> = []
          const noted = <A, E>(call: Effect.Effect<A, E>) => Effect.tap(call, (a) => order.push(a))
          const calls = yield* Effect.fork(Effect.all(
            [
              call.Hold({ name: "one" }),
              call.Twice({ n: 1 }),
              call.Echo({ text: "small" }),
              call.Echo({ text: "large".repeat(10_000) }),
              call.HoldTwice({ name: "two" }),
              call.Hold({ name: "three" })
            ].map((call) => noted<unknown, unknown>(call)),
            { concurrency: "unbounded" }
          ))
          yield* happens(() => order.length === 3)
          yield* happens(() => seen.begun.size === 3)
          yield* Deferred.succeed(seen.open, undefined)
          assert.deepStrictEqual(
            yield* Fiber.join(calls),
            ["one", 2, "small", "large".repeat(10_000), "two", "three"]
          )
          assert.sameMembers(order.slice(3), ["one", "two", "three"])
          // A poll after 5 seconds does not start a call again.
          assert.deepStrictEqual([seen.begun.get("one"), seen.begun.get("three")], [1, 1])
        }))

      itLive("a megabyte arrives unchanged", () =>
        Effect.gen(function*() {
          const { call } = yield* connected
          const text = "0123456789abcdef".repeat(65_536)
          assert.strictEqual(yield* call.Echo({ text }), text)
          const many = Stream.runCollect(call.Range({ from: 0, to: 99_999, chunk: 100_000 }))
          assert.strictEqual((yield* many).length, 100_000)
        }))

      itLive("interruption reaches calls and streams at the server", () =>
        Effect.gen(function*() {
          const { call, seen } = yield* connected
          const held = yield* Effect.fork(call.Hold({ name: "held" }))
          const other = yield* Effect.fork(call.Hold({ name: "other" }))
          const stubborn = yield* Effect.fork(call.HoldOn({ name: "stubborn" }))
          yield* happens(() => seen.begun.size === 3)
          yield* Effect.all([Fiber.interrupt(held), Fiber.interrupt(stubborn)], { concurrency: "unbounded" })
          yield* happens(() => seen.interrupted.has("held"))

          // A stream whose reader has enough, one that is interrupted while idle, and one that is interrupted at once.
          assert.strictEqual(
            yield* Stream.runHead(call.Endless({ name: "head" })).pipe(Effect.map(Option.getOrThrow)),
            1
          )
          const idle = yield* Effect.fork(Stream.runDrain(call.Idle({ name: "idle" })))
          yield* happens(() => seen.begun.has("idle"))
          yield* Fiber.interrupt(idle)
          yield* Fiber.interrupt(yield* Effect.fork(Stream.runDrain(call.Idle({ name: "at once" }))))
          yield* happens(() => seen.interrupted.has("head") && seen.interrupted.has("idle"))
          yield* happens(() => seen.interrupted.get("at once") === seen.begun.get("at once"))

          yield* Deferred.succeed(seen.open, undefined)
          assert.strictEqual(yield* Fiber.join(other), "other")
          assert.isFalse(seen.interrupted.has("other"))
          assert.isFalse(seen.interrupted.has("stubborn"))
        }))

      itLive(
        "back-pressure: a stream is at most one chunk ahead of the room of its reader",
        () =>
          Effect.gen(function*() {
            const { call, seen } = yield* connected
            const mailbox = yield* call.Endless({ name: "slow" }, { asMailbox: true, streamBufferSize: 2 })
            yield* happens(() => (seen.made.get("slow") ?? 0) >= 3)
            // Enough time for a stream without back-pressure to continue.
            yield* Effect.forEach(numbers(20), (n) => call.Twice({ n }))
            assert.isAtMost(seen.made.get("slow")!, 4)
            for (let n = 1; n <= 10; n++) {
              assert.strictEqual(yield* mailbox.take, n)
            }
            yield* happens(() => seen.made.get("slow")! >= 12)
            assert.isAtMost(seen.made.get("slow")!, 14)
          })
      )
    })
  }

  failoverSuite(name, Effect.map(place, (place) => makePair(place, RpcSerialization.layerMsgPack, "2 seconds")))
}

/** A client whose group differs from the server's. */
const makeStranger = (
  request: BinaryStarClient.BinaryStarClient["Type"]["request"],
  serialization: Layer.Layer<RpcSerialization.RpcSerialization>
) => {
  const group = RpcGroup.make(Rpc.make("Unknown"), Rpc.make("Twice", { payload: { n: Schema.String } }))
  return Effect.flatMap(
    Layer.build(
      BinaryStarRpc.layerProtocolClient(group).pipe(
        Layer.provide([Layer.succeed(BinaryStarClient.BinaryStarClient, { request }), serialization])
      )
    ),
    (context) => Effect.provide(RpcClient.make(group), context)
  )
}

/** Tests of RPC with a server that is lost or stops. */
const failoverSuite = (name: string, pair: Effect.Effect<Pair, never, Scope.Scope>): void => {
  describe(`${name}, a pair`, () => {
    /** Both servers, a client, and calls of each kind that run at the primary. */
    const busy = (options?: Parameters<Pair["start"]>[1]) =>
      Effect.gen(function*() {
        const { connect, startBoth } = yield* pair
        const servers = yield* startBoth(options)
        const client = yield* connect()
        // Connects to the primary first: a call without Resend fails if the backup has it when the primary's first reply arrives.
        yield* client.call.Twice({ n: 1 })
        const { seen } = servers.primary
        const got: Array<number> = []
        const underWay = {
          once: yield* Effect.fork(
            Effect.forEach(numbers(10), (i) => Effect.exit(client.call.Hold({ name: `once ${i}` })), {
              concurrency: "unbounded"
            })
          ),
          twice: yield* Effect.fork(Effect.forEach(numbers(10), (i) => client.call.HoldTwice({ name: `twice ${i}` }), {
            concurrency: "unbounded"
          })),
          idle: yield* Effect.fork(Effect.exit(Stream.runDrain(client.call.Idle({ name: "idle" })))),
          endless: yield* Effect.fork(Effect.exit(
            Stream.runForEach(
              client.call.Endless({ name: "endless" }),
              (n) => Effect.delay(Effect.sync(() => got.push(n)), "1 millis")
            )
          ))
        }
        yield* happens(() => seen.begun.size === 21 && got.length > 10)
        return { ...servers, client, got, seen, underWay }
      })

    /** Calls with Resend are repeated at the other server, and may start there before the first reply arrives. */
    const onlyTwice = ({ seen }: Server) =>
      assert.deepStrictEqual([...seen.begun.keys()].filter((name) => !name.startsWith("twice")), [])

    const answersAgain = ({ call }: Client) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* call.Twice({ n: 2 }), 4)
        assert.strictEqual((yield* call.Get({ id: "1" })).id, "1")
        assert.strictEqual((yield* Stream.runCollect(call.Range({ from: 0, to: 9, chunk: 2 }))).length, 10)
      }).pipe(Effect.timeout(promptly))

    itLive(
      "a lost server: calls with Resend continue at the other one, the rest fails at once",
      () =>
        Effect.gen(function*() {
          const { backup, client, got, primary, underWay } = yield* busy({ drain: 0 })
          yield* Effect.fork(primary.kill)
          const [took, once] = yield* Effect.timed(Fiber.join(underWay.once))
          assert.isBelow(Duration.toMillis(took), 5000)
          for (const exit of once) {
            const error = lostBy(exit)
            assert.strictEqual(error.reason, "Protocol")
            assert.instanceOf(error.cause, RequestError)
            assert.include(error.message, "Hold: ")
            assert.include(error.message, "may have been executed")
          }
          lostBy(yield* Fiber.join(underWay.idle))
          lostBy(yield* Fiber.join(underWay.endless))
          assert.deepStrictEqual(got, numbers(got.length).map((n) => n + 1))

          // Calls with Resend are executed by the backup.
          yield* happens(() => backup.seen.begun.size === 10)
          yield* answersAgain(client)
          yield* Deferred.succeed(backup.seen.open, undefined)
          assert.deepStrictEqual(yield* Fiber.join(underWay.twice), numbers(10).map((i) => `twice ${i}`))
          onlyTwice(backup)
        })
    )

    itLive(
      "a server that stops completes accepted calls, and ends streams with an error",
      () =>
        Effect.gen(function*() {
          const { backup, client, primary, seen, underWay } = yield* busy()
          const more = yield* Effect.fork(
            Effect.forEach(numbers(100), (i) => client.call.Hold({ name: `more ${i}` }), { concurrency: "unbounded" })
          )
          yield* happens(() => seen.begun.size === 121)
          const stopped = yield* Effect.fork(primary.stop)
          // A stream may have no end, so the server does not wait for it.
          assert.include(lostBy(yield* Fiber.join(underWay.idle)).message, "has stopped")
          yield* happens(() => seen.interrupted.has("idle") && seen.interrupted.has("endless"))
          assert.isNull(stopped.unsafePoll())
          yield* Deferred.succeed(seen.open, undefined)
          assert.deepStrictEqual(yield* Fiber.join(more), numbers(100).map((i) => `more ${i}`))
          assert.isTrue((yield* Fiber.join(underWay.once)).every(Exit.isSuccess))
          assert.strictEqual((yield* Fiber.join(underWay.twice)).length, 10)
          yield* Fiber.join(stopped)
          lostBy(yield* Fiber.join(underWay.endless))
          assert.strictEqual(seen.interrupted.size, 2)
          onlyTwice(backup)
          yield* answersAgain(client)
        })
    )

    itLive("stopping the member alone stops the RPC server in the same way", () =>
      Effect.gen(function*() {
        const { backup, client, primary, seen, underWay } = yield* busy()
        const stopped = yield* Effect.fork(primary.member.stop)
        lostBy(yield* Fiber.join(underWay.idle))
        yield* Deferred.succeed(seen.open, undefined)
        assert.isTrue((yield* Fiber.join(underWay.once)).every(Exit.isSuccess))
        yield* Fiber.join(stopped)
        onlyTwice(backup)
        yield* primary.stop
        yield* answersAgain(client)
      }))

    itLive(
      "a server that stops interrupts calls after the drain limit, and before the other server is active",
      () =>
        Effect.gen(function*() {
          const { backup, client, primary, seen, underWay } = yield* busy({ drain: "50 millis" })
          const states = yield* Effect.fork(Stream.runForEach(backup.member.changes, (state) =>
            Effect.sync(() => {
              if (state === "ACTIVE") {
                assert.strictEqual(seen.interrupted.size, 22)
              }
            })))
          yield* primary.stop
          assert.strictEqual(seen.interrupted.size, 22)
          for (const exit of yield* Fiber.join(underWay.once)) {
            lostBy(exit)
          }
          yield* answersAgain(client)
          assert.isNull(states.unsafePoll())
          yield* Deferred.succeed(backup.seen.open, undefined)
          assert.strictEqual((yield* Fiber.join(underWay.twice)).length, 10)
        })
    )

    itLive("a call that is repeated while it runs is executed once", () =>
      Effect.gen(function*() {
        const { connect, startBoth } = yield* pair
        const { primary: { member, seen } } = yield* startBoth()
        const { call } = yield* connect({ retryAfter: "20 millis" })
        yield* call.Twice({ n: 1 })
        const held = yield* Effect.fork(call.HoldTwice({ name: "held" }))
        yield* eventually(Effect.map(member.counters, ({ accepted }) => accepted > 5)).pipe(Effect.timeout(promptly))
        assert.strictEqual(seen.begun.get("held"), 1)
        yield* Deferred.succeed(seen.open, undefined)
        assert.strictEqual(yield* Fiber.join(held), "held")
        assert.strictEqual(seen.begun.get("held"), 1)
      }))

    itLive("closing a client interrupts its calls", () =>
      Effect.gen(function*() {
        const { client, primary, seen } = yield* busy()
        yield* client.close
        yield* happens(() => seen.interrupted.size === 22)
        assert.strictEqual((yield* primary.protocol.clientIds).size, 1)
      }))

    itLive("a malformed request is rejected, and later ones are answered", () =>
      Effect.gen(function*() {
        const { connect, start } = yield* pair
        const server: Server = yield* start("primary")
        const { call, request } = yield* connect()
        assert.strictEqual(yield* call.Twice({ n: 1 }), 2)
        const bodies: ReadonlyArray<Parameters<typeof request>[0]> = [
          "what is this?",
          [],
          new Uint8Array([0xc1]),
          // An incomplete map.
          new Uint8Array([0x85, 0xa4]),
          new Uint8Array(1000).fill(0xdf),
          ["", "What"].map((text) => new TextEncoder().encode(text)),
          new Uint8Array(0),
          ...[
            null,
            1,
            {},
            { _tag: "Nonsense" },
            { _tag: "Request", tag: "Twice", id: 1, payload: { n: 1 }, headers: [] },
            { _tag: "Request", tag: "Twice", id: "one", payload: { n: 1 }, headers: [] },
            { _tag: "Request", tag: "Twice", id: "1", payload: { n: 1 }, headers: 7 },
            { _tag: "Request", tag: "Twice", id: "1", payload: { n: 1 }, headers: [7] },
            { _tag: "Request", id: "1", payload: { n: 1 }, headers: [] },
            { _tag: "Ack" },
            { _tag: "Interrupt", requestId: {} }
          ].map((message) => RpcSerialization.msgPack.unsafeMake().encode(message)!)
        ]
        for (const body of bodies) {
          const rejected = yield* Effect.either(request(body))
          assert.strictEqual(Either.isLeft(rejected) && rejected.left.reason, "Failed", String(body))
          assert.strictEqual(yield* call.Twice({ n: 2 }), 4)
        }
        assert.strictEqual((yield* server.member.counters).failed, 0)
      }))
  })
}

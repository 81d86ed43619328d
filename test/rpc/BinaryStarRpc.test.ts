import { RpcClientError } from "@effect/rpc/RpcClientError"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { RequestError } from "../../src/client/RequestError.ts"
import * as Frames from "../../src/wire/Frames.ts"
import { foreignPeer } from "../support/nodes.ts"
import { makePair, memory, tcp } from "./rpcPair.ts"
import { rpcSuite } from "./rpcSuite.ts"

rpcSuite("memory", memory)
rpcSuite("tcp", tcp)

/** Runs everything that can run without the clock, on a busy machine, too. */
const rest = Effect.async<void>((resume) => {
  let turns = 100
  const turn = () => {
    if (turns-- > 0) {
      setImmediate(turn)
    } else {
      resume(Effect.void)
    }
  }
  turn()
})

const step = (time: Duration.DurationInput) => Effect.zipRight(TestClock.adjust(time), rest)

/** Advances the clock in steps, so that both ends reply in between. */
const pass = (seconds: number) => Effect.repeatN(step("1 second"), seconds - 1)

/** Advances the clock until an effect has ended, and no further. */
const inTime = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* Effect.repeat(step("10 millis"), { until: () => fiber.unsafePoll() !== null })
    return yield* Fiber.join(fiber)
  })

/** The test advances the clock; it also goes on while the scope is closed, since finalizers may wait for it. */
const itInTime = <E>(name: string, test: () => Effect.Effect<void, E, Scope.Scope>) =>
  it.effect(name, () =>
    Effect.acquireUseRelease(
      Scope.make(),
      (scope) => Scope.extend(test(), scope),
      (scope, exit) => inTime(Scope.close(scope, exit))
    ))

describe("time", () => {
  const pair = Effect.map(memory, (place) => makePair(place, RpcSerialization.layerJson))

  itInTime("a call or stream may take any time while its client polls it", () =>
    Effect.gen(function*() {
      const { connect, start } = yield* pair
      const { member, seen } = yield* start("primary")
      const { call } = yield* connect()
      const calls = yield* Effect.fork(Effect.all([
        call.Hold({ name: "once" }),
        call.HoldTwice({ name: "twice" }),
        Effect.map(Stream.runCollect(call.Idle({ name: "idle" })), Chunk.toReadonlyArray)
      ], { concurrency: "unbounded" }))
      yield* rest
      const { accepted } = yield* member.counters
      yield* pass(30)
      assert.strictEqual(seen.begun.get("twice"), 1)
      assert.isAtLeast((yield* member.counters).accepted - accepted, 3 * 5)
      yield* Deferred.succeed(seen.open, undefined)
      yield* pass(1)
      assert.deepStrictEqual(yield* Fiber.join(calls), ["once", "twice", ["idle", "opened"]])
      assert.strictEqual((yield* member.counters).failed, 0)
    }))

  itInTime("a reader may take any time", () =>
    Effect.gen(function*() {
      const { connect, start } = yield* pair
      const { seen } = yield* start("primary")
      const { call } = yield* connect()
      const mailbox = yield* call.Endless({ name: "endless" }, { asMailbox: true, streamBufferSize: 1 })
      yield* pass(60)
      for (let n = 1; n <= 10; n++) {
        assert.strictEqual(yield* mailbox.take, n)
      }
      assert.isFalse(seen.interrupted.has("endless"))
    }))

  itInTime("the calls of a client that has vanished are interrupted after 15 seconds", () =>
    Effect.gen(function*() {
      const { connect, place, start } = yield* pair
      const { protocol, seen } = yield* start("primary")
      const { call } = yield* connect()
      yield* inTime(call.Twice({ n: 1 }))
      const scope = yield* Scope.make()
      const { send } = yield* Scope.extend(place.connect("primary"), scope)
      const ask = (tag: string, id: string) =>
        send([
          Frames.delimiter,
          ...Frames.make(JSON.stringify({ _tag: "Request", id, tag, payload: { name: tag }, headers: [] }))
        ])
      yield* ask("Hold", "1")
      yield* ask("Endless", "2")
      yield* rest
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* protocol.clientIds).size, 2)
      yield* pass(14)
      assert.strictEqual(seen.interrupted.size, 0)
      yield* pass(2)
      assert.sameMembers([...seen.interrupted.keys()], ["Hold", "Endless"])
      // The idle client is disconnected, too, which does not affect its next call.
      yield* pass(16)
      assert.strictEqual((yield* protocol.clientIds).size, 0)
      assert.strictEqual(yield* inTime(call.Twice({ n: 2 })), 4)
    }))

  itInTime("a call fails after the server's timeout if that is below 5 seconds", () =>
    Effect.gen(function*() {
      const { connect, start } = yield* pair
      const { seen } = yield* start("primary", { timeout: "2 seconds" })
      const { call } = yield* connect()
      const error = yield* inTime(Effect.flip(call.Hold({ name: "held" })))
      assert.instanceOf(error, RpcClientError)
      assert.isTrue(error.cause instanceof RequestError && error.cause.reason === "TimedOut")
      yield* rest
      assert.isTrue(seen.interrupted.has("held"))
    }))

  itInTime("a call without a server fails, and is not executed later", () =>
    Effect.gen(function*() {
      const { connect, start } = yield* pair
      const { call } = yield* connect({ timeout: "3 seconds" })
      const calls = yield* Effect.fork(Effect.all([
        Effect.flip(call.Hold({ name: "once" })),
        Effect.flip(call.HoldTwice({ name: "twice" })),
        Effect.flip(Stream.runDrain(call.Idle({ name: "idle" })))
      ], { concurrency: "unbounded" }))
      yield* pass(4)
      for (const error of yield* Fiber.join(calls)) {
        assert.instanceOf(error, RpcClientError)
        assert.include(error.message, "was not executed")
      }
      const { seen } = yield* start("primary")
      yield* pass(3)
      assert.strictEqual(yield* inTime(call.Twice({ n: 2 })), 4)
      assert.strictEqual(seen.begun.size, 0)
    }))
})

describe("a server that is no longer active", () => {
  /** A backup that has taken over, its client, and the end of its term: another active server. */
  const active = Effect.gen(function*() {
    const place = yield* memory
    const { connect, start } = makePair(place, RpcSerialization.layerJson)
    const server = yield* start("backup")
    const primary = Effect.flatMap(
      foreignPeer(place.links.primary),
      ({ reports }) => Effect.zipRight(reports("3"), rest)
    )
    yield* Effect.scoped(primary)
    const client = yield* connect()
    yield* inTime(client.call.Twice({ n: 1 }))
    assert.strictEqual(yield* server.member.state, "ACTIVE")
    return { ...server, ...client, connect, primary }
  })

  itInTime("has ended all calls before it reports its new state", () =>
    Effect.gen(function*() {
      const { call, member, primary, protocol, seen } = yield* active
      yield* Effect.forkScoped(call.Hold({ name: "held" }))
      yield* Effect.forkScoped(Stream.runDrain(call.Idle({ name: "idle" })))
      yield* Effect.forkScoped(Stream.runForEach(call.Endless({ name: "endless" }), () => Effect.never))
      yield* pass(1)
      assert.strictEqual((yield* protocol.clientIds).size, 1)

      const changes: Array<{ readonly state: string; readonly interrupted: number }> = []
      yield* Stream.runForEach(member.changes, (state) =>
        Effect.sync(() => {
          changes.push({ state, interrupted: seen.interrupted.size })
        })).pipe(Effect.forkScoped)
      yield* primary
      assert.strictEqual(yield* member.state, "CONTESTED")
      assert.deepStrictEqual(changes.at(-1), { state: "CONTESTED", interrupted: 3 })
      assert.strictEqual((yield* protocol.clientIds).size, 0)
    }))

  itInTime(
    "waits for fibers that handlers have forked, and for calls that went on after a defect of another",
    () =>
      Effect.gen(function*() {
        const { call, connect, member, primary, protocol, seen } = yield* active
        const other = yield* connect()
        yield* Effect.forkScoped(other.call.Linger({ name: "one" }))
        yield* Effect.forkScoped(call.Linger({ name: "two" }))
        yield* pass(1)
        yield* inTime(Effect.exit(call.Die({ message: "fatal" })))
        assert.sameMembers([...seen.begun.keys()], ["one", "two"])
        assert.strictEqual(seen.interrupted.size, 0)

        yield* primary
        assert.sameMembers([...seen.interrupted.keys()], ["one", "two"])
        yield* pass(2)
        assert.strictEqual(yield* member.state, "ACTIVE")
        yield* pass(2)
        assert.notStrictEqual(yield* member.state, "ACTIVE")
        assert.sameMembers([...seen.interrupted.keys()], ["one", "two", "one's child", "two's child"])
        assert.strictEqual((yield* protocol.clientIds).size, 0)
      })
  )
})

describe("a client that is not of this library", () => {
  itInTime("may send several messages in one frame", () =>
    Effect.gen(function*() {
      const { connect, start } = makePair(yield* memory, RpcSerialization.layerJsonRpc())
      yield* start("primary")
      const { request } = yield* connect()
      const double = (id: number) => ({ jsonrpc: "2.0", id, method: "Twice", params: { n: id } })
      const replies = yield* inTime(request(JSON.stringify([double(1), double(2), double(3)])))
      assert.deepStrictEqual(
        JSON.parse(Frames.toString(replies)),
        [1, 2, 3].map((id) => ({
          jsonrpc: "2.0",
          id,
          result: 2 * id
        }))
      )
    }))

  itInTime("receives Pong for Ping", () =>
    Effect.gen(function*() {
      const { connect, start } = makePair(yield* memory, RpcSerialization.layerJson)
      yield* start("primary")
      const { request } = yield* connect()
      const reply = yield* inTime(request(JSON.stringify({ _tag: "Ping" })))
      assert.deepStrictEqual(JSON.parse(Frames.toString(reply)), { _tag: "Pong" })
    }))
})

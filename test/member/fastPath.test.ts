import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import { Frontend, type OnBatch } from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import * as Frames from "../../src/wire/Frames.ts"
import { quiet } from "../support/sockets.ts"

const request = (text: string): Frames.Frames => [Uint8Array.of(1), Frames.delimiter, ...Frames.make(text)]

const textOf = (message: Frames.Frames) => Frames.toString(message.slice(-1))

/** A lone primary that is active, whose frontend is the test, and whose handler blocks for `block` as a paused process would. */
const start = Effect.gen(function*() {
  let onBatch: OnBatch = () => assert.fail("the frontend does not run")
  const sent: Array<string> = []
  const frontend = Layer.succeed(Frontend, {
    run: (take) =>
      Effect.suspend(() => {
        onBatch = take
        return Effect.never
      }),
    reply: (replies) => Effect.sync(() => sent.push(...replies.map(textOf))),
    connections: Effect.succeed({ open: 0, rejected: 0, resets: 0 })
  })
  const { primary } = yield* PeerLink.makeMemory
  const ports = yield* Layer.build(Layer.merge(frontend, primary))
  const options = {
    role: "primary",
    policy: "hardened",
    heartbeat: "200 millis",
    vote: "self",
    crashDetection: false
  } as const
  const member = yield* BinaryStar.make(options, ({ body }) => {
    const until = performance.now() + (Frames.toString(body) === "block" ? 700 : 0)
    while (performance.now() < until) { /* the process does not run */ }
    return body
  }).pipe(Effect.provide(ports))
  yield* Stream.runHead(Stream.filter(member.changes, (state) => state === "ACTIVE"))

  /** Asks until the answer comes within the call. */
  const askFast = (...texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> =>
    Effect.suspend(() => {
      const result = onBatch(texts.map(request))
      return result instanceof Promise
        ? Effect.zipRight(Effect.promise(() => result), Effect.zipRight(Effect.sleep("1 millis"), askFast(...texts)))
        : Effect.succeed(result.map(textOf))
    })
  return { ask: (...texts: ReadonlyArray<string>) => onBatch(texts.map(request)), member, sent, askFast }
})

describe("the fast path", () => {
  it.scopedLive("a batch is answered within the call", () =>
    Effect.gen(function*() {
      const { askFast } = yield* start
      assert.deepStrictEqual(yield* askFast("a", "b"), ["a", "b"])
    }).pipe(Effect.provide(quiet)))

  for (const batch of [["block"], ["block", "behind it"]]) {
    it.scopedLive(`H4 replies from before a stall are withdrawn, in a batch of ${batch.length}`, () =>
      Effect.gen(function*() {
        const { ask, askFast, member, sent } = yield* start
        yield* askFast("warm")
        sent.length = 0
        const result = ask(...batch)
        assert.deepStrictEqual(result instanceof Promise ? [] : result, [])
        yield* Stream.runHead(Stream.filter(member.changes, (state) => state === "PRIMARY"))
        yield* Stream.runHead(Stream.filter(member.changes, (state) => state === "ACTIVE"))
        assert.notInclude(sent, "block")
      }).pipe(Effect.provide(quiet)))
  }
})

describe("commands", () => {
  it.scopedLive("pause and resume complete in an uninterruptible region", () =>
    Effect.gen(function*() {
      const { member } = yield* start
      const hold = (use: Effect.Effect<string | undefined>) =>
        Effect.acquireUseRelease(member.pause("maintenance"), () => use, () => member.resume)
      const tag = Effect.map(member.report, ({ takeoverBlock }) => takeoverBlock?._tag)
      assert.strictEqual(yield* hold(tag), "Paused")
      assert.isUndefined(yield* tag)
    }).pipe(Effect.provide(quiet)))

  it.scopedLive("pending commands end with the member, later ones are rejected", () =>
    Effect.gen(function*() {
      const { member } = yield* start
      yield* member.stop
      for (const command of [member.promote("too late"), member.handOver("too late")]) {
        assert.propertyVal(yield* Effect.flip(command), "reason", "Interrupted")
      }
      yield* member.pause("too late")
    }).pipe(Effect.provide(quiet)))
})

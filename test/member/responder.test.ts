import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Queue from "effect/Queue"
import { RequestFailure } from "../../src/member/Handler.ts"
import type { Handler } from "../../src/member/Handler.ts"
import type { Completion, Outbox } from "../../src/member/Responder.ts"
import * as Responder from "../../src/member/Responder.ts"
import type { Term } from "../../src/protocol/Term.ts"
import { toToken } from "../../src/protocol/Term.ts"
import * as Envelope from "../../src/wire/Envelope.ts"
import * as Frames from "../../src/wire/Frames.ts"
import { texts } from "../support/sockets.ts"

const routingFrame = Uint8Array.of(1, 2, 3, 4, 5)

const term: Term = { number: 3, step: 1 }
const earlier: Term = { number: 2, step: 7 }
const later: Term = { number: 3, step: 2 }

/** A request of a client of this library that knows a term. */
const ours = (known?: Term): Frames.Frames => [
  routingFrame,
  ...Envelope.make("7", 12, undefined, known && toToken(known)),
  ...Frames.make("body")
]

/** A responder whose member has a term. Returns what is sent for a request. */
const makeRig = (handler: Handler, initial: Term = term) =>
  Effect.gen(function*() {
    let current: Term | undefined = initial
    const completions = yield* Queue.unbounded<Completion>()
    const responder = yield* Responder.make(handler, {
      timeout: Duration.seconds(1),
      quietMillis: 0,
      now: () => 0,
      term: () => current,
      onCompletion: (completion) => completions.unsafeOffer(completion)
    }, { failed: 0, latency: { add: () => {} } })
    const outboxed = (run: (outbox: Outbox) => void): ReadonlyArray<ReadonlyArray<string>> => {
      const outbox: Outbox = { replies: [], logs: [] }
      run(outbox)
      return outbox.replies.map((reply) => texts(reply.slice(1)))
    }
    return {
      handle: (request: Frames.Frames) => outboxed((outbox) => responder.handle(request, "ACTIVE", 0, outbox)),
      complete: Effect.map(
        Queue.take(completions),
        (completion) => outboxed((outbox) => responder.complete(completion, outbox))
      ),
      delivered: Queue.size(completions),
      endTerm: responder.endTerm,
      become: (term: Term | undefined) => {
        current = term
      }
    }
  })

describe("a reply to a client of this library", () => {
  it.scoped("carries the term that the client does not know", () =>
    Effect.gen(function*() {
      const { become, handle } = yield* makeRig(({ body }) => body)
      assert.deepStrictEqual(handle(ours()), [["bstar/1 7.12", "#196609", "", "body"]])
      assert.deepStrictEqual(handle(ours(earlier)), [["bstar/1 7.12@131079", "#196609", "", "body"]])
      become(later)
      assert.deepStrictEqual(handle(ours(term)), [["bstar/1 7.12@196609", "#196610", "", "body"]])
    }))

  it.scoped("is the same as ever if the client knows the term, or there is none", () =>
    Effect.gen(function*() {
      const { become, handle } = yield* makeRig(({ body }) => body)
      assert.deepStrictEqual(handle(ours(term)), [["bstar/1 7.12@196609", "", "body"]])
      become(undefined)
      assert.deepStrictEqual(handle(ours(later)), [["bstar/1 7.12@196610", "", "body"]])
    }))

  it.scoped("that comes later carries the term in which the request was accepted", () =>
    Effect.gen(function*() {
      const done = yield* Deferred.make<string>()
      const { become, complete, handle } = yield* makeRig(() => Deferred.await(done))
      assert.deepStrictEqual(handle(ours()), [])
      become(later)
      yield* Deferred.succeed(done, "later")
      assert.deepStrictEqual(yield* complete, [["bstar/1 7.12", "#196609", "", "later"]])
    }))

  it.scoped("carries it beside a status, too", () =>
    Effect.gen(function*() {
      const { handle } = yield* makeRig(() => new RequestFailure({ body: "why" }))
      assert.deepStrictEqual(handle(ours()), [["bstar/1 7.12", "!Failed", "#196609", "", "why"]])
      assert.deepStrictEqual(handle(ours(term)), [["bstar/1 7.12@196609", "!Failed", "", "why"]])
    }))

  it.scoped("is NotActive, and the request is not executed, if the client knows a later term", () =>
    Effect.gen(function*() {
      let executions = 0
      const { handle } = yield* makeRig(({ body }) => {
        executions++
        return body
      })
      assert.deepStrictEqual(handle(ours(later)), [["bstar/1 7.12@196610", "!NotActive", ""]])
      assert.strictEqual(executions, 0)
    }))

  it.scoped("ignores a later term that does not count from a witness", () =>
    Effect.gen(function*() {
      const { handle } = yield* makeRig(({ body }) => body, { number: 0, step: 1 })
      assert.deepStrictEqual(handle(ours({ number: 0, step: 5 })), [["bstar/1 7.12@5", "#1", "", "body"]])
    }))
})

describe("a handler that fails with NotActive", () => {
  it.scoped("makes the client turn to the other server; any other client receives nothing", () =>
    Effect.gen(function*() {
      const { handle } = yield* makeRig(() => new RequestFailure({ reason: "NotActive" }))
      assert.deepStrictEqual(handle(ours(term)), [["bstar/1 7.12@196609", "!NotActive", ""]])
      assert.deepStrictEqual(handle([routingFrame, Frames.delimiter, ...Frames.make("x")]), [])
    }))
})

describe("a reply to any other client", () => {
  it.scoped("has the envelope of the request and nothing else, byte for byte", () =>
    Effect.gen(function*() {
      const { handle } = yield* makeRig(({ body }) => body)
      for (const envelope of [[""], ["1", ""], ["bstar/2 7.12", ""], ["a", "b@196610", ""], ["bstar/1 ", ""]]) {
        assert.deepStrictEqual(
          handle([routingFrame, ...envelope.map((text) => Frames.make(text)[0]!), ...Frames.make("x")]),
          [
            [...envelope, "x"]
          ]
        )
      }
      assert.deepStrictEqual(handle([routingFrame, ...Frames.make("no envelope")]), [["no envelope"]])
      assert.deepStrictEqual(handle([routingFrame, ...Frames.make("bstar/1 7.12@1")]), [["bstar/1 7.12@1"]])
    }))
})

describe("effects", () => {
  it.scopedLive("that complete while others run are delivered together, and the last one at once", () =>
    Effect.gen(function*() {
      const done = yield* Effect.replicateEffect(Deferred.make<string>(), 3)
      let count = 0
      const { complete, delivered, handle } = yield* makeRig(() => Deferred.await(done[count++]!))
      done.forEach(() => handle(ours(term)))
      Deferred.unsafeDone(done[0]!, Effect.succeed("a"))
      Deferred.unsafeDone(done[1]!, Effect.succeed("b"))
      // Fibers run in microtasks, which precede the next turn of the event loop.
      yield* Effect.promise(() => Promise.resolve().then(() => Promise.resolve()))
      assert.strictEqual(yield* delivered, 0)
      const first = [yield* complete, yield* complete]
      assert.deepStrictEqual(first.map(([reply]) => reply?.at(-1)), ["a", "b"])
      yield* Deferred.succeed(done[2]!, "c")
      assert.deepStrictEqual(yield* complete, [["bstar/1 7.12@196609", "", "c"]])
    }))

  it.scopedLive("that complete before their term ends are delivered before its end", () =>
    Effect.gen(function*() {
      const done = yield* Deferred.make<string>()
      let count = 0
      const { complete, delivered, endTerm, handle } = yield* makeRig(() =>
        count++ === 0 ? Deferred.await(done) : Effect.never
      )
      handle(ours(term))
      handle(ours(term))
      yield* Deferred.succeed(done, "a")
      yield* endTerm
      assert.strictEqual(yield* delivered, 2)
      assert.deepStrictEqual([yield* complete, yield* complete].flat().map((reply) => reply[1]), [
        "!Interrupted",
        "!Interrupted"
      ])
    }))

  it.scoped("do not share what a reference makes for each fiber", () =>
    Effect.gen(function*() {
      const reference = yield* FiberRef.make(new Set<unknown>(), { fork: () => new Set() })
      const { handle } = yield* makeRig((request) =>
        Effect.map(FiberRef.get(reference), (seen) => String(seen.add(request).size))
      )
      assert.deepStrictEqual([handle(ours(term)), handle(ours(term))].flat().map((reply) => reply.at(-1)), ["1", "1"])
    }))

  it.scoped("do not share what they set", () =>
    Effect.gen(function*() {
      const reference = yield* FiberRef.make("member")
      const { handle } = yield* Effect.locally(
        makeRig(() => Effect.tap(FiberRef.get(reference), () => FiberRef.set(reference, "request"))),
        reference,
        "layer"
      )
      assert.deepStrictEqual([handle(ours(term)), handle(ours(term))].flat().map((reply) => reply.at(-1)), [
        "layer",
        "layer"
      ])
    }))
})

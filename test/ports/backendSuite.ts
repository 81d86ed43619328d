import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { Backend } from "../../src/ports/Backend.ts"
import type { SocketError } from "../../src/ports/SocketError.ts"
import type * as Frames from "../../src/wire/Frames.ts"
import { eventually, listen, message, texts } from "../support/sockets.ts"

/** What a worker can do. */
interface Worker {
  readonly send: (message: Frames.Frames) => Effect.Effect<void, SocketError>
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>, SocketError>
}

/** Both ends of one backend. */
export interface Ends {
  readonly layer: Layer.Layer<Backend, SocketError>
  readonly connect: Effect.Effect<Worker, SocketError, Scope.Scope>
}

/** Builds a backend. Replies of workers can be taken one by one. */
const serve = (layer: Layer.Layer<Backend, SocketError>) =>
  Effect.gen(function*() {
    const backend = Context.get(yield* Layer.build(layer), Backend)
    const replies = yield* Mailbox.make<Frames.Frames, SocketError>()
    yield* backend.run(async (batch) => {
      replies.unsafeOfferAll(batch)
    }).pipe(Mailbox.into(replies), Effect.forkScoped)
    const send = (messages: ReadonlyArray<Frames.Frames>) => Effect.promise(() => backend.send(messages))
    return { replies, send }
  })

/** A worker whose work can be taken one by one. */
const join = (connect: Ends["connect"]) =>
  Effect.gen(function*() {
    const { messages, send } = yield* connect
    return { work: yield* listen(messages), send }
  })

type Send = (messages: ReadonlyArray<Frames.Frames>) => Effect.Effect<ReadonlyArray<number>>

/** Sends a message as soon as there is a worker for it. */
const sendOne = (send: Send, ...texts: ReadonlyArray<string>) =>
  eventually(Effect.map(send([message(...texts)]), (unsent) => unsent.length === 0))

const byNumber = (one: string | undefined, other: string | undefined) => Number(one) - Number(other)

/** What every backend must do. */
export const backendSuite = (name: string, make: Effect.Effect<Ends, never, Scope.Scope>) =>
  describe(`a backend over ${name}`, () => {
    it.scopedLive("accepts nothing while there is no worker", () =>
      Effect.gen(function*() {
        const { layer } = yield* make
        const { send } = yield* serve(layer)
        assert.deepStrictEqual(yield* send([message("x"), message("y")]), [0, 1])
        assert.deepStrictEqual(yield* send([]), [])
      }))

    it.scopedLive("carries messages unchanged in both directions", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const { replies, send } = yield* serve(layer)
        const worker = yield* join(connect)
        for (const work of [["x"], [""], ["id", "", "x", ""], Array.from({ length: 20 }, (_, i) => `${i}`)]) {
          yield* sendOne(send, ...work)
          assert.deepStrictEqual(texts(yield* worker.work.take), work)
          yield* worker.send(message(...work, "reply"))
          assert.deepStrictEqual(texts(yield* replies.take), [...work, "reply"])
        }
      }))

    it.scopedLive("sends to workers in turns", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const { send } = yield* serve(layer)
        const workers = yield* Effect.replicateEffect(join(connect), 3)
        // All of them are there as soon as each has got something.
        const first = yield* Effect.forEach(workers, ({ work }) => Effect.forkScoped(work.take))
        yield* eventually(
          Effect.zipRight(
            send([message("first")]),
            Effect.sync(() => first.every((fiber) => fiber.unsafePoll() !== null))
          )
        )
        yield* eventually(
          Effect.map(send(Array.from({ length: 9 }, () => message("then"))), (unsent) => unsent.length === 0)
        )
        for (const { work } of workers) {
          let count = 0
          while (count < 3) {
            count += texts(yield* work.take)[0] === "then" ? 1 : 0
          }
        }
      }))

    it.scopedLive("loses no reply under load, at full capacity", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const { replies, send } = yield* serve(layer)
        const { messages, send: reply } = yield* connect
        const works = yield* listen(messages)
        yield* Effect.forkScoped(Effect.forever(Effect.flatMap(works.take, reply)))
        const count = 5000
        let queue = Array.from({ length: count }, (_, n) => `${n}`)
        yield* Effect.forkScoped(eventually(Effect.map(
          Effect.suspend(() => send(queue.slice(0, 256).map((text) => message(text)))),
          (unsent) => {
            queue = [...unsent.map((index) => queue[index]!), ...queue.slice(256)]
            return queue.length === 0
          }
        )))
        const got = (yield* Effect.replicateEffect(replies.take, count)).map((reply) => texts(reply)[0])
        // A message that found no capacity may be overtaken by those of the same call.
        assert.deepStrictEqual([...got].sort(byNumber), Array.from({ length: count }, (_, n) => `${n}`))
        assert.isTrue(got.every((text, index) => Math.abs(Number(text) - index) <= 256))
      }))

    it.scopedLive("sends to others what a worker has no capacity for, and receives its replies all the same", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const { replies, send } = yield* serve(layer)
        const stuck = yield* connect
        const large = Array.from({ length: 256 }, () => [new Uint8Array(100_000)])
        yield* sendOne(send, "there")
        // The capacity of the system is finite.
        let full = 0
        yield* eventually(
          Effect.map(
            Effect.delay(send(large), "5 millis"),
            (unsent) => (full = unsent.length === large.length ? full + 1 : 0) > 20
          )
        )

        // `writable` must not lose what has arrived while this process was busy.
        for (let n = 0; n < 10; n++) {
          yield* stuck.send(message(`${n}`))
          const until = performance.now() + 20
          while (performance.now() < until) {
            // Busy.
          }
          yield* send(large)
          assert.deepStrictEqual(texts(yield* Effect.timeout(replies.take, "5 seconds")), [`${n}`])
        }

        const other = yield* join(connect)
        yield* sendOne(send, "for the other")
        assert.deepStrictEqual(texts(yield* other.work.take), ["for the other"])
      }))
  })

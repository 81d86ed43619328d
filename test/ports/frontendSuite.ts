import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import type { Connection } from "../../src/ports/ClientLink.ts"
import { Frontend } from "../../src/ports/Frontend.ts"
import type { SocketError } from "../../src/ports/SocketError.ts"
import type * as Frames from "../../src/wire/Frames.ts"
import { eventually, message, open, serve, texts } from "../support/sockets.ts"

/** Both ends of one frontend. */
export interface Ends {
  readonly layer: Layer.Layer<Frontend, SocketError>
  readonly connect: Effect.Effect<Connection, SocketError, Scope.Scope>
}

/** The contract of every frontend. An endpoint of inproc does not return once its server has closed. */
export const frontendSuite = (
  name: string,
  make: Effect.Effect<Ends, never, Scope.Scope>,
  { restarts }: { readonly restarts: boolean }
) =>
  describe(`a frontend over ${name}`, () => {
    it.scopedLive("prepends a routing frame to a request, and sends the reply to that client", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const server = yield* serve(layer)
        const client = yield* open(connect)
        for (
          const request of [
            ["x"],
            [""],
            ["", "x"],
            ["", "", "x", ""],
            Array.from({ length: 20 }, (_, i) => `${i}`)
          ]
        ) {
          yield* client.send(message(...request))
          const [identity, ...arrived] = yield* server.requests.take
          assert.isAbove(identity!.length, 0)
          assert.deepStrictEqual(texts(arrived), request)
          yield* server.reply([[identity!, ...message(...request, "reply")]])
          assert.deepStrictEqual(texts(yield* client.replies.take), [...request, "reply"])
        }
      }))

    it.scopedLive("keeps the order of each client and never mixes two of them", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const { reply, requests } = yield* serve(layer)
        yield* Effect.forkScoped(Effect.forever(Effect.flatMap(requests.take, (request) => reply([request]))))
        yield* Effect.forEach(["a", "b", "c"], (name) =>
          Effect.gen(function*() {
            const client = yield* open(connect)
            const sent = Array.from({ length: 200 }, (_, n) => [name, String(n)])
            yield* Effect.forEach(sent, (text) => client.send(message(...text)), { discard: true })
            const got = yield* Effect.replicateEffect(client.replies.take, sent.length)
            assert.deepStrictEqual(got.map(texts), sent)
          }), { concurrency: "unbounded" })
      }))

    it.scopedLive("sends replies to their clients in any order", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const server = yield* serve(layer)
        const clients = yield* Effect.replicateEffect(open(connect), 10)
        yield* Effect.forEach(clients, ({ send }, i) => send(message(String(i))))
        const requests = yield* Effect.replicateEffect(server.requests.take, clients.length)
        yield* server.reply(requests.reverse())
        const replies = yield* Effect.forEach(clients, ({ replies }) => replies.take)
        assert.deepStrictEqual(replies.map(texts), clients.map((_, i) => [String(i)]))
      }))

    it.scopedLive("drops nothing of 4,000 replies to a client that are sent at once", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const { reply, requests } = yield* serve(layer)
        const client = yield* open(connect)
        yield* client.send(message("all"))
        const [identity] = yield* requests.take
        const replies = Array.from({ length: 4000 }, (_, i) => String(i))
        yield* reply(replies.map((text) => [identity!, ...message(text)]))
        const got = yield* Effect.replicateEffect(client.replies.take, replies.length)
        assert.deepStrictEqual(got.flatMap(texts), replies)
      }))

    it.scopedLive("drops the reply to a client that has disconnected, and no other", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const server = yield* serve(layer)
        const stays = yield* open(connect)
        const scope = yield* Scope.make()
        const goes = yield* Scope.extend(open(connect), scope)
        yield* goes.send(message("goes"))
        const fromClosed = yield* server.requests.take
        yield* Scope.close(scope, Exit.void)
        for (const text of ["first", "second"]) {
          yield* stays.send(message(text))
          const request = yield* server.requests.take
          yield* server.reply([fromClosed, request, [...message("no such client"), ...message("x")]])
          assert.deepStrictEqual(texts(yield* stays.replies.take), [text])
        }
      }))

    it.scopedLive("delivers no further batch until the one before is done", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const frontend = Context.get(yield* Layer.build(layer), Frontend)
        const batches: Array<ReadonlyArray<Frames.Frames>> = []
        const first = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        let inHand = 0
        let most = 0
        yield* Effect.forkScoped(frontend.run(async (batch) => {
          batches.push(batch)
          most = Math.max(most, ++inHand)
          Deferred.unsafeDone(first, Effect.void)
          await Effect.runPromise(Effect.zipRight(Deferred.await(release), Effect.sleep(0)))
          inHand--
        }, () => Number.POSITIVE_INFINITY))
        const client = yield* open(connect)
        const sent = Array.from({ length: 500 }, (_, i) => String(i))
        yield* client.send(message(sent[0]!))
        yield* Deferred.await(first)
        yield* Effect.forEach(sent.slice(1), (text) => client.send(message(text)), { discard: true })
        const other = yield* open(connect)
        yield* other.send(message("other"))
        yield* Effect.sleep(0)
        assert.deepStrictEqual(batches.flat().map((request) => texts(request)[1]), ["0"])
        yield* Deferred.succeed(release, undefined)
        yield* eventually(Effect.sync(() => batches.flat().length === sent.length + 1))
        assert.strictEqual(most, 1)
        assert.deepStrictEqual(
          batches.flat().map((request) => texts(request)[1]).filter((text) => text !== "other"),
          sent
        )
      }))

    it.scopedLive("serves a request that was sent before it was started", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const client = yield* open(connect)
        yield* client.send(message("early"))
        const server = yield* serve(layer)
        const request = yield* server.requests.take
        yield* server.reply([request])
        assert.deepStrictEqual(texts(yield* client.replies.take), ["early"])
      }))

    it.scopedLive.runIf(restarts)("serves the same clients when it is built again", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const client = yield* open(connect)
        const happened = yield* Mailbox.fromStream(client.events)
        for (let life = 0; life < 3; life++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const server = yield* serve(layer)
            // A message on a connection whose loss is not detected yet is lost with it.
            assert.strictEqual(yield* happened.take, "connected")
            yield* client.send(message(String(life)))
            yield* server.reply([yield* server.requests.take])
            assert.deepStrictEqual(texts(yield* client.replies.take), [String(life)])
          }))
          assert.strictEqual(yield* happened.take, "lost")
        }
      }))

    it.scopedLive.runIf(restarts)("reports to a client when its server is connected and when it is lost", () =>
      Effect.gen(function*() {
        const { connect, layer } = yield* make
        const { events } = yield* connect
        const happened = yield* Mailbox.fromStream(events)
        for (let life = 0; life < 3; life++) {
          const scope = yield* Scope.make()
          assert.deepStrictEqual([...yield* happened.clear], [])
          yield* Layer.buildWithScope(layer, scope)
          assert.strictEqual(yield* happened.take, "connected")
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(yield* happened.take, "lost")
        }
      }))
  })

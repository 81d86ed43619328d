import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Backend from "../../src/ports/Backend.ts"
import { ClientLink } from "../../src/ports/ClientLink.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import * as Proxy from "../../src/proxy/Proxy.ts"
import * as Envelope from "../../src/wire/Envelope.ts"
import * as Frames from "../../src/wire/Frames.ts"
import { foreignPeer, settle } from "../support/nodes.ts"
import { listen, message, open, texts } from "../support/sockets.ts"

type Options = Pick<Proxy.Options, "concurrency" | "drain" | "policy" | "termFrame" | "timeout" | "whenBusy">

/** A proxy in memory that can be stopped, its ports, and its log lines. */
const makeProxy = (
  options: Partial<Options> = {},
  role: Role = "primary",
  link?: Layer.Layer<PeerLink.PeerLink>
) =>
  Effect.gen(function*() {
    const frontend = yield* Frontend.makeMemory
    const backend = yield* Backend.makeMemory
    const logLines: Array<string> = []
    const logger = Logger.make(({ message }) => logLines.push(String(message)))
    const scope = yield* Scope.make()
    const ports = Layer.mergeAll(frontend.layer, backend.layer, link ?? (yield* PeerLink.makeMemory)[role])
    const context = yield* Layer.buildWithScope(
      Layer.provide(Proxy.layer({ role, policy: "classic", ...options }), ports),
      scope
    ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    const stop = Scope.close(scope, Exit.void)
    // A worker may never reply, and the test no longer advances the clock.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        const stopping = yield* Effect.forkDaemon(stop)
        yield* settle
        while (stopping.unsafePoll() === null) {
          yield* TestClock.adjust("10 seconds")
        }
      })
    )
    yield* settle
    return {
      logLines,
      stop,
      frontend,
      backend,
      proxy: Context.get(context, Proxy.Proxy),
      member: Context.get(context, BinaryStar.BinaryStar),
      /** A client that is not of this library. */
      connect: open(frontend.connect),
      /** A client of this library. */
      client: BinaryStarClient.make({ servers: ["inproc://here"] }).pipe(
        Effect.provideService(ClientLink, ClientLink.of({ connect: () => frontend.connect })),
        Effect.tap(() => settle)
      )
    }
  })

/** A worker whose requests are taken one by one. */
const join = (backend: Backend.Memory) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const { messages, send } = yield* Scope.extend(backend.connect, scope)
    return { work: yield* listen(messages), send, leave: Scope.close(scope, Exit.void) }
  })

interface Worker extends Omit<Effect.Effect.Success<ReturnType<typeof join>>, "leave"> {}

/** Sends a reply in the envelope of the request, as a REP socket does. */
const reply = (worker: Worker, work: Frames.Frames, ...body: ReadonlyArray<string>) =>
  worker.send([...work.slice(0, 2), ...message(...body)])

const bodyOf = (work: Frames.Frames) => texts(work.slice(2))

/** Replies to every request. */
const echo = (worker: Worker, ...mark: ReadonlyArray<string>) =>
  Effect.forkScoped(
    Effect.forever(Effect.flatMap(worker.work.take, (work) => reply(worker, work, ...bodyOf(work), ...mark)))
  )

const ask = (client: { readonly send: (message: Frames.Frames) => Effect.Effect<void, unknown> }, request: string) =>
  client.send([Frames.delimiter, ...Frames.make(request)])

const isEmpty = <A, E>(mailbox: Mailbox.ReadonlyMailbox<A, E>) =>
  Effect.map(Effect.zipRight(settle, mailbox.size), (size) => assert.strictEqual(Option.getOrThrow(size), 0))

describe("a proxy", () => {
  it.scoped("workers receive an envelope, an empty frame and the body; the client receives what follows the envelope of the reply", () =>
    Effect.gen(function*() {
      const { backend, connect, proxy } = yield* makeProxy()
      const worker = yield* join(backend)
      const client = yield* connect
      yield* client.send(message("a", "b", "", "1", "", "2"))
      const work = yield* worker.work.take
      assert.strictEqual(work[0]!.length, 16)
      assert.deepStrictEqual(texts(work.slice(1)), ["", "1", "", "2"])
      yield* reply(worker, work, "", "done")
      assert.deepStrictEqual(texts(yield* client.replies.take), ["a", "b", "", "", "done"])
      assert.deepStrictEqual(yield* proxy.counters, { forwarded: 1, replied: 1, busy: 0, late: 0, malformed: 0 })
      assert.deepStrictEqual(yield* proxy.load, { queued: 0, atWorkers: 0 })
    }))

  it.scoped("a request without a body has an empty frame, since a REP socket drops a message without any", () =>
    Effect.gen(function*() {
      const { backend, connect } = yield* makeProxy()
      const worker = yield* join(backend)
      const client = yield* connect
      yield* client.send([Frames.delimiter])
      assert.deepStrictEqual(texts((yield* worker.work.take).slice(1)), ["", ""])
    }))

  it.scoped("with termFrame, workers receive the fencing token before the body; the reply has none", () =>
    Effect.gen(function*() {
      const links = yield* PeerLink.makeMemory
      const { backend, connect } = yield* makeProxy({ termFrame: true }, "primary", links.primary)
      const worker = yield* join(backend)
      const client = yield* connect
      yield* ask(client, "not active yet, as classic permits")
      const early = yield* worker.work.take
      assert.deepStrictEqual(bodyOf(early), ["", "not active yet, as classic permits"])
      yield* reply(worker, early, "done")
      assert.deepStrictEqual(texts(yield* client.replies.take), ["", "done"])
      const backup = yield* foreignPeer(links.backup)
      yield* backup.reports("2")
      yield* ask(client, "work")
      assert.deepStrictEqual(bodyOf(yield* worker.work.take), ["1", "work"])
    }))

  it.scoped("workers take turns, and each client receives its own reply, in any order", () =>
    Effect.gen(function*() {
      const { backend, connect } = yield* makeProxy()
      const workers = yield* Effect.replicateEffect(join(backend), 4)
      const clients = yield* Effect.replicateEffect(connect, 4)
      for (const [n, client] of clients.entries()) {
        yield* ask(client, `${n}`)
        yield* ask(client, `${n + 4}`)
      }
      const works = yield* Effect.forEach(workers, ({ work }) => Effect.all([work.take, work.take]))
      for (const [n, [first, second]] of [...works.entries()].reverse()) {
        yield* reply(workers[n]!, second, ...bodyOf(second), "!")
        yield* reply(workers[n]!, first, ...bodyOf(first), "!")
      }
      for (const [n, { replies }] of clients.entries()) {
        const got = [yield* replies.take, yield* replies.take].map((reply) => texts(reply).join(""))
        assert.sameMembers(got, [`${n}!`, `${n + 4}!`])
      }
    }))

  it.scoped("requests are queued, in order, until a worker connects", () =>
    Effect.gen(function*() {
      const { backend, connect, proxy } = yield* makeProxy()
      const client = yield* connect
      for (let n = 0; n < 10; n++) {
        yield* ask(client, `${n}`)
      }
      yield* settle
      assert.deepStrictEqual(yield* proxy.load, { queued: 10, atWorkers: 0 })
      const worker = yield* join(backend)
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* proxy.load, { queued: 0, atWorkers: 10 })
      for (let n = 0; n < 10; n++) {
        const work = yield* worker.work.take
        assert.deepStrictEqual(bodyOf(work), [`${n}`])
        yield* reply(worker, work, `${n}!`)
        assert.deepStrictEqual(texts(yield* client.replies.take), ["", `${n}!`])
      }
    }))

  it.scoped("requests are queued while workers have no room, and are sent after the next reply", () =>
    Effect.gen(function*() {
      const { backend, connect, proxy } = yield* makeProxy()
      const { messages, send } = yield* backend.connect
      const client = yield* connect
      for (let n = 0; n < 100; n++) {
        yield* ask(client, `${n}`)
      }
      yield* settle
      const { atWorkers, queued } = yield* proxy.load
      assert.isAbove(queued, 0)
      assert.strictEqual(atWorkers + queued, 100)
      yield* echo({ work: yield* listen(messages), send })
      const replies = yield* Effect.forkScoped(Effect.replicateEffect(client.replies.take, 100))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        (yield* Fiber.join(replies)).map((reply) => texts(reply)[1]),
        Array.from({ length: 100 }, (_, n) => `${n}`)
      )
      assert.deepStrictEqual(yield* proxy.load, { queued: 0, atWorkers: 0 })
    }))

  it.scoped("concurrency bounds the requests that are queued and at workers; the rest stays with the clients", () =>
    Effect.gen(function*() {
      const { backend, connect, proxy } = yield* makeProxy({ concurrency: 5 })
      const worker = yield* join(backend)
      const client = yield* connect
      for (let n = 0; n < 20; n++) {
        yield* ask(client, `${n}`)
      }
      yield* settle
      assert.deepStrictEqual(yield* proxy.load, { queued: 0, atWorkers: 5 })
      yield* echo(worker)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Effect.replicateEffect(client.replies.take, 20)).length, 20)
    }))
})

describe("a request that no worker takes in time", () => {
  it.scoped("fails with Busy, and is not sent to a worker later", () =>
    Effect.gen(function*() {
      const { backend, client, connect, proxy, logLines } = yield* makeProxy({ timeout: "5 seconds" })
      const legacy = yield* connect
      yield* ask(legacy, "legacy")
      const asking = yield* Effect.fork(Effect.flip((yield* client).request("x", { resend: false })))
      yield* TestClock.adjust("4 seconds")
      assert.isNull(asking.unsafePoll())
      yield* TestClock.adjust("600 millis")
      const error = yield* Fiber.join(asking)
      assert.strictEqual(error.reason, "Busy")
      assert.strictEqual(Frames.toString(error.detail!), "no worker was free")
      assert.strictEqual((yield* proxy.counters).busy, 2)
      assert.deepStrictEqual(logLines.filter((text) => text.includes("no worker")), [
        "rejected a request: no worker was free within 4500 ms (connect more workers, or raise --timeout)"
      ])
      const worker = yield* join(backend)
      yield* TestClock.adjust("1 second")
      yield* isEmpty(worker.work)
      yield* isEmpty(legacy.replies)
    }))

  it.scoped("has no reply with whenBusy drop, and the client repeats it", () =>
    Effect.gen(function*() {
      const { backend, client, proxy } = yield* makeProxy({ timeout: "2 seconds", whenBusy: "drop" })
      const asking = yield* Effect.fork((yield* client).request("x"))
      yield* TestClock.adjust("3 seconds")
      assert.isAbove((yield* proxy.counters).busy, 0)
      assert.isNull(asking.unsafePoll())
      yield* echo(yield* join(backend))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(Frames.toString(yield* Fiber.join(asking)), "x")
    }))
})

describe("a worker", () => {
  it.scoped("that exceeds the timeout is given up, and its late reply is dropped and counted", () =>
    Effect.gen(function*() {
      const { backend, client, proxy } = yield* makeProxy({ timeout: "2 seconds" })
      const worker = yield* join(backend)
      const asking = yield* Effect.fork(Effect.flip((yield* client).request("x", { resend: false })))
      yield* settle
      const work = yield* worker.work.take
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(asking)).reason, "TimedOut")
      assert.deepStrictEqual(yield* proxy.load, { queued: 0, atWorkers: 0 })
      yield* reply(worker, work, "late")
      yield* settle
      assert.deepStrictEqual(yield* proxy.counters, { forwarded: 1, replied: 0, busy: 0, late: 1, malformed: 0 })
    }))

  it.scoped("that is lost with a request is replaced: the client repeats it, and another worker receives it", () =>
    Effect.gen(function*() {
      const { backend, client } = yield* makeProxy()
      const { request } = yield* client
      const asking = yield* Effect.scoped(Effect.gen(function*() {
        const lost = yield* join(backend)
        const asking = yield* Effect.forkDaemon(request("x"))
        yield* settle
        assert.deepStrictEqual(bodyOf(yield* lost.work.take), ["x"])
        return asking
      }))
      yield* echo(yield* join(backend), "!")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(texts(yield* Fiber.join(asking)), ["x", "!"])
    }))

  it.scoped("that replies twice, to another proxy, or without an envelope reaches no client, and is logged once", () =>
    Effect.gen(function*() {
      const { backend, connect, proxy, logLines } = yield* makeProxy()
      const other = yield* makeProxy()
      const worker = yield* join(backend)
      const client = yield* connect
      yield* ask(client, "1")
      const work = yield* worker.work.take
      // The first request of another proxy has the same number.
      yield* ask(yield* other.connect, "2")
      const foreign = yield* (yield* join(other.backend)).work.take
      assert.deepStrictEqual(foreign[0]!.slice(8), work[0]!.slice(8))
      assert.notDeepEqual(foreign[0]!.slice(0, 8), work[0]!.slice(0, 8))

      yield* reply(worker, foreign, "of another proxy")
      for (const junk of [[], ["junk"], ["junk", "", "x"], ["0123456789abcdef", "x", "y"], ["", "", ""]]) {
        yield* worker.send(message(...junk))
      }
      yield* worker.send(work.slice(0, 1))
      yield* settle
      assert.deepStrictEqual(yield* proxy.counters, { forwarded: 1, replied: 0, busy: 0, late: 1, malformed: 6 })
      assert.deepStrictEqual(logLines.filter((text) => text.includes("no reply")), [
        "ignored a worker's message that is no reply: a reply is the request's envelope, an empty frame and a body"
      ])
      yield* reply(worker, work, "first")
      yield* reply(worker, work, "second")
      assert.deepStrictEqual(texts(yield* client.replies.take), ["", "first"])
      yield* isEmpty(client.replies)
      assert.strictEqual((yield* proxy.counters).late, 2)
    }))
})

describe("a pair of proxies", () => {
  const makePair = Effect.gen(function*() {
    const links = yield* PeerLink.makeMemory
    const primary = yield* makeProxy({ policy: "hardened", drain: "1 second" }, "primary", links.primary)
    const backup = yield* makeProxy({ policy: "hardened" }, "backup", links.backup)
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(yield* primary.member.state, "ACTIVE")
    assert.strictEqual(yield* backup.member.state, "PASSIVE")
    return { primary, backup }
  })

  it.scoped("only the active one sends requests to workers", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair
      const idle = yield* join(backup.backend)
      const busy = yield* join(primary.backend)
      yield* ask(yield* primary.connect, "active")
      yield* ask(yield* backup.connect, "passive")
      assert.deepStrictEqual(bodyOf(yield* busy.work.take), ["active"])
      yield* isEmpty(idle.work)
      assert.strictEqual((yield* backup.proxy.counters).forwarded, 0)
    }))

  it.scoped("the active one waits for its workers when it stops, and sends no further requests", () =>
    Effect.gen(function*() {
      const { primary } = yield* makePair
      const worker = yield* join(primary.backend)
      const client = yield* primary.connect
      yield* ask(client, "1")
      const work = yield* worker.work.take
      const stopping = yield* Effect.fork(primary.stop)
      yield* settle
      yield* ask(client, "2")
      yield* settle
      assert.isNull(stopping.unsafePoll())
      yield* reply(worker, work, "done")
      yield* settle
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(texts(yield* client.replies.take), ["", "done"])
      yield* isEmpty(worker.work)
    }))

  it.scoped("that is no longer active rejects what no worker has seen as not executed, and only that", () =>
    Effect.gen(function*() {
      const links = yield* PeerLink.makeMemory
      const { backend, frontend, proxy } = yield* makeProxy(
        { policy: "hardened", concurrency: 2 },
        "backup",
        links.backup
      )
      const peer = yield* foreignPeer(links.primary)
      yield* peer.reports("3")
      yield* TestClock.adjust("3 seconds")
      const { replies, send } = yield* open(frontend.connect)
      const ours = (id: string) => send([...Envelope.make(id, 1, undefined), ...Frames.make(id)])
      const worker = yield* join(backend)
      yield* ours("1")
      assert.deepStrictEqual(bodyOf(yield* worker.work.take), ["1"])
      yield* worker.leave
      yield* ours("2")
      yield* settle
      assert.deepStrictEqual(yield* proxy.load, { queued: 1, atWorkers: 1 })
      yield* peer.reports("3")
      const answers = [yield* replies.take, yield* replies.take].map((answer) => Envelope.parseReply(answer)!)
      assert.deepStrictEqual(answers.map(({ id, status }) => [id, status]), [["1", "Interrupted"], ["2", "NotActive"]])
      assert.strictEqual((yield* proxy.counters).busy, 0)
    }))

  it.scoped("drops queued requests when the active one stops without workers", () =>
    Effect.gen(function*() {
      const { primary } = yield* makePair
      const client = yield* primary.connect
      yield* ask(client, "1")
      yield* settle
      assert.deepStrictEqual(yield* primary.proxy.load, { queued: 1, atWorkers: 0 })
      const stopping = yield* Effect.fork(primary.stop)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(yield* primary.proxy.load, { queued: 0, atWorkers: 0 })
      const worker = yield* join(primary.backend)
      yield* TestClock.adjust("1 second")
      yield* isEmpty(worker.work)
    }))
})

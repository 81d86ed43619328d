import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Fiber } from "effect"
import * as zmq from "zeromq"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import type { Endpoints, Role } from "../support/processes.ts"
import { bstar, dealer, freeEndpoints, serverArgs, socket, startLine } from "../support/processes.ts"
import { quiet } from "../support/sockets.ts"
import { eventTimeout } from "../support/times.ts"

/** The endpoints of a pair, and its backends for workers. */
interface Places {
  readonly at: Endpoints
  readonly backends: { readonly [R in Role]: string }
}

const places: Effect.Effect<Places> = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const more = yield* freeEndpoints
  return { at, backends: { primary: more.primary.frontend, backup: more.backup.frontend } }
})

const start = (role: Role, { at, backends }: Places, ...more: ReadonlyArray<string>) =>
  Effect.tap(
    bstar(["proxy", ...serverArgs(role, at, "400 millis"), "--backend", backends[role], ...more]),
    (server) => server.waitForLine(startLine[role])
  )

const startPair = (places: Places, ...more: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const primary = yield* start("primary", places, ...more)
    const backup = yield* start("backup", places, ...more)
    yield* backup.waitForLine("I: connected to primary (active), ready as passive")
    return { primary, backup }
  })

/** A plain REP socket that replies to a text with the text and its own name. */
const startWorker = (name: string, ...backends: ReadonlyArray<string>) =>
  Effect.map(socket(() => new zmq.Reply({ linger: 0 })), (reply) => {
    const seen: Array<string> = []
    backends.forEach((backend) => reply.connect(backend))
    const loop = async () => {
      while (!reply.closed) {
        const body = (await reply.receive()).join(" ")
        seen.push(body)
        await reply.send([body, name])
      }
    }
    loop().catch((error: unknown) => {
      if (!reply.closed) {
        throw error
      }
    })
    return { seen, reply }
  })

const makeClient = ({ at }: Places, options?: BinaryStarClient.Options) =>
  BinaryStarClient.make({ servers: [at.primary.frontend, at.backup.frontend], ...options }).pipe(
    Effect.provide(ZmqClientLink.layer)
  )

const bodies = Array.from({ length: 1000 }, (_, n) => `request ${n}`)

describe("bstar proxy", () => {
  it.scopedLive("proxy: only the active server forwards requests to its workers", () =>
    Effect.gen(function*() {
      const where = yield* places
      const { backup, primary } = yield* startPair(where)
      const both = yield* startWorker("both", where.backends.primary, where.backends.backup)
      const idle = yield* startWorker("idle", where.backends.backup)
      // The passive server is sent a request first, and would have forwarded it by then.
      yield* (yield* dealer(where.at.backup.frontend)).request("", "passive")
      const client = yield* dealer(where.at.primary.frontend)
      yield* client.request("an", "envelope", "", "active")
      const { frames } = yield* client.replies.find(() => true)
      assert.deepStrictEqual(frames.map(String), ["an", "envelope", "", "active", "both"])
      assert.deepStrictEqual(both.seen, ["active"])
      assert.deepStrictEqual(idle.seen, [])
      assert.strictEqual(primary.stderr() + backup.stderr(), "")
    }))

  it.scopedLive("proxy: kill -9 of the active server: all 1000 pending requests receive the right reply", () =>
    Effect.gen(function*() {
      const where = yield* places
      const { backup, primary } = yield* startPair(where)
      const workers = [
        yield* startWorker("one", where.backends.primary, where.backends.backup),
        yield* startWorker("two", where.backends.primary, where.backends.backup)
      ]
      const { request } = yield* makeClient(where, { timeout: eventTimeout })
      yield* request("first")
      let answered = 0
      const pending = yield* Effect.fork(Effect.forEach(
        bodies,
        (body) =>
          Effect.map(request(body), (reply) => {
            answered++
            return Frames.toString(reply)
          }),
        { concurrency: "unbounded" }
      ))
      // Most of them have no reply yet.
      yield* Effect.repeat(Effect.yieldNow(), { until: () => answered > 0 })
      const before = answered
      yield* primary.kill("SIGKILL")
      const replies = yield* Fiber.join(pending)
      assert.deepStrictEqual(replies.map((reply) => reply.replace(/ (one|two)$/, "")), bodies)
      assert.isBelow(before, bodies.length)
      assert.isTrue(workers.every(({ seen }) => seen.length > 1))
      // All of them may have had their reply just before the signal.
      yield* request("last")
      yield* backup.waitForLine("I: failover successful, ready as active")
      assert.strictEqual(primary.stderr() + backup.stderr(), "")
    }).pipe(Effect.provide(quiet)))

  it.scopedLive("proxy: SIGTERM of the active server: it waits for its workers, and no work is lost", () =>
    Effect.gen(function*() {
      const where = yield* places
      const { primary } = yield* startPair(where)
      const worker = yield* startWorker("one", where.backends.primary, where.backends.backup)
      const { request } = yield* makeClient(where, { timeout: eventTimeout })
      yield* request("first")
      const pending = yield* Effect.fork(Effect.forEach(
        bodies,
        (body) => Effect.either(request(body, { resend: false })),
        { concurrency: 50 }
      ))
      yield* Effect.repeat(Effect.sleep("1 millis"), { until: () => worker.seen.length > 100 })
      yield* primary.kill("SIGTERM")
      const replies = yield* Fiber.join(pending)
      assert.deepStrictEqual(yield* primary.exit, { code: 0, signal: null })
      // A request that the server had not read was not executed, but its client cannot know that.
      const answered = bodies.filter((_, n) => Either.isRight(replies[n]!))
      assert.deepStrictEqual(
        replies.filter(Either.isRight).map(({ right }) => Frames.toString(right)),
        answered.map((body) => `${body} one`)
      )
      // The first was a vote as well, which may be sent twice.
      assert.deepStrictEqual(worker.seen.filter((body) => body !== "first").sort(), [...answered].sort())
      assert.isAbove(answered.length, bodies.length / 2)
    }).pipe(Effect.provide(quiet)))

  it.scopedLive("proxy: a request without a free worker fails with Busy, or with NoReply with --when-busy drop", () =>
    Effect.gen(function*() {
      for (const [whenBusy, reason] of [["answer", "Busy"], ["drop", "NoReply"]] as const) {
        const where = yield* places
        const primary = yield* start("primary", where, "--timeout", "500 millis", "--when-busy", whenBusy)
        const { request } = yield* makeClient(where, { timeout: "3 seconds" })
        assert.strictEqual((yield* Effect.flip(request("x"))).reason, reason)
        yield* primary.waitForLine(/^W: rejected a request: no worker was free within 450 ms/)
        yield* startWorker("late", where.backends.primary)
        assert.strictEqual(Frames.toString(yield* request("y")), "y late")
      }
    }).pipe(Effect.provide(quiet)))

  it.scopedLive("proxy: a worker that disconnects with a request: another worker receives the repeated request", () =>
    Effect.gen(function*() {
      const where = yield* places
      yield* start("primary", where)
      const { request } = yield* makeClient(where)
      const stuck = yield* socket(() => new zmq.Reply({ linger: 0 }))
      stuck.connect(where.backends.primary)
      const pending = yield* Effect.fork(request("x"))
      assert.deepStrictEqual((yield* Effect.promise(() => stuck.receive())).map(String), ["x"])
      stuck.close()
      yield* startWorker("other", where.backends.primary)
      assert.strictEqual(Frames.toString(yield* Fiber.join(pending)), "x other")
    }).pipe(Effect.provide(quiet)))

  it.scopedLive("proxy: kill -9 with queued requests: they are repeated at the other server, whose workers connect later", () =>
    Effect.gen(function*() {
      const where = yield* places
      const { primary } = yield* startPair(where)
      const { request } = yield* makeClient(where)
      const pending = yield* Effect.fork(Effect.forEach(bodies.slice(0, 100), (body) => request(body), {
        concurrency: "unbounded"
      }))
      yield* Effect.sleep("200 millis")
      yield* primary.kill("SIGKILL")
      yield* startWorker("one", where.backends.backup)
      const replies = yield* Fiber.join(pending)
      assert.deepStrictEqual(replies.map(Frames.toString), bodies.slice(0, 100).map((body) => `${body} one`))
    }).pipe(Effect.provide(quiet)))

  it.scopedLive("proxy: invalid arguments are rejected before a port is opened", () =>
    Effect.gen(function*() {
      for (
        const [args, code, message] of [
          [["proxy"], 64, /^Usage: bstar/m],
          [["proxy", "-p", "-b"], 64, /^Usage: bstar/m],
          [["proxy", "-p", "--when-busy", "wait"], 78, /when-busy.*"answer" or "drop".*"wait"/],
          [["proxy", "-p", "--concurrency", "many"], 78, /concurrency.*"many"/],
          [["proxy", "-p", "--concurrency", "1000000"], 78, /concurrency/],
          [["proxy", "-p", "--backend", "here"], 78, /backend.*"here"/],
          [["proxy", "-p", "--timeout", "soon"], 78, /timeout.*"soon"/]
        ] as const
      ) {
        const server = yield* bstar(args)
        assert.strictEqual((yield* server.exit).code, code, args.join(" "))
        assert.match(server.stdout() + server.stderr(), message)
      }
    }))

  it.scopedLive("proxy: a backend whose port is in use ends the server", () =>
    Effect.gen(function*() {
      const where = yield* places
      const taken = yield* socket(() => new zmq.Dealer({ linger: 0 }))
      yield* Effect.promise(() => taken.bind(where.backends.primary))
      const server = yield* bstar([
        "proxy",
        ...serverArgs("primary", where.at, "1 second"),
        "--backend",
        where.backends.primary
      ])
      assert.strictEqual((yield* server.exit).code, 1)
      assert.include(server.stderr(), `E: cannot bind ${where.backends.primary}: the address is already in use`)
    }))
})

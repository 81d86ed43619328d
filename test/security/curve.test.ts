import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Ref, Schedule, Scope, Stream } from "effect"
import * as process from "node:process"
import * as zmq from "zeromq"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as LazyPirate from "../../src/client/LazyPirate.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import * as Curve from "../../src/security/Curve.ts"
import * as CurveKey from "../../src/security/CurveKey.ts"
import type { Reason } from "../../src/security/RejectedConnections.ts"
import type * as BinaryStarConfig from "../../src/settings/BinaryStarConfig.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import * as ZmqBackend from "../../src/zeromq/ZmqBackend.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { makeKeys } from "../support/keys.ts"
import { eventually, freshEndpoint, quiet } from "../support/sockets.ts"
import { intrusions, recorder, replay } from "./intruders.ts"

/** Intruders of each kind. `npm run intrude` has 10,000 of them. */
const count = Number(process.env.BSTAR_INTRUSIONS ?? 40)

const minutes = 15

type Keys = Effect.Effect.Success<typeof makeKeys>

const places = Effect.gen(function*() {
  const place = freshEndpoint("tcp")
  const [primary, backup, primaryState, backupState] = yield* Effect.all([place, place, place, place])
  const options = (role: Role): BinaryStarConfig.Options => ({
    role,
    policy: "hardened",
    heartbeat: "500 millis",
    frontend: role === "primary" ? primary : backup,
    stateEndpoint: role === "primary" ? primaryState : backupState,
    peerEndpoint: role === "primary" ? backupState : primaryState
  })
  return { options, servers: [primary, backup] as const }
})

/** Starts a member with keys. `requests` are those that it has received. */
const start = (options: BinaryStarConfig.Options, security: Curve.Server | undefined) =>
  Effect.gen(function*() {
    const requests: Array<string> = []
    const layer = BinaryStar.layer(options, ({ body }) => {
      requests.push(Frames.toString(body))
      return body
    }).pipe(Layer.provide(Zmq.layer({ ...options, security })), Layer.provide(quiet))
    const member = Context.get(yield* Layer.build(layer), BinaryStar.BinaryStar)
    return { ...member, requests }
  })

const startPair = (keys: Keys) =>
  Effect.gen(function*() {
    const { options, servers } = yield* places
    const primary = yield* start(options("primary"), keys.primary)
    const backup = yield* start(options("backup"), keys.backup)
    yield* untilState(primary, "ACTIVE")
    yield* untilState(backup, "PASSIVE")
    return { options, servers, primary, backup }
  })

const untilState = ({ changes }: Pick<BinaryStar.BinaryStar["Type"], "changes">, state: string) =>
  Stream.runHead(Stream.filter(changes, (now) => now === state))

const makeClient = (servers: ReadonlyArray<string>, security: Curve.Client, options?: BinaryStarClient.Options) =>
  BinaryStarClient.make({ servers, ...options }).pipe(
    Effect.provide([ZmqClientLink.layerCurve(security), quiet])
  )

const total = (security: Curve.Server, port: "frontend" | "state" | "backend"): number =>
  Object.values(security.rejectedConnections.counts()[port]).reduce((sum, count) => sum + count, 0)

const nothing = { unknown: 0, wrong: 0, absent: 0, malformed: 0, full: 0 }

const untilRejected = (security: Curve.Server, port: "frontend" | "state" | "backend", reason: Reason, count: number) =>
  eventually(Effect.sync(() => security.rejectedConnections.counts()[port][reason] >= count))

describe("a pair with keys", () => {
  it.scopedLive("answers clients whose keys are accepted, and fails over", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { options, servers } = yield* places
      const life = yield* Scope.make()
      const primary = yield* Scope.extend(start(options("primary"), keys.primary), life)
      const backup = yield* start(options("backup"), keys.backup)
      yield* untilState(primary, "ACTIVE")
      yield* untilState(backup, "PASSIVE")
      for (const names of [servers, [...servers].reverse()]) {
        const { request } = yield* makeClient(names, keys.clientOf(keys.client))
        assert.strictEqual(Frames.toString(yield* request("hello")), "hello")
      }
      const { request } = yield* makeClient(servers, keys.clientOf(keys.client))
      yield* request("before")
      yield* Scope.close(life, Exit.void)
      assert.strictEqual(Frames.toString(yield* request("after")), "after")
      // At least once: a request that is not answered soon is a vote.
      assert.deepStrictEqual([...new Set(backup.requests)], ["after"])
      for (const { rejectedConnections } of [keys.primary, keys.backup]) {
        const { unfinished: _, ...rejected } = rejectedConnections.counts().state
        assert.deepStrictEqual(rejected, nothing)
      }
    }))

  for (const credentials of ["unknown", "wrong", "absent"] as const) {
    it.scopedLive(
      `lets in 0 of ${count} with ${credentials} credentials, and counts them`,
      () =>
        Effect.gen(function*() {
          const keys = yield* makeKeys
          const { backup, options, primary } = yield* startPair(keys)
          const { publicKey } = keys.own.primary
          const at = options("primary")
          const causes: Array<string> = []
          for (const { transitions } of [primary, backup]) {
            yield* Effect.forkScoped(
              Stream.runForEach(transitions, ({ cause }) => Effect.sync(() => causes.push(cause)))
            )
          }
          for (const [port, endpoint] of [["frontend", at.frontend!], ["state", at.stateEndpoint!]] as const) {
            assert.strictEqual(yield* intrusions(endpoint, credentials, publicKey, count), 0)
            // A client without a key may disconnect first, and so does the peer's probe.
            yield* credentials === "absent"
              ? eventually(Effect.sync(() => total(keys.primary, port) >= count))
              : untilRejected(keys.primary, port, credentials, count)
            const { unfinished, ...rejected } = keys.primary.rejectedConnections.counts()[port]
            const counted = credentials === "absent" ? rejected.absent : count
            assert.deepStrictEqual(rejected, { ...nothing, [credentials]: counted })
            assert.isAtMost(port === "frontend" ? counted + unfinished : counted, count)
          }
          const after = yield* primary.report
          assert.deepStrictEqual(primary.requests, [])
          assert.strictEqual(after.counters.votes + after.counters.accepted + after.counters.rejected, 0)
          assert.strictEqual(after.counters.malformed + (yield* backup.report).counters.malformed, 0)
          // Heartbeats, and stalls that so many intruders in the same process cause.
          assert.deepStrictEqual(causes.filter((cause) => !/^(Start|Stalled|Peer[A-Z][a-z]+)$/.test(cause)), [])
          // Clients with a key are still accepted.
          const { request } = yield* makeClient([at.frontend!], keys.clientOf(keys.client))
          assert.strictEqual(Frames.toString(yield* request("hello")), "hello")
        }),
      minutes * 60_000
    )
  }

  it.scopedLive("enforces the limits: a client with a key beyond the limit is accepted when another one disconnects", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { options } = yield* places
      const limits = { policy: "classic", maxConnections: 1, maxFrames: 8 } as const
      const { requests } = yield* start({ ...options("primary"), ...limits }, keys.primary)
      const { frontend } = options("primary")
      const client = makeClient([frontend!], keys.clientOf(keys.client))
      const life = yield* Scope.make()
      const first = yield* Scope.extend(client, life)
      assert.strictEqual(Frames.toString(yield* first.request("first")), "first")
      const tooMany = Array.from({ length: 9 }, () => Frames.delimiter)
      assert.strictEqual((yield* Effect.flip(first.request(tooMany))).reason, "Failed")
      const second = yield* client
      const reply = yield* Effect.fork(second.request("second"))
      yield* untilRejected(keys.primary, "frontend", "full", 2)
      // At least once: a request that is not answered soon is a vote.
      assert.deepStrictEqual([...new Set(requests)], ["first"])
      yield* Scope.close(life, Exit.void)
      assert.strictEqual(Frames.toString(yield* Fiber.join(reply)), "second")
      // Not because of its key, though it may try that of the other server after it is disconnected.
      assert.strictEqual(keys.primary.rejectedConnections.counts().frontend.unknown, 0)
    }))

  it.scopedLive(`lets in 0 of ${count} replays of a client with a key`, () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { options, primary } = yield* startPair(keys)
      const { frontend } = options("primary")
      const { endpoint, recorded } = yield* recorder(frontend!)
      yield* Effect.scoped(Effect.gen(function*() {
        const { request } = yield* makeClient([endpoint], keys.clientOf(keys.client))
        assert.strictEqual(Frames.toString(yield* request("once", { resend: false })), "once")
      }))
      const bytes = recorded()
      assert.isAbove(bytes.length, 64)
      const rejected = total(keys.primary, "frontend")
      yield* Effect.forEach(Array.from({ length: count }), () => replay(frontend!, bytes), { concurrency: 8 })
      yield* eventually(Effect.sync(() => total(keys.primary, "frontend") >= rejected + count))
      assert.deepStrictEqual(primary.requests, ["once"])
      assert.strictEqual((yield* primary.report).counters.accepted, 1)
    }), minutes * 60_000)

  it.scopedLive("receives heartbeats of its peer only: another publisher at the peer's endpoint changes nothing", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { options } = yield* places
      const publishers = [
        () => new zmq.Publisher({ linger: 0, sendTimeout: 0 }),
        () =>
          new zmq.Publisher({
            linger: 0,
            sendTimeout: 0,
            curveServer: true,
            curveSecretKey: zmq.curveKeyPair().secretKey
          })
      ]
      const backup = yield* start(options("backup"), keys.backup)
      for (const open of publishers) {
        yield* Effect.scoped(Effect.gen(function*() {
          const foreign = yield* Effect.acquireRelease(Effect.sync(open), (socket) => Effect.sync(() => socket.close()))
          let rejected = 0
          foreign.events.on("handshake", () => assert.fail("accepted without the peer's key"))
          foreign.events.on("handshake:error:protocol", () => {
            rejected++
          })
          // The one before may hold the port a little longer.
          yield* Effect.retry(
            Effect.tryPromise(() => foreign.bind(options("backup").peerEndpoint!)),
            Schedule.intersect(Schedule.spaced("5 millis"), Schedule.recurs(200))
          )
          yield* Effect.promise(() => foreign.send("2")).pipe(
            Effect.repeat({ until: () => rejected >= 3, schedule: Schedule.spaced("1 millis") })
          )
        }))
      }
      const { counters, transition } = yield* backup.report
      assert.strictEqual(counters.heartbeats + counters.malformed, 0)
      assert.strictEqual(transition.cause, "Start")
      // Its peer, once it starts, is accepted.
      const primary = yield* start(options("primary"), keys.primary)
      yield* untilState(primary, "ACTIVE")
      yield* untilState(backup, "PASSIVE")
    }))

  it.scopedLive("accepts rejected clients as soon as they are enrolled, and no new connections of revoked ones", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { servers } = yield* startPair(keys)
      const late = yield* CurveKey.generate
      const { request } = yield* makeClient(servers, keys.clientOf(late), { timeout: "1 minute" })
      const reply = yield* Effect.fork(request("hello"))
      yield* untilRejected(keys.primary, "frontend", "unknown", 2)
      yield* Ref.update(keys.accepted, (accepted) => [...accepted, late.publicKey])
      assert.strictEqual(Frames.toString(yield* Fiber.join(reply)), "hello")
      yield* Ref.set(keys.accepted, [keys.client.publicKey])
      // The connection that it has goes on.
      assert.strictEqual(Frames.toString(yield* request("still")), "still")
      const again = yield* makeClient(servers, keys.clientOf(late), { timeout: "300 millis" })
      assert.strictEqual((yield* Effect.flip(again.request("again"))).reason, "NoReply")
    }))

  it.scopedLive("accepts the Guide's client, too, when it is enrolled", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { servers } = yield* startPair(keys)
      yield* Ref.set(keys.accepted, [])
      const { request } = yield* LazyPirate.make({
        servers,
        timeout: "300 millis",
        reconnectDelay: "10 millis",
        retry: Schedule.forever
      }).pipe(Effect.provide([ZmqClientLink.layerCurve(keys.clientOf(keys.client)), quiet]))
      const reply = yield* Effect.fork(request("hello"))
      yield* untilRejected(keys.primary, "frontend", "unknown", 1)
      yield* Ref.set(keys.accepted, [keys.client.publicKey])
      assert.strictEqual(Frames.toString(yield* Fiber.join(reply)), "hello")
    }))

  it.scopedLive("may accept every client that has the server's public key, and no other", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { options } = yield* places
      const at = { ...options("primary"), vote: "self" } as const
      yield* start(at, { ...keys.primary, clients: "anyone" })
      const { request } = yield* makeClient([at.frontend!], keys.clientOf(yield* CurveKey.generate))
      assert.strictEqual(Frames.toString(yield* request("hello")), "hello")
      for (const credentials of ["wrong", "absent"] as const) {
        assert.strictEqual(yield* intrusions(at.frontend!, credentials, keys.own.primary.publicKey, 3), 0)
      }
      assert.strictEqual(yield* intrusions(at.stateEndpoint!, "unknown", keys.own.primary.publicKey, 3), 0)
    }))

  it.scopedLive("runs beside another one with other keys in the same process, and beside one without keys", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* makeKeys, yield* makeKeys]
      const scope = yield* Scope.make()
      const first = yield* Scope.extend(startPair(one), scope)
      const second = yield* startPair(two)
      const open = yield* places
      yield* start({ ...open.options("primary"), vote: "self" }, undefined)
      const plain = yield* BinaryStarClient.make({ servers: [open.servers[0]] }).pipe(
        Effect.provide([ZmqClientLink.layer, quiet])
      )
      assert.strictEqual(Frames.toString(yield* plain.request("open")), "open")
      const clientOf = (keys: Keys, servers: ReadonlyArray<string>) => makeClient(servers, keys.clientOf(keys.client))
      assert.strictEqual(yield* intrusions(first.servers[0], "unknown", one.own.primary.publicKey, 3), 0)
      assert.strictEqual(Frames.toString(yield* (yield* clientOf(one, first.servers)).request("a")), "a")
      assert.strictEqual(Frames.toString(yield* (yield* clientOf(two, second.servers)).request("b")), "b")
      // The ZAP handler runs as long as one of them does.
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(Frames.toString(yield* (yield* clientOf(two, second.servers)).request("c")), "c")
      assert.strictEqual(yield* intrusions(second.servers[0], "unknown", two.own.primary.publicKey, 3), 0)
    }))

  it.scopedLive("starts and stops the ZAP handler, again and again", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { options } = yield* places
      for (let life = 0; life < 5; life++) {
        yield* Effect.scoped(Effect.gen(function*() {
          yield* start({ ...options("primary"), vote: "self" }, keys.primary)
          const { request } = yield* makeClient([options("primary").frontend!], keys.clientOf(keys.client))
          assert.strictEqual(Frames.toString(yield* request("hello")), "hello")
        }))
      }
      const probe = new zmq.Router({ linger: 0 })
      yield* Effect.retry(Effect.tryPromise(() => probe.bind("inproc://zeromq.zap.01")), Schedule.spaced("1 millis"))
      probe.close()
    }))

  it.scopedLive("has a proxy whose workers need keys", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const worker = yield* CurveKey.generate
      const backend = yield* freshEndpoint("tcp")
      const security = { ...keys.primary, workers: Curve.keys([worker.publicKey]) }
      yield* Layer.build(Layer.provide(ZmqBackend.layerCurve({ backend, security }), quiet))
      for (const credentials of ["unknown", "wrong", "absent"] as const) {
        assert.strictEqual(yield* intrusions(backend, credentials, keys.own.primary.publicKey, 3), 0)
      }
      yield* eventually(Effect.sync(() => total(security, "backend") === 9))
    }))
})

describe("a server with keys does not start", () => {
  const startError = (change: (keys: Keys) => { readonly security: Curve.Server; readonly frontend?: string }) =>
    Effect.gen(function*() {
      const { frontend, security } = change(yield* makeKeys)
      const { options } = yield* places
      const all = { ...options("primary"), ...(frontend === undefined ? {} : { frontend }) }
      const { message } = yield* Effect.flip(Layer.build(Layer.provide(Zmq.layer({ ...all, security }), quiet)))
      // Nothing is left of it.
      yield* Effect.scoped(Layer.build(Layer.provide(Zmq.layer(options("primary")), quiet)))
      return message
    })

  it.scopedLive("where there are no files", () =>
    Effect.gen(function*() {
      const message = yield* startError(() => ({ security: Curve.server("/nonexistent", "primary") }))
      assert.include(
        message,
        "cannot read /nonexistent/primary.key_secret: there is no such file; bstar keygen makes one"
      )
    }))

  it.scopedLive("with an invalid key", () =>
    Effect.gen(function*() {
      const message = yield* startError(({ primary }) => ({
        security: { ...primary, clients: Curve.keys(["nonsense"]) }
      }))
      assert.include(message, "40 characters of Z85")
    }))

  it.scopedLive("on an endpoint without keys", () =>
    Effect.gen(function*() {
      const message = yield* startError(({ primary }) => ({ security: primary, frontend: "inproc://x" }))
      assert.include(message, "inproc://x: endpoints of inproc have no keys")
    }))

  it.scopedLive("while the process has another ZAP handler", () =>
    Effect.gen(function*() {
      const other = yield* Effect.acquireRelease(
        Effect.sync(() => new zmq.Reply({ linger: 0 })),
        (socket) => Effect.sync(() => socket.close())
      )
      yield* Effect.retry(Effect.tryPromise(() => other.bind("inproc://zeromq.zap.01")), Schedule.spaced("1 millis"))
      const message = yield* startError(({ primary }) => ({ security: primary }))
      assert.include(message, "cannot bind inproc://zeromq.zap.01: the address is already in use")
    }))
})

describe("a rejected connection", () => {
  it.scopedLive("is logged once a burst, with the address if it is known, and without the key", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const { options } = yield* places
      const at = { ...options("primary"), vote: "self" } as const
      const lines: Array<string> = []
      const three = yield* Deferred.make<void>()
      const logger = Logger.make<unknown, void>(({ message }) => {
        lines.push(String(message))
        if (lines.filter((line) => line.includes("rejected a connection")).length === 3) {
          Deferred.unsafeDone(three, Effect.void)
        }
      })
      yield* Layer.build(
        BinaryStar.layer(at, ({ body }) => body).pipe(
          Layer.provide(Zmq.layer({ ...at, security: keys.primary })),
          Layer.provide(Logger.replace(Logger.defaultLogger, logger))
        )
      )
      for (const credentials of ["unknown", "wrong", "absent"] as const) {
        assert.strictEqual(yield* intrusions(at.frontend!, credentials, keys.own.primary.publicKey, 10), 0)
      }
      yield* Deferred.await(three)
      const rejected = lines.filter((line) => line.includes("rejected a connection"))
      assert.deepStrictEqual(rejected, [
        `frontend ${at.frontend}: rejected a connection from 127.0.0.1: its key is none of those that are accepted`,
        `frontend ${at.frontend}: rejected a connection: it does not have the public key of this server, or not its own secret`,
        `frontend ${at.frontend}: rejected a connection: it has no key: start both with --keys, or neither`
      ])
      yield* eventually(Effect.sync(() => total(keys.primary, "frontend") === 30))
    }))
})

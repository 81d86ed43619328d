import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { once } from "node:events"
import type { RequestListener } from "node:http"
import { createServer } from "node:http"
import * as net from "node:net"
import * as StatusServer from "../../src/http/StatusServer.ts"
import { version } from "../../src/internal/Version.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Status from "../../src/status/Status.ts"
import {
  become,
  call,
  codeOf,
  eventsOf,
  get,
  makeGate,
  makePair,
  soon,
  startPair,
  statusOf,
  token
} from "../http/nodes.ts"
import { eventually } from "../support/sockets.ts"
import { now, statusOf as statusOfHealthy } from "./observations.ts"

interface Document {
  readonly paths: { readonly [path: string]: { readonly [method: string]: unknown } }
}

const textOf = (url: string) =>
  Effect.flatMap(call(url), (response) => Effect.promise(async () => [response.status, await response.text()] as const))

const questions = ["live", "ready", "active", "passive"] as const

/** The answers to health checks. */
const answers = (url: string) => Effect.forEach(questions, (question) => codeOf(`${url}/${question}`))

describe("the status server", () => {
  it.scopedLive("F10 turns: /openapi.json is rendered once", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair({ token })
      const rendered = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(JSON, "stringify")),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      const texts = yield* Effect.forEach([1, 2], () =>
        Effect.flatMap(call(`${primary.url}/openapi.json`), (response) => {
          assert.match(String(response.headers.get("content-type")), /^application\/json/)
          return Effect.promise(() =>
            response.text()
          )
        }))
      assert.strictEqual(texts[0], texts[1])
      assert.isTrue("paths" in JSON.parse(texts[0]!))
      assert.deepStrictEqual(
        rendered.mock.calls.filter(([value]) => typeof value === "object" && value !== null && "openapi" in value),
        []
      )
    }))

  it.scopedLive("/openapi.json: every route exists, for GET and HEAD", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair({ token })
      const { paths } = yield* get<Document>(`${primary.url}/openapi.json`)
      const routes = (method: string) => Object.keys(paths).filter((path) => method in paths[path]!).sort()
      assert.deepStrictEqual(routes("get"), [
        "/",
        "/active",
        "/events",
        "/history",
        "/live",
        "/metrics",
        "/openapi.json",
        "/pair",
        "/passive",
        "/ready",
        "/status"
      ])
      assert.deepStrictEqual(routes("post"), ["/pause", "/peer/{command}", "/promote", "/resume", "/switchover"])
      for (const path of routes("get")) {
        const ofGet = yield* call(primary.url + path)
        const ofHead = yield* call(primary.url + path, { method: "HEAD" })
        // A stall of a busy machine changes the state, and with it the answers to health checks.
        const expected = ["/active", "/passive", "/ready"].includes(path) ? [200, 503] : [200]
        assert.include(expected, ofGet.status, path)
        assert.include(expected, ofHead.status, path)
        assert.strictEqual(ofHead.headers.get("content-type"), ofGet.headers.get("content-type"), path)
        assert.strictEqual(ofHead.headers.get("cache-control"), "no-store")
        assert.strictEqual(yield* Effect.promise(() => ofHead.text()), "")
        yield* Effect.promise(async () => ofGet.body?.cancel())
      }
      assert.strictEqual(yield* codeOf(`${primary.url}/nothing`), 404)
      assert.strictEqual(yield* codeOf(`${primary.url}/history?limit=0`), 400)
    }))

  it.scopedLive("without a token: commands neither exist nor are described", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair()
      const { paths } = yield* get<Document>(`${primary.url}/openapi.json`)
      assert.deepStrictEqual(Object.values(paths).filter((methods) => "post" in methods), [])
      for (const command of ["switchover", "pause", "resume", "promote"]) {
        assert.strictEqual(yield* codeOf(`${primary.url}/${command}`, { method: "POST", body: "{}" }), 404)
      }
    }))

  it.scopedLive("/status and /pair: all fields of a server, and of its peer", () =>
    Effect.gen(function*() {
      const { members, primary, ...pair } = yield* startPair({ maxFailovers: 3, timeout: Infinity })
      assert.deepStrictEqual(yield* primary.request("x"), Option.some("x"))
      yield* eventually(Effect.map(members.primary.report, ({ peer }) => peer.state === "PASSIVE"))
      const status = yield* Effect.flatMap(get(`${primary.url}/status`), Schema.decodeUnknown(Status.NodeStatus))
      const { counters, latency, now, peer, since, uptimeMillis, ...rest } = status
      assert.deepInclude(rest, {
        role: "primary",
        state: "ACTIVE",
        answers: true,
        cause: "PeerBackup",
        message: "connected to backup (passive), ready as active",
        reason: null,
        policy: "hardened",
        takeoverBlock: null,
        versions: { bstar: version, node: process.versions.node },
        pid: process.pid,
        http: primary.url,
        peerHttp: pair.backup.url
      })
      assert.deepInclude(status.config, {
        heartbeatMillis: 1000,
        timeoutMillis: null,
        maxFailovers: 3,
        vote: "clients"
      })
      assert.deepInclude(peer, { state: "PASSIVE", isExpired: false })
      assert.isBelow(peer.ageMillis!, 20_000)
      assert.strictEqual(counters.accepted, 1)
      assert.strictEqual(latency.count, 1)
      assert.isAtMost(Date.parse(since), Date.parse(now))
      assert.isAtLeast(Date.parse(since), Date.parse(now) - uptimeMillis)
      assert.isBelow(Math.abs(Date.parse(now) - Date.now()), 20_000)

      const both = yield* Effect.flatMap(get(`${primary.url}/pair`), Schema.decodeUnknown(Status.PairStatus))
      assert.strictEqual(both.self.role, "primary")
      assert.strictEqual(both.peer?.status?.role, "backup")
      assert.isNull(both.peer?.error)

      yield* pair.backup.stop
      yield* eventually(Effect.map(
        get<Status.PairStatus>(`${primary.url}/pair`),
        ({ peer }) => peer?.status === null && /connection refused/.test(peer.error ?? "")
      ))
    }), 30_000)

  it.scopedLive("/pair: the error explains why there is no status of the peer", () =>
    Effect.gen(function*() {
      const pair = yield* makePair()
      const { port } = new URL(pair.backup.url)
      const answers: { readonly [path: string]: RequestListener } = {
        "not that of a status server": (_, response) => response.end("{}"),
        "HTTP 500": (_, response) => response.writeHead(500).end(),
        // An answer without an end.
        "too long for a status": (_, response) => {
          const write = () => {
            while (response.write("x".repeat(10_000))) {
              // As fast as it goes.
            }
          }
          response.on("drain", write)
          write()
        },
        "no answer within 1s": () => {}
      }
      const member = yield* pair.primary.start
      for (const [error, answer] of Object.entries(answers)) {
        yield* Effect.acquireUseRelease(
          Effect.promise(async () => {
            const server = createServer(answer).listen(Number(port), "127.0.0.1")
            await once(server, "listening")
            return server
          }),
          () =>
            soon(eventually(Effect.map(
              get<Status.PairStatus>(`${pair.primary.url}/pair`),
              ({ peer }) => peer?.status === null && peer.error!.includes(error)
            ))),
          (server) =>
            Effect.promise(() => {
              const closed = once(server, "close")
              server.close().closeAllConnections()
              return closed
            })
        )
      }
      assert.strictEqual((yield* member.report).transition.to, "PRIMARY")
    }), 60_000)

  it.scopedLive("health checks: follow a failover and a recovery", () =>
    Effect.gen(function*() {
      // Long, so that a machine that is busy with other tests makes no server stand still.
      const { backup, members, primary } = yield* startPair({ heartbeat: "1 second" })
      assert.deepStrictEqual(yield* answers(primary.url), [200, 200, 200, 503])
      assert.deepStrictEqual(yield* answers(backup.url), [200, 200, 503, 200])
      yield* primary.kill
      yield* Effect.fork(Effect.forever(Effect.delay(backup.vote, "10 millis")))
      yield* become(members.backup, "ACTIVE")
      assert.deepStrictEqual(yield* answers(backup.url), [200, 200, 200, 503])
      const restarted = yield* primary.start
      yield* become(restarted, "PASSIVE")
      assert.deepStrictEqual(yield* answers(primary.url), [200, 200, 503, 200])

      const history = yield* Effect.flatMap(
        get(`${backup.url}/history`),
        Schema.decodeUnknown(Schema.Array(Status.HistoryEntry))
      )
      assert.deepStrictEqual(history.map(({ cause, from, to }) => `${from} ${cause} ${to}`), [
        "PASSIVE ClientRequest ACTIVE",
        "BACKUP PeerActive PASSIVE",
        "null Start BACKUP"
      ])
      assert.include(history[0]!.explanation, "vote")
      assert.deepStrictEqual(history.map(({ term }) => term?.token ?? null), [2, ...history.slice(1).map(() => null)])
      assert.deepStrictEqual(yield* get(`${backup.url}/history?limit=1`), history.slice(0, 1))
    }), 30_000)

  it.scopedLive("drain: the status server serves until the member has stopped", () =>
    Effect.gen(function*() {
      const gate = yield* makeGate
      const { members, primary } = yield* startPair({ handler: gate.handler })
      const pending = yield* Effect.fork(primary.request("slow"))
      yield* gate.reached
      const listening = yield* Effect.fork(Stream.runDrain(eventsOf(primary.url)))
      const idle = net.connect(Number(new URL(primary.url).port), "127.0.0.1")
      yield* Effect.addFinalizer(() => Effect.sync(() => idle.destroy()))

      const stopping = yield* Effect.fork(primary.stop)
      yield* eventually(Effect.map(members.primary.report, ({ answers }) => !answers))
      assert.deepInclude(yield* statusOf(primary.url), { state: "ACTIVE", answers: false })
      assert.deepStrictEqual(yield* answers(primary.url), [200, 200, 503, 503])

      yield* gate.open
      yield* soon(Fiber.join(stopping))
      assert.deepStrictEqual(yield* soon(Fiber.join(pending)), Option.some("done"))
      yield* soon(Fiber.await(listening))
      assert.strictEqual((yield* members.primary.report).transition.cause, "Stopping")
      const after = yield* Effect.exit(Effect.tryPromise(() => fetch(`${primary.url}/live`)))
      assert.strictEqual(after._tag, "Failure")
    }), 30_000)

  it.scopedLive("address in use: the error names it, and the member is not started", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair()
      const address = primary.url.replace("http://", "")
      const error = yield* Effect.flip(Effect.scoped(Layer.build(StatusServer.around(
        Layer.effect(BinaryStar.BinaryStar, Effect.dieMessage("it was started")),
        { http: address }
      ))))
      assert.strictEqual(error.message, `cannot bind ${primary.url}: the address is already in use`)
    }))

  it.effect("invalid options: all issues are in one error", () =>
    Effect.gen(function*() {
      const member = Layer.effect(BinaryStar.BinaryStar, Effect.dieMessage("it was started"))
      const issuesOf = (options: StatusServer.Options) =>
        Effect.map(Effect.flip(Effect.scoped(Layer.build(StatusServer.around(member, options)))), (error) =>
          error._tag === "InvalidConfig" ? error.issues.map(({ field }) => field) : assert.fail(error.message))
      assert.deepStrictEqual(
        yield* issuesOf({ http: "nowhere", peerHttp: "ftp://x", token: Redacted.make("two words") }),
        ["http", "peerHttp", "token"]
      )
      for (const http of ["", "x:1:2", "127.0.0.1:65536", "http://127.0.0.1:1", "127.0.0.1:"]) {
        assert.deepStrictEqual(yield* issuesOf({ http }), ["http"])
      }
      assert.deepStrictEqual(yield* issuesOf({ http: "1", token: Redacted.make("") }), ["token"])
    }))

  it.scopedLive("app: the API can be mounted in another server", () =>
    Effect.gen(function*() {
      const pair = yield* makePair()
      const member = yield* pair.primary.start
      const app = yield* StatusServer.app({ http: "http://127.0.0.1:1/bstar" }).pipe(
        Effect.provideService(BinaryStar.BinaryStar, member)
      )
      const router = HttpRouter.mountApp(HttpRouter.empty, "/bstar", app)
      yield* Layer.build(Layer.provideMerge(
        HttpServer.serve(router),
        NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
      )).pipe(Effect.flatMap((context) =>
        Effect.provide(
          HttpServer.addressWith((address) =>
            Effect.gen(function*() {
              const url = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : ""}`
              assert.deepInclude(yield* statusOf(`${url}/bstar`), {
                role: "primary",
                http: "http://127.0.0.1:1/bstar"
              })
              assert.deepStrictEqual(yield* textOf(`${url}/bstar/live`), [200, "yes"])
            })
          ),
          context
        )
      ))
    }))
})

describe("a quantile", () => {
  const bounds = [10, 20]

  it("quantile: linear within its bucket", () => {
    const distribution = { bounds, counts: [2, 2, 0], sums: [10, 30, 0] }
    assert.deepStrictEqual([0, 0.25, 0.5, 0.75, 1].map((part) => Status.quantile(distribution, part)), [
      0,
      5,
      10,
      15,
      20
    ])
  })

  it("quantile: the mean of the last bucket", () => {
    assert.strictEqual(Status.quantile({ bounds, counts: [1, 0, 2], sums: [5, 0, 100] }, 0.99), 50)
  })

  it("quantile: undefined without values", () => {
    assert.isUndefined(Status.quantile({ bounds, counts: [0, 0, 0], sums: [0, 0, 0] }, 0.5))
  })
})

describe("a status of an earlier version", () => {
  it("is read: fields that were added since are optional", () => {
    const status = statusOfHealthy("primary")
    for (const field of ["term", "witness", "suspension", "hosts"]) {
      assert.notProperty(status, field)
    }
    assert.deepStrictEqual(Schema.decodeUnknownSync(Status.NodeStatus)(JSON.parse(JSON.stringify(status))), status)
    const entry = {
      at: now,
      from: null,
      to: "PRIMARY",
      cause: "Start",
      message: "",
      explanation: null,
      reason: null
    } as const
    assert.deepStrictEqual(Schema.decodeUnknownSync(Status.HistoryEntry)(entry), entry)
  })
})

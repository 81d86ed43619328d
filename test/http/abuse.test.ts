import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as net from "node:net"
import { hostname } from "node:os"
import * as OperatorClient from "../../src/http/OperatorClient.ts"
import * as Peer from "../../src/http/peer.ts"
import type * as BinaryStar from "../../src/member/BinaryStar.ts"
import { eventually, unhandledRejections } from "../support/sockets.ts"
import { call, codeOf, post, soon, startPair, statusOf, token } from "./nodes.ts"

const portOf = (url: string) => Number(new URL(url).port)

/** Ignores errors. */
const happens = (socket: net.Socket, event: string): Promise<void> =>
  new Promise((resolve) => socket.once(event, () => resolve()))

/** A connection that is destroyed with the scope. Its errors are ignored. */
const connect = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = net.connect(portOf(url), "127.0.0.1")
      socket.on("error", () => {})
      await Promise.race([happens(socket, "connect"), happens(socket, "close")])
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Sends bytes and gives what is answered until the other side closes. */
const exchange = (url: string, ...texts: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const socket = yield* connect(url)
    let answer = ""
    socket.setEncoding("latin1").on("data", (text: string) => {
      answer += text
    })
    texts.forEach((text) => socket.write(text))
    yield* soon(Effect.promise(() => socket.closed ? Promise.resolve() : happens(socket, "close")))
    return answer
  }).pipe(Effect.scoped)

/** The server answers, and its peer receives its heartbeats. */
const isWell = (url: string, peer: BinaryStar.BinaryStar["Type"]) =>
  Effect.gen(function*() {
    assert.deepInclude(yield* soon(statusOf(url)), { state: "ACTIVE", answers: true })
    const { counters, transition } = yield* peer.report
    assert.strictEqual(transition.to, "PASSIVE")
    yield* soon(eventually(Effect.map(peer.counters, ({ heartbeats }) => heartbeats >= counters.heartbeats + 2)))
  })

const settings = { token, heartbeat: "1 second" } as const

describe("StatusServer: withstands", () => {
  it.scopedLive("malformed requests", () =>
    Effect.gen(function*() {
      const rejections = yield* unhandledRejections
      const { members, primary } = yield* startPair(settings)
      const get = "GET /status HTTP/1.1\r\nhost: localhost\r\n"
      for (
        const [code, ...texts] of [
          [400, "BLAH\r\n\r\n"],
          [400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
          [400, "GET /status HTTP/1.1\r\n\r\n"],
          [400, `${get}content-length: -1\r\n\r\n`],
          [400, `${get}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`],
          [431, `${get}x: ${"y".repeat(20_000)}\r\n\r\n`],
          [404, "GET /%ZZ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"],
          [404, "GET http://elsewhere/nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"],
          [404, "GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"],
          [404, "DELETE /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"],
          [200, `${get}upgrade: websocket\r\nconnection: upgrade, close\r\n\r\n`]
        ] as const
      ) {
        const answer = yield* exchange(primary.url, ...texts)
        assert.match(answer, new RegExp(`^HTTP/1.1 ${code} `), texts[0])
        assert.notMatch(answer, /node_modules|\bat .*:\d+:\d+/)
      }
      assert.strictEqual(yield* exchange(primary.url, "CONNECT x:1 HTTP/1.1\r\nhost: localhost\r\n\r\n"), "")
      yield* isWell(primary.url, members.backup)
      assert.deepStrictEqual(rejections, [])
    }), 60_000)

  it.scopedLive("bodies of 10 MB", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      const body = Buffer.alloc(10_000_000, "x")
      const chunked = () => new Blob([body]).stream()
      const headers = { authorization: `Bearer ${token}` }
      const command = { method: "POST", headers } as const
      assert.strictEqual((yield* post(`${primary.url}/pause`, String(body))).status, 413)
      assert.strictEqual(
        yield* codeOf(`${primary.url}/pause`, { ...command, body: chunked(), duplex: "half" } as RequestInit),
        413
      )
      assert.strictEqual((yield* post(`${primary.url}/pause`, String(body), null)).status, 401)
      assert.strictEqual(yield* codeOf(`${primary.url}/status`, { method: "PUT", body }), 404)
      yield* isWell(primary.url, members.backup)
      assert.isNull((yield* statusOf(primary.url)).takeoverBlock)
    }), 60_000)

  it.scopedLive("a port scan, and connections that are reset", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      for (let i = 0; i < 200; i++) {
        const socket = yield* connect(primary.url)
        socket.write(
          [
            "",
            "GET ",
            "GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nupgrade: x\r\n\r\n"
          ][i % 4]!
        )
        socket.resetAndDestroy()
      }
      yield* isWell(primary.url, members.backup)
    }), 60_000)

  it.scopedLive("1,000 connections that are idle or incomplete", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      for (let i = 0; i < 1000; i++) {
        const socket = yield* connect(primary.url)
        socket.write(
          ["", "GET / HTTP/1.1\r\n", "POST /pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n"][i % 3]!
        )
      }
      yield* isWell(primary.url, members.backup)
      assert.strictEqual((yield* soon(call(`${primary.url}/live`))).status, 200)
    }), 60_000)

  it.scopedLive("F10 requests: 2,000 that are pipelined on one connection", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      const answer = yield* exchange(primary.url, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2000))
      assert.isBelow(answer.match(/HTTP\/1\.1 200 /g)?.length ?? 0, 20)
      yield* isWell(primary.url, members.backup)
    }), 60_000)

  it.scopedLive("F10 requests: a few that are pipelined are answered in their order", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair(settings)
      const requests = ["/live", "/passive", "/active"].map((path, i) =>
        `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${i === 2 ? "connection: close\r\n" : ""}\r\n`
      )
      const answer = yield* exchange(primary.url, requests.join(""))
      assert.deepStrictEqual(answer.match(/HTTP\/1\.1 [0-9]+/g), ["HTTP/1.1 200", "HTTP/1.1 503", "HTTP/1.1 200"])
    }), 60_000)

  it.scopedLive("F10 output: clients that request pages and do not read", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      const sockets = yield* Effect.forEach(Array.from({ length: 20 }), () => connect(primary.url))
      const get = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
      const closed = sockets.map((socket) => {
        socket.pause()
        // One at a time, for as long as the server takes them.
        const timer = setInterval(() => socket.write(get), 5)
        return happens(socket, "close").then(() => clearInterval(timer))
      })
      yield* isWell(primary.url, members.backup)
      assert.strictEqual(yield* soon(codeOf(`${primary.url}/active`)), 200)
      sockets.forEach((socket) => socket.destroy())
      yield* Effect.promise(() => Promise.all(closed))
    }), 60_000)

  it.scopedLive(
    "F10 health checks: all connections are taken by listeners and incomplete bodies",
    () =>
      Effect.gen(function*() {
        const { members, primary } = yield* startPair(settings)
        const head =
          `POST /pause HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-length: 5\r\n\r\n`
        for (let i = 0; i < 1000; i++) {
          ;(yield* connect(primary.url)).write(i < 150 ? "GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n" : head)
        }
        const answer = yield* exchange(primary.url, "GET /active HTTP/1.0\r\n\r\n")
        assert.match(answer, /^HTTP\/1\.1 200 /)
        yield* soon(eventually(Effect.map(members.backup.counters, ({ heartbeats }) => heartbeats >= 2)))
      }),
    60_000
  )

  it.scopedLive("F11 Host: a foreign name is rejected, but for health checks", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair(settings)
      const codeWith = (path: string, host: string) =>
        Effect.map(
          exchange(primary.url, `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`),
          (answer) => Number(answer.slice(9, 12))
        )
      for (
        const host of [
          "evil.example",
          "evil.example:80",
          "localhost.evil.example",
          "127.0.0.1.evil.example",
          "",
          "[::1"
        ]
      ) {
        for (const path of ["/", "/status", "/events", "/metrics", "/live/../status"]) {
          assert.strictEqual(yield* codeWith(path, host), 421, `${path} of ${host}`)
        }
        assert.strictEqual(yield* codeWith("/live", host), 200, host)
      }
      for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:5011", "[::1]:5011", "10.1.2.3", hostname()]) {
        assert.strictEqual(yield* codeWith("/status", host), 200, host)
      }
      for (const host of ["app.localhost", "a.b.LOCALHOST.:80"]) {
        assert.strictEqual(yield* codeWith("/status", host), 200, host)
      }
      for (const host of ["notlocalhost", ".localhost", "localhost.example"]) {
        assert.strictEqual(yield* codeWith("/status", host), 421, host)
      }
    }), 60_000)

  it.scopedLive(
    "F11 Host: the error is JSON that names the host and the remedy, and clients report it",
    () =>
      Effect.gen(function*() {
        const { primary } = yield* startPair(settings)
        const answer = yield* exchange(primary.url, "GET /status HTTP/1.1\r\nhost: evil.example\r\n\r\n")
        assert.match(answer, /^HTTP\/1\.1 421 [^]*content-type: application\/json\r\n/)
        const { error } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))
        assert.match(error, /^"evil\.example" is not a name of this server: .*--http-host/)
        assert.match(
          yield* exchange(primary.url, "GET /status HTTP/1.0\r\n\r\n"),
          /^HTTP\/1\.1 421 [^]*"error":"the request names no host/
        )

        // A client that connects to this machine under a name that the server does not know.
        const named = Effect.map(HttpClient.HttpClient, (client) =>
          HttpClient.mapRequest(client, (request) =>
            HttpClientRequest.setHeader(request, "host", "evil.example")))
        const ofOperator = yield* Effect.flip(
          (yield* Effect.provideServiceEffect(
            OperatorClient.make({ address: primary.url }),
            HttpClient.HttpClient,
            named
          )).pair
        )
        assert.strictEqual(ofOperator.reason, "Unexpected")
        assert.include(ofOperator.message, error)
        const commands = yield* Effect.flip(
          (yield* Effect.provideServiceEffect(
            OperatorClient.make({ address: primary.url, token: Redacted.make(token) }),
            HttpClient.HttpClient,
            named
          )).commands
        )
        assert.include(commands.message, error)
        const peer = yield* Effect.provideServiceEffect(
          Peer.make(primary.url, Redacted.make(token)),
          HttpClient.HttpClient,
          named
        )
        assert.include((yield* Effect.flip(peer.status)).message, error)
        assert.include((yield* Effect.flip(peer.promote!("reason"))).message, error)
      }).pipe(Effect.provide(NodeHttpClient.layer)),
    60_000
  )

  it.scopedLive("F11 Host: a request with several Host headers is rejected", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair(settings)
      for (
        const hosts of [["localhost", "evil.example"], ["evil.example", "localhost"], ["localhost", "localhost"]]
      ) {
        for (const path of ["/status", "/active"]) {
          const lines = hosts.map((host, index) => `${["host", "Host"][index]}: ${host}\r\n`).join("")
          const answer = yield* exchange(primary.url, `GET ${path} HTTP/1.1\r\n${lines}connection: close\r\n\r\n`)
          assert.match(answer, /^HTTP\/1\.1 400 [^]*"error":"a request has one Host header/, `${path} of ${hosts}`)
        }
      }
    }), 60_000)

  it.scopedLive("F11 Authorization: a scheme that is not Bearer", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair(settings)
      for (
        const header of [`XXXXXX ${token}`, `Bearer:${token}`, `Bearer ${token} x`, `Bearer  ${token} ${token}`, token]
      ) {
        assert.strictEqual((yield* post(`${primary.url}/resume`, "", header)).status, 401, header)
      }
      for (const header of [`Bearer ${token}`, `bearer ${token}`]) {
        assert.strictEqual((yield* post(`${primary.url}/resume`, "", header)).status, 200, header)
      }
    }), 60_000)
})

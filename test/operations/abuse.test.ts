import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import type * as BinaryStar from "../../src/BinaryStar.ts"
import { eventually, unhandledRejections } from "../suites/support.ts"
import { call, codeOf, post, soon, startPair, statusOf, token } from "./nodes.ts"

const portOf = (url: string) => Number(new URL(url).port)

/** Errors are no news here. */
const happens = (socket: net.Socket, event: string): Promise<void> =>
  new Promise((resolve) => socket.once(event, () => resolve()))

/** A connection that is destroyed with the scope. What becomes of it is its own affair. */
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
const say = (url: string, ...texts: ReadonlyArray<string>) =>
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

/** The server still answers, and its peer goes on hearing it. */
const isWell = (url: string, peer: BinaryStar.BinaryStar["Type"]) =>
  Effect.gen(function*() {
    assert.deepInclude(yield* soon(statusOf(url)), { state: "ACTIVE", answers: true })
    const { counters, transition } = yield* peer.report
    assert.strictEqual(transition.to, "PASSIVE")
    yield* soon(eventually(Effect.map(peer.counters, ({ heard }) => heard >= counters.heard + 2)))
  })

const settings = { token, heartbeat: "1 second" } as const

describe("the status server is not impressed by", () => {
  it.scopedLive("requests that are none", () =>
    Effect.gen(function*() {
      const rejections = yield* unhandledRejections
      const { members, primary } = yield* startPair(settings)
      const get = "GET /status HTTP/1.1\r\nhost: x\r\n"
      for (
        const [code, ...texts] of [
          [400, "BLAH\r\n\r\n"],
          [400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
          [400, "GET /status HTTP/1.1\r\n\r\n"],
          [400, `${get}content-length: -1\r\n\r\n`],
          [400, `${get}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`],
          [431, `${get}x: ${"y".repeat(20_000)}\r\n\r\n`],
          [404, "GET /%ZZ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
          [404, "GET http://elsewhere/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
          [404, "GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
          [404, "DELETE /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
          [200, `${get}upgrade: websocket\r\nconnection: upgrade, close\r\n\r\n`]
        ] as const
      ) {
        const answer = yield* say(primary.url, ...texts)
        assert.match(answer, new RegExp(`^HTTP/1.1 ${code} `), texts[0])
        assert.notMatch(answer, /node_modules|\bat .*:\d+:\d+/)
      }
      assert.strictEqual(yield* say(primary.url, "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n"), "")
      yield* isWell(primary.url, members.backup)
      assert.deepStrictEqual(rejections, [])
    }), 60_000)

  it.scopedLive("bodies of 10 MB", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      const body = Buffer.alloc(10_000_000, "x")
      const chunked = () => new Blob([body]).stream()
      const headers = { authorization: `Bearer ${token}` }
      const order = { method: "POST", headers } as const
      assert.strictEqual((yield* post(`${primary.url}/pause`, String(body))).status, 413)
      assert.strictEqual(
        yield* codeOf(`${primary.url}/pause`, { ...order, body: chunked(), duplex: "half" } as RequestInit),
        413
      )
      assert.strictEqual((yield* post(`${primary.url}/pause`, String(body), null)).status, 401)
      assert.strictEqual(yield* codeOf(`${primary.url}/status`, { method: "PUT", body }), 404)
      yield* isWell(primary.url, members.backup)
      assert.isNull((yield* statusOf(primary.url)).hold)
    }), 60_000)

  it.scopedLive("a port scan, and connections that are reset", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      for (let i = 0; i < 200; i++) {
        const socket = yield* connect(primary.url)
        socket.write(
          ["", "GET ", "GET /events HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.1\r\nupgrade: x\r\n\r\n"][i % 4]!
        )
        socket.resetAndDestroy()
      }
      yield* isWell(primary.url, members.backup)
    }), 60_000)

  it.scopedLive("1,000 connections that are idle, or do not go on", () =>
    Effect.gen(function*() {
      const { members, primary } = yield* startPair(settings)
      for (let i = 0; i < 1000; i++) {
        const socket = yield* connect(primary.url)
        socket.write(["", "GET / HTTP/1.1\r\n", "POST /pause HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"][i % 3]!)
      }
      yield* isWell(primary.url, members.backup)
      assert.strictEqual((yield* soon(call(`${primary.url}/live`))).status, 200)
    }), 60_000)
})

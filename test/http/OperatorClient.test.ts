import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { once } from "node:events"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as OperatorClient from "../../src/http/OperatorClient.ts"

describe("OperatorClient.urlOf", () => {
  it("a URL, host and port, or a port of this machine", () => {
    for (
      const [given, expected] of [
        ["5011", "http://127.0.0.1:5011"],
        [":5011", "http://127.0.0.1:5011"],
        ["node-a:5011", "http://node-a:5011"],
        ["[::1]:5011", "http://[::1]:5011"],
        ["http://10.0.0.1:5011/", "http://10.0.0.1:5011"],
        ["https://ops.example/pair/a", "https://ops.example/pair/a"]
      ] as const
    ) {
      assert.strictEqual(OperatorClient.urlOf(given), expected)
    }
  })

  it("nothing else", () => {
    for (
      const given of [
        "",
        "node-a",
        "node-a:",
        "node-a:99999",
        "tcp://127.0.0.1:5001",
        "http://",
        "http://user:secret@node-a:5011",
        "http://node-a:5011/?x",
        "node a:5011",
        "a/b:5011"
      ]
    ) {
      assert.strictEqual(OperatorClient.urlOf(given), undefined, given)
    }
  })
})

interface Received {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly authorization: string | undefined
  readonly body: string
}

/** A server with one answer to every request, and the requests that it received. */
const serverOf = (code: number, body: unknown, headers: http.OutgoingHttpHeaders = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const received: Array<Received> = []
      const server = http.createServer(async (request, response) => {
        const chunks = await request.toArray()
        received.push({
          method: request.method,
          url: request.url,
          authorization: request.headers.authorization,
          body: Buffer.concat(chunks).toString()
        })
        response.writeHead(code, headers).end(typeof body === "string" ? body : JSON.stringify(body))
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      return { received, server, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    }),
    ({ server }) =>
      Effect.promise(async () => {
        server.closeAllConnections()
        await once(server.close(), "close")
      })
  )

const token = Redacted.make("secret")

const clientOf = (address: string, token?: Redacted.Redacted<string>) =>
  OperatorClient.make({ address, token }).pipe(Effect.provide(FetchHttpClient.layer))

describe("OperatorClient", () => {
  it.scopedLive("commands: sends the reason and the token", () =>
    Effect.gen(function*() {
      const { address, received } = yield* serverOf(200, { message: "paused" })
      const client = yield* clientOf(address, token)
      assert.deepStrictEqual(yield* client.pause("new disk"), { message: "paused" })
      assert.deepStrictEqual(received, [
        { method: "POST", url: "/pause", authorization: "Bearer secret", body: `{"reason":"new disk"}` }
      ])
    }))

  const failures: ReadonlyArray<
    readonly [number, unknown, Redacted.Redacted<string> | undefined, OperatorClient.OperatorReason, RegExp]
  > = [
    [401, "", undefined, "Unauthorized", /--token-file/],
    [401, "", token, "Unauthorized", /not that of this server/],
    [404, "", token, "NoCommands", /started without a token/],
    [409, { error: "not promoted: the peer is alive" }, token, "Conflict", /^\S+: not promoted: the peer is alive$/],
    [504, { error: "still waiting for the peer" }, token, "Unfinished", /^\S+: still waiting for the peer$/],
    [500, "<html>", token, "Unexpected", /HTTP 500/],
    [200, "<html>", token, "Unexpected", /not that of a status server/]
  ]
  for (const [code, body, token, reason, message] of failures) {
    it.scopedLive(`failed command: ${code}${token === undefined ? " without a token" : ""}`, () =>
      Effect.gen(function*() {
        const { address } = yield* serverOf(code, body)
        const error = yield* Effect.flip((yield* clientOf(address, token)).promote("why not"))
        assert.strictEqual(error.reason, reason)
        assert.match(error.message, message)
        assert.notInclude(error.message, "secret")
      }))
  }

  it.scopedLive("commands: finds out without a command whether they are accepted", () =>
    Effect.gen(function*() {
      const paths = { "/status": {} }
      for (
        const [code, body, token_, expected] of [
          [200, { paths }, undefined, "Off"],
          [200, { paths: { ...paths, "/pause": {} } }, undefined, "On"],
          [404, "", token, "Off"],
          [401, "", token, "Denied"],
          [400, "", token, "On"]
        ] as const
      ) {
        const { address, received } = yield* serverOf(code, body)
        assert.strictEqual(yield* (yield* clientOf(address, token_)).commands, expected)
        assert.deepStrictEqual(received.map(({ body, method }) => [method, body]), [
          token_ === undefined ? ["GET", ""] : ["POST", "{"]
        ])
      }
    }))

  it.scopedLive("unreachable server, foreign server: the error names the reason", () =>
    Effect.gen(function*() {
      const { address } = yield* Effect.scoped(serverOf(200, ""))
      const closed = yield* Effect.flip((yield* clientOf(address)).pair)
      assert.strictEqual(closed.reason, "Unreachable")
      assert.match(closed.message, /connection refused/)

      const nowhere = yield* Effect.flip((yield* clientOf("http://no-such-host.invalid:1234")).pair)
      assert.strictEqual(nowhere.reason, "Unreachable")

      assert.match(
        (yield* Effect.flip((yield* clientOf(":6000")).pair)).message,
        /browsers and fetch block this port/
      )

      const other = yield* serverOf(404, "Not Found")
      const stranger = yield* Effect.flip((yield* clientOf(other.address)).pair)
      assert.strictEqual(stranger.reason, "Unexpected")
      assert.match(stranger.message, /no status server of bstar answers there \(HTTP 404\)/)
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bstar, freeEndpoints, serverArgs, startLine } from "../support/processes.ts"

describe("bstar client without a server", () => {
  it.scopedLive("says at once that the connection is refused, and where, and with --count ends with an error", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const servers = [at.primary.frontend, at.backup.frontend]
      const client = yield* bstar([
        ...["client", "--count", "1", "--timeout", "3 seconds"],
        ...servers.flatMap((server) => ["--server", server])
      ])
      const line = yield* client.waitForLine(/refused/)
      assert.strictEqual(
        line,
        `W: connection refused: no server listens at ${servers.join(" or ")}; trying for 3s; ` +
          "start one with bstar -p, or name others with --server"
      )
      assert.deepStrictEqual(yield* client.exit, { code: 1, signal: null })
      assert.match(
        client.stderr(),
        /^E: no reply from tcp:\/\/127.0.0.1:\d+ or tcp:\/\/127.0.0.1:\d+ after 0 attempts\n$/
      )
      assert.lengthOf(client.lines.filter((line) => line.startsWith("W: ")), 1)
    }))

  it.scopedLive("without --count waits for one that starts", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const client = yield* bstar(["client", "--server", at.primary.frontend, "--interval", "20ms"])
      yield* client.waitForLine(/^W: connection refused: .*; waiting for one; /)
      const server = yield* bstar(serverArgs("primary", at, "100 millis"))
      yield* server.waitForLine(startLine.primary)
      const peer = yield* bstar(serverArgs("backup", at, "100 millis"))
      yield* peer.waitForLine(startLine.backup)
      yield* client.waitForLine("I: server replied OK (2)")
    }))

  it.scopedLive("with --legacy and --count tries both servers in turn, four times in all, and ends with an error", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const servers = [at.primary.frontend, at.backup.frontend]
      const client = yield* bstar([
        ...["client", "--legacy", "--count", "1", "--timeout", "500 millis", "--reconnect-delay", "10 millis"],
        ...servers.flatMap((server) => ["--server", server])
      ])
      yield* client.waitForLine(/^W: connection refused: .*; trying 4 times; /)
      assert.deepStrictEqual(yield* client.exit, { code: 1, signal: null })
      assert.strictEqual(client.stderr(), `E: no reply from ${servers.join(" or ")} after 4 attempts\n`)
      assert.deepStrictEqual(
        client.lines.filter((line) => line.startsWith("I: connecting")).slice(0, 4),
        [...servers, ...servers].map((server) => `I: connecting to server at ${server}...`)
      )
    }))
})

describe("bstar client --legacy --count", () => {
  it.scopedLive("ends after so many replies, also when the first server it tries is down", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const server = yield* bstar(serverArgs("primary", at, "100 millis"))
      yield* server.waitForLine(startLine.primary)
      const client = yield* bstar([
        ...["client", "--legacy", "--count", "3", "--interval", "10 millis", "--reconnect-delay", "10 millis"],
        ...["--server", at.backup.frontend, "--server", at.primary.frontend]
      ])
      assert.deepStrictEqual(yield* client.exit, { code: 0, signal: null })
      assert.strictEqual(client.lines.at(-1), "I: server replied OK (3)")
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import type { Endpoints } from "../support/processes.ts"
import { bstar, dealer, serverArgs, startLine } from "../support/processes.ts"
import { eventTimeout } from "../support/times.ts"
import { temporaryFolder } from "./readme.ts"

const paths = (folder: string): Endpoints => {
  const at = (name: string) => `ipc://${path.join(folder, name)}`
  return {
    primary: { frontend: at("primary"), state: at("primary-state") },
    backup: { frontend: at("backup"), state: at("backup-state") }
  }
}

/** A primary, its endpoints, and their files. */
const primary = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const at = paths(folder)
  const start = bstar(serverArgs("primary", at, "100 millis"))
  const server = yield* start
  yield* server.waitForLine(startLine.primary)
  return { at, server, start, frontend: path.join(folder, "primary"), state: path.join(folder, "primary-state") }
})

/** Sends requests until a lone primary answers one: they are votes. */
const answered = (endpoint: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { replies, request } = yield* dealer(endpoint)
    yield* Effect.repeat(Effect.zipRight(request("", "ping"), Effect.sleep("50 millis")), {
      until: () => replies.entries.length > 0
    }).pipe(Effect.timeout(eventTimeout))
  }))

describe.skipIf(process.platform === "win32")("F17 ipc endpoints", () => {
  it.scopedLive("F17 a path in use: the second server ends, and the first one keeps answering", () =>
    Effect.gen(function*() {
      const { at, frontend, server, start } = yield* primary
      yield* answered(at.primary.frontend)
      const second = yield* start
      assert.strictEqual((yield* second.exit).code, 1)
      assert.match(second.stdout() + second.stderr(), /cannot bind ipc:\S+: the address is already in use/)
      assert.isTrue(fs.existsSync(frontend))
      yield* answered(at.primary.frontend)
      yield* server.kill("SIGTERM")
      assert.strictEqual((yield* server.exit).code, 0)
    }))

  it.scopedLive("F17 stale files of a killed server: the next server binds their paths", () =>
    Effect.gen(function*() {
      const { at, server, start } = yield* primary
      yield* server.kill("SIGKILL")
      yield* server.exit
      const second = yield* start
      yield* second.waitForLine(startLine.primary)
      yield* answered(at.primary.frontend)
    }))

  it.scopedLive("F17 a file that is not a socket: it is kept, and the server ends", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const precious = path.join(folder, "primary")
      fs.writeFileSync(precious, "precious")
      const server = yield* bstar(serverArgs("primary", paths(folder), "100 millis"))
      assert.strictEqual((yield* server.exit).code, 1)
      assert.strictEqual(fs.readFileSync(precious, "utf8"), "precious")
    }))

  it.scopedLive("F17 removed files: the server binds again, with a log line that names the path", () =>
    Effect.gen(function*() {
      const { at, frontend, server, state } = yield* primary
      yield* answered(at.primary.frontend)
      fs.rmSync(frontend)
      fs.rmSync(state)
      yield* server.waitForLine(`E: ipc://${frontend}: the file was removed or replaced; bound again`)
      yield* server.waitForLine(`E: ipc://${state}: the file was removed or replaced; bound again`)
      yield* answered(at.primary.frontend)
    }))

  it.scopedLive(
    "F17 a path taken by another process: an error, its file is kept, and the server binds again when it has ended",
    () =>
      Effect.gen(function*() {
        const { at, frontend, server } = yield* primary
        fs.rmSync(frontend)
        const other = net.createServer((socket) => socket.destroy())
        yield* Effect.promise(() => new Promise<void>((resolve) => other.listen(frontend, resolve)))
        yield* server.waitForLine(
          `E: ipc://${frontend}: another process has taken the path and answers there: stop it, or choose another path`
        )
        assert.isTrue(fs.existsSync(frontend))
        yield* Effect.promise(() => new Promise((resolve) => other.close(resolve)))
        yield* server.waitForLine(`E: ipc://${frontend}: the file was removed or replaced; bound again`)
        yield* answered(at.primary.frontend)
      })
  )

  it.scopedLive("F17 a stop does not remove the file of another process", () =>
    Effect.gen(function*() {
      const { frontend, server } = yield* primary
      fs.rmSync(frontend)
      const other = net.createServer((socket) => socket.destroy())
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => other.listen(frontend, resolve))),
        () => Effect.promise(() => new Promise((resolve) => other.close(resolve)))
      )
      yield* server.kill("SIGTERM")
      assert.strictEqual((yield* server.exit).code, 0)
      assert.isTrue(fs.existsSync(frontend))
    }))
})

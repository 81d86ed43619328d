import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as path from "node:path"
import * as zmq from "zeromq"
import { child, makeLog, startRun } from "../support/commands.ts"
import { assertLinesInOrder } from "../support/pair.ts"
import type { Endpoints, Process } from "../support/processes.ts"
import { bstar, foreignPeer, freeEndpoints, root, run, serverArgs, socket, startLine } from "../support/processes.ts"
import { safeHeartbeatMillis } from "../support/times.ts"

const endsCleanly = (process: Process, signal: NodeJS.Signals) =>
  Effect.gen(function*() {
    yield* process.kill(signal)
    const exit = yield* process.exit
    assert.deepStrictEqual([exit, process.stderr()], [{ code: 0, signal: null }, ""])
  })

const request = Buffer.alloc(1024, "x")

/** Keeps 500 requests in flight. `busy` waits for 2000 replies. */
const busyClient = (frontend: string) =>
  Effect.gen(function*() {
    const client = yield* socket(() => new zmq.Dealer({ linger: 0 }))
    client.connect(frontend)
    let answered = 0
    const busy = new Promise<void>((resolve, reject) => {
      const run = async () => {
        for (let i = 0; i < 500; i++) {
          await client.send(request)
        }
        while (!client.closed) {
          await client.receive()
          await client.send(request)
          if (++answered === 2000) {
            resolve()
          }
        }
      }
      run().catch((error: unknown) => client.closed ? resolve() : reject(error))
    })
    return { busy: Effect.promise(() => busy), answered: () => answered }
  })

/** Sends requests as fast as it can and reads no reply. */
const floodingClient = (frontend: string) =>
  Effect.gen(function*() {
    const client = yield* socket(() => new zmq.Dealer({ linger: 0 }))
    client.connect(frontend)
    const run = async () => {
      while (!client.closed) {
        await client.send(request)
      }
    }
    run().catch((error: unknown) => assert.isTrue(client.closed, String(error)))
  })

const underLoad = (frontend: string) =>
  Effect.gen(function*() {
    yield* floodingClient(frontend)
    yield* floodingClient(frontend)
    return yield* Effect.all(Array.from({ length: 4 }, () => busyClient(frontend)))
  })

/** An active server with hooks. The hook on-stop logs its start and its end. */
const activeServer = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const peer = yield* foreignPeer("backup", at)
  const server = yield* bstar([
    ...serverArgs("primary", at, `${safeHeartbeatMillis} millis`),
    ...["--policy", "hardened", "--on-active", "echo active", "--on-stop", "echo begun; sleep 0.5; echo done"]
  ])
  yield* peer.subscribed
  yield* peer.publishUntil("2", peer.receive("3"))
  // The hook is called after ACTIVE is published.
  yield* server.waitForLine("I: on-active: active")
  return { peer, server }
})

const begun = "I: on-stop: begun"

/** The server stops cleanly: its hook is complete, its final heartbeat is published, and its exit code is 0. */
const stopsCleanly = ({ peer, server }: Effect.Effect.Success<typeof activeServer>) =>
  Effect.gen(function*() {
    const finalHeartbeat = yield* Effect.fork(peer.receive("1"))
    assert.deepStrictEqual([yield* server.exit, server.stderr()], [{ code: 0, signal: null }, ""])
    assertLinesInOrder(server, begun, "I: on-stop: done", "I: stopped cleanly")
    assert.notInclude(server.stdout(), "interrupted")
    yield* finalHeartbeat
  })

describe("F15 signals", () => {
  for (const signal of ["SIGHUP", "SIGQUIT", "SIGALRM", "SIGXCPU", "SIGPWR"] as const) {
    it.scopedLive(`F15 ${signal} stops an active server cleanly, with its hook and its final heartbeat`, () =>
      Effect.gen(function*() {
        const active = yield* activeServer
        yield* active.server.kill(signal)
        yield* stopsCleanly(active)
      }))
  }

  for (const first of ["SIGHUP", "SIGTERM"] as const) {
    it.scopedLive(`F15 SIGHUP after ${first} does not interrupt the stop`, () =>
      Effect.gen(function*() {
        const active = yield* activeServer
        yield* active.server.kill(first)
        yield* active.server.waitForLine(begun)
        yield* active.server.kill("SIGHUP")
        yield* active.server.kill("SIGHUP")
        yield* stopsCleanly(active)
      }))
  }

  for (const second of ["SIGINT", "SIGTERM", "SIGQUIT"] as const) {
    it.scopedLive(`F15 ${second} after SIGHUP ends the process at once`, () =>
      Effect.gen(function*() {
        const { server } = yield* activeServer
        yield* server.kill("SIGHUP")
        yield* server.waitForLine(begun)
        yield* server.kill(second)
        assert.deepStrictEqual(yield* server.exit, { code: null, signal: second })
        assert.notInclude(server.lines, "I: on-stop: done")
      }))
  }

  it.scopedLive("F15 SIGHUP stops a server under nohup cleanly", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const args = [process.execPath, path.join(root, "dist/bstar.js"), ...serverArgs("primary", at, "1 second")]
      const server = yield* run("nohup", args)
      yield* server.waitForLine(startLine.primary)
      yield* server.kill("SIGHUP")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
      assert.strictEqual(server.stdout(), `${startLine.primary}\nW: interrupted\n`)
    }))

  const longRunning = {
    "a server": (at) => bstar(serverArgs("primary", at, "1 second")),
    "bstar proxy": (at) => bstar(["proxy", ...serverArgs("primary", at, "1 second"), "--backend", "tcp://127.0.0.1:*"]),
    "bstar run": (at) => startRun("primary", at, "400 millis", [], ["sleep", "60"]),
    "bstar client": (at) => bstar(["client", "--server", at.primary.frontend]),
    "bstar status --watch": () => bstar(["status", "--http", "127.0.0.1:1", "--watch", "100 millis"])
  } satisfies { readonly [what: string]: (at: Endpoints) => Effect.Effect<Process, unknown, Scope.Scope> }

  for (const [what, start] of Object.entries(longRunning)) {
    it.scopedLive(`F15 SIGUSR1 opens no debugger, and SIGUSR2 does nothing: ${what}`, () =>
      Effect.gen(function*() {
        const process = yield* start(yield* freeEndpoints)
        yield* process.waitForLine(/./)
        const before = process.stderr()
        yield* process.kill("SIGUSR1")
        yield* process.kill("SIGUSR2")
        // Long enough for the line that a debugger writes.
        yield* Effect.sleep("300 millis")
        yield* process.kill("SIGHUP")
        assert.deepStrictEqual(yield* process.exit, { code: 0, signal: null })
        assert.notInclude(process.stderr().slice(before.length), "Debugger")
      }))
  }

  for (const signal of ["SIGHUP", "SIGQUIT", "SIGXCPU"] as const) {
    it.scopedLive(`F15 ${signal} to bstar run sends SIGTERM to its command, and waits for its grace`, () =>
      Effect.gen(function*() {
        const log = yield* makeLog
        const server = yield* startRun("primary", yield* freeEndpoints, "400 millis", [], child(log))
        yield* log.started(1)
        yield* server.kill(signal)
        assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
        assert.isTrue(log.runs()[0]!.wasTerminated)
        assert.include(server.lines, "I: stopped cleanly")
      }))
  }
})

describe("signals to servers and clients", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it.scopedLive(`${signal} stops an idle server`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const server = yield* bstar(serverArgs("primary", at, "1 second"))
        yield* server.waitForLine(startLine.primary)
        yield* endsCleanly(server, signal)
        assert.strictEqual(server.stdout(), `${startLine.primary}\nW: interrupted\n`)
      }))

    it.scopedLive(`${signal} stops an active server under load`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const server = yield* bstar(serverArgs("primary", at, "100 millis"))
        yield* server.waitForLine(startLine.primary)
        const clients = yield* underLoad(at.primary.frontend)
        yield* Effect.all(clients.map(({ busy }) => busy), { concurrency: "unbounded" })
        yield* endsCleanly(server, signal)
        assert.strictEqual(server.stdout(), `${startLine.primary}\nW: interrupted\n`)
      }))

    it.scopedLive(`${signal} stops a server that rejects votes under load`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer("primary", at)
        const server = yield* bstar(serverArgs("backup", at, "50 millis"))
        yield* server.waitForLine(startLine.backup)
        const clients = yield* underLoad(at.backup.frontend)
        yield* server.waitForLine(/^W: votes are rejected: /)
        yield* peer.received.more(10)
        yield* endsCleanly(server, signal)
        assertLinesInOrder(server, startLine.backup, /^W: votes are rejected: /, "W: interrupted")
        assert.isTrue(clients.every(({ answered }) => answered() === 0))
      }))

    it.scopedLive(`${signal} stops a client without a server`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const client = yield* bstar(["client", "--server", at.primary.frontend, "--server", at.backup.frontend])
        yield* client.waitForLine(`I: connecting to server at ${at.primary.frontend}...`)
        yield* endsCleanly(client, signal)
      }))

    it.scopedLive(`${signal} stops a client that waits for its reconnect delay`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const client = yield* bstar([
          "client",
          "--legacy",
          ...["--server", at.primary.frontend, "--server", at.backup.frontend, "--timeout", "50 millis"],
          ...["--reconnect-delay", "1 hour"]
        ])
        yield* client.waitForLine("W: no response from server, failing over")
        yield* endsCleanly(client, signal)
      }))
  }
})

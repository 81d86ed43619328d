import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as path from "node:path"
import * as zmq from "zeromq"
import type { Endpoints, Process } from "../support/processes.ts"
import {
  bstar,
  foreignPeer,
  freeEndpoints,
  root,
  run,
  serverArgs,
  socket,
  startLine,
  votesRefused,
  withoutSeconds
} from "../support/processes.ts"
import { child, makeLog, startRun } from "./commands.ts"

/** The promise is one second. What is asserted leaves a busy machine room, and still tells a hanging end from a quick one. */
const limitMillis = 3000

const endsCleanly = (process: Process, signal: NodeJS.Signals) =>
  Effect.gen(function*() {
    const start = performance.now()
    yield* process.kill(signal)
    const exit = yield* process.exit
    const millis = performance.now() - start
    assert.deepStrictEqual([exit, process.stderr()], [{ code: 0, signal: null }, ""])
    assert.isBelow(millis, limitMillis)
  })

const request = Buffer.alloc(1024, "x")

/** Keeps 500 requests in flight. `busy` waits until 2000 were answered. */
const busyClient = (frontend: string) =>
  Effect.gen(function*() {
    const client = yield* socket(() => new zmq.Dealer({ linger: 0 }))
    client.connect(frontend)
    let answered = 0
    const busy = new Promise<void>((resolve, reject) => {
      const ask = async () => {
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
      ask().catch((error: unknown) => client.closed ? resolve() : reject(error))
    })
    return { busy: Effect.promise(() => busy), answered: () => answered }
  })

/** Asks as fast as it can and reads no reply. */
const deafClient = (frontend: string) =>
  Effect.gen(function*() {
    const client = yield* socket(() => new zmq.Dealer({ linger: 0 }))
    client.connect(frontend)
    const ask = async () => {
      while (!client.closed) {
        await client.send(request)
      }
    }
    ask().catch((error: unknown) => assert.isTrue(client.closed, String(error)))
  })

const underLoad = (frontend: string) =>
  Effect.gen(function*() {
    yield* deafClient(frontend)
    yield* deafClient(frontend)
    return yield* Effect.all(Array.from({ length: 4 }, () => busyClient(frontend)))
  })

/** An active server with its hooks at work; the one for its stop has lines for its begin and its end. */
const activeServer = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const peer = yield* foreignPeer("backup", at)
  const server = yield* bstar([
    ...serverArgs("primary", at, "200 millis"),
    ...["--policy", "hardened", "--on-active", "echo active", "--on-stop", "echo begun; sleep 0.5; echo done"]
  ])
  yield* peer.listened
  yield* peer.say("2")
  yield* peer.hear("3")
  // It publishes that it is active before it has done anything else about it.
  yield* server.waitForLine("I: on-active: active")
  return { peer, server }
})

const begun = "I: on-stop: begun"

/** Everything that belongs to an orderly stop has happened. */
const stopsInOrder = ({ peer, server }: Effect.Effect.Success<typeof activeServer>) =>
  Effect.gen(function*() {
    const goodbye = yield* Effect.fork(peer.hear("1"))
    assert.deepStrictEqual([yield* server.exit, server.stderr()], [{ code: 0, signal: null }, ""])
    assert.deepStrictEqual(server.lines.slice(-4), [
      begun,
      "I: on-stop: done",
      "I: stopped cleanly",
      "W: interrupted"
    ])
    yield* goodbye
  })

describe("F15 signals", () => {
  for (const signal of ["SIGHUP", "SIGQUIT", "SIGALRM", "SIGXCPU", "SIGPWR"] as const) {
    it.scopedLive(`${signal} stops an active server in order, with its hook and its goodbye`, () =>
      Effect.gen(function*() {
        const active = yield* activeServer
        yield* active.server.kill(signal)
        yield* stopsInOrder(active)
      }))
  }

  for (const first of ["SIGHUP", "SIGTERM"] as const) {
    it.scopedLive(`SIGHUP after ${first} does not end the stop`, () =>
      Effect.gen(function*() {
        const active = yield* activeServer
        yield* active.server.kill(first)
        yield* active.server.waitForLine(begun)
        yield* active.server.kill("SIGHUP")
        yield* active.server.kill("SIGHUP")
        yield* stopsInOrder(active)
      }))
  }

  for (const second of ["SIGINT", "SIGTERM", "SIGQUIT"] as const) {
    it.scopedLive(`${second} after SIGHUP ends the process at once`, () =>
      Effect.gen(function*() {
        const { server } = yield* activeServer
        yield* server.kill("SIGHUP")
        yield* server.waitForLine(begun)
        yield* server.kill(second)
        assert.deepStrictEqual(yield* server.exit, { code: null, signal: second })
        assert.notInclude(server.lines, "I: on-stop: done")
      }))
  }

  it.scopedLive("SIGHUP stops a server in order under nohup too", () =>
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
    it.scopedLive(`SIGUSR1 opens no debugger, and SIGUSR2 does nothing: ${what}`, () =>
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
    it.scopedLive(`${signal} to bstar run gives its command SIGTERM and its grace`, () =>
      Effect.gen(function*() {
        const log = yield* makeLog
        const server = yield* startRun("primary", yield* freeEndpoints, "400 millis", [], child(log))
        yield* log.started(1)
        yield* server.kill(signal)
        assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
        assert.isTrue(log.lives()[0]!.wasAsked)
        assert.include(server.lines, "I: stopped cleanly")
      }))
  }
})

describe("signals", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it.scopedLive(`${signal} stops an idle server`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const server = yield* bstar(serverArgs("primary", at, "1 second"))
        yield* server.waitForLine(startLine.primary)
        yield* endsCleanly(server, signal)
        assert.strictEqual(server.stdout(), `${startLine.primary}\nW: interrupted\n`)
      }))

    it.scopedLive(`${signal} stops a server that answers under load`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const server = yield* bstar(serverArgs("primary", at, "100 millis"))
        yield* server.waitForLine(startLine.primary)
        const clients = yield* underLoad(at.primary.frontend)
        yield* Effect.all(clients.map(({ busy }) => busy), { concurrency: "unbounded" })
        yield* endsCleanly(server, signal)
        assert.strictEqual(server.stdout(), `${startLine.primary}\nW: interrupted\n`)
      }))

    it.scopedLive(`${signal} stops a server that refuses under load`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer("primary", at)
        const server = yield* bstar(serverArgs("backup", at, "50 millis"))
        yield* server.waitForLine(startLine.backup)
        const clients = yield* underLoad(at.backup.frontend)
        yield* server.waitForLine(/^W: votes are rejected: /)
        yield* peer.heard.more(10)
        yield* endsCleanly(server, signal)
        assert.strictEqual(
          withoutSeconds(server.stdout()),
          `${startLine.backup}\n${votesRefused(at.primary.state)}\nW: interrupted\n`
        )
        assert.isTrue(clients.every(({ answered }) => answered() === 0))
      }))

    it.scopedLive(`${signal} stops a client that has no server`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const client = yield* bstar(["client", "--server", at.primary.frontend, "--server", at.backup.frontend])
        yield* client.waitForLine(`I: connecting to server at ${at.primary.frontend}...`)
        yield* endsCleanly(client, signal)
      }))

    it.scopedLive(`${signal} stops a client between two servers`, () =>
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

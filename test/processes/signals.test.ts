import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as zmq from "zeromq"
import type { Process } from "./support.ts"
import { bstar, foreignPeer, freeEndpoints, serverArgs, socket, startLine } from "./support.ts"

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

describe("signals", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
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
        yield* peer.heard.more(10)
        yield* endsCleanly(server, signal)
        assert.strictEqual(server.stdout(), `${startLine.backup}\nW: interrupted\n`)
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
          ...["--settle", "1 hour"]
        ])
        yield* client.waitForLine("W: no response from server, failing over")
        yield* endsCleanly(client, signal)
      }))
  }
})

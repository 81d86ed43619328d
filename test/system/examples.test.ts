/** The examples as programs, started as their comments describe. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as path from "node:path"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as SqlWitness from "../../src/witness/SqlWitness.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { etcdIsMissing, startEtcd } from "../support/etcd.ts"
import { makeKeyFiles } from "../support/keys.ts"
import { owner, password, postgresIsMissing, startPostgres } from "../support/postgres.ts"
import type { Endpoints, Role } from "../support/processes.ts"
import { dealer, freeEndpoints, root, run } from "../support/processes.ts"
import { eventually } from "../support/sockets.ts"

/** Runs an example without building it, on a pair with these endpoints. */
const example = (name: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
  run(process.execPath, ["--import", "tsx", path.join(root, "test/examples", name), ...args], { env })

const environment = (role: Role, at: Endpoints): NodeJS.ProcessEnv => ({
  BSTAR_ROLE: role,
  BSTAR_POLICY: "hardened",
  BSTAR_HEARTBEAT: "100 millis",
  BSTAR_FRONTEND: at[role].frontend,
  BSTAR_STATE: at[role].state,
  BSTAR_PEER: at[role === "primary" ? "backup" : "primary"].state
})

const startBoth = (name: string, args: ReadonlyArray<string>, at: Endpoints, more: NodeJS.ProcessEnv = {}) =>
  Effect.gen(function*() {
    const primary = yield* example(name, args, { ...environment("primary", at), ...more, PORT: "0" })
    const backup = yield* example(name, args, { ...environment("backup", at), ...more, PORT: "0" })
    yield* backup.waitForLine(/ready as passive/)
    return { primary, backup }
  })

/** The URL of a database with the table of witnesses. */
const database = Effect.map(
  Effect.tap(startPostgres(), ({ execute }) => execute(SqlWitness.createTable)),
  ({ port }) => `postgres://${owner}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`
)

describe("the examples run", () => {
  it.scopedLive("example keyValue.ts: typed messages", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      yield* startBoth("keyValue.ts", ["serve"], at)
      const client = (...args: ReadonlyArray<string>) =>
        Effect.gen(function*() {
          const process = yield* example("keyValue.ts", args, {
            BSTAR_SERVERS: `${at.primary.frontend},${at.backup.frontend}`
          })
          assert.strictEqual((yield* process.exit).code, 0, process.stdout() + process.stderr())
          return process.lines.at(-1)
        })
      assert.strictEqual(yield* client("get", "color"), "there is no color")
      assert.strictEqual(yield* client("set", "color", "red"), "red")
      assert.strictEqual(yield* client("get", "color"), "red")
    }))

  it.scopedLive("example handler.ts: a reply at once, one by an effect, and a failure", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      yield* startBoth("handler.ts", [], at)
      const { request } = yield* BinaryStarClient.make({ servers: [at.primary.frontend, at.backup.frontend] }).pipe(
        Effect.provide(ZmqClientLink.layer)
      )
      assert.deepStrictEqual(
        (yield* Effect.all([request("ping"), request("21")])).map(Frames.toString),
        ["pong", "42"]
      )
      const { detail, reason } = yield* Effect.flip(request("hello"))
      assert.deepStrictEqual([reason, Frames.toString(detail!)], ["Failed", "not a number"])
    }))

  it.scopedLive("example inMemory.ts: a pair and a switchover without sockets", () =>
    Effect.gen(function*() {
      const program = yield* example("inMemory.ts", [], {})
      assert.strictEqual((yield* program.exit).code, 0, program.stdout() + program.stderr())
      assert.deepStrictEqual(program.lines.filter((line) => line.endsWith(": hello")), [
        "primary: hello",
        "backup: hello"
      ])
    }))

  it.scopedLive("example keys.ts: a server and a client with keys", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const keys = yield* makeKeyFiles(["alice"])
      yield* startBoth("keys.ts", ["serve"], at, { BSTAR_KEYS: keys })
      const client = yield* example("keys.ts", [], {
        BSTAR_SERVERS: `${at.primary.frontend},${at.backup.frontend}`,
        BSTAR_KEYS: path.join(keys, "client-alice")
      })
      assert.strictEqual((yield* client.exit).code, 0, client.stdout() + client.stderr())
      assert.strictEqual(client.lines.at(-1), "hello")
    }))

  for (const [engine, missing] of [["etcd", etcdIsMissing], ["PostgreSQL", postgresIsMissing]] as const) {
    it.scopedLive.skipIf(missing !== undefined)(
      `example witness.ts: a pair with a witness on ${engine} ${missing ?? ""}`,
      () =>
        Effect.gen(function*() {
          const at = yield* freeEndpoints
          const environment = engine === "etcd"
            ? { BSTAR_ETCD: `http://127.0.0.1:${(yield* startEtcd()).port}` }
            : { BSTAR_DATABASE: yield* database }
          yield* startBoth("witness.ts", [engine], at, { ...environment, BSTAR_HEARTBEAT: "1 second" })
          const { replies, request } = yield* dealer(at.primary.frontend)
          yield* Effect.raceFirst(
            replies.find(({ frames }) => frames.join() === "hello"),
            Effect.zipRight(Effect.repeat(request("hello"), Schedule.spaced("100 millis")), Effect.never)
          )
        })
    )
  }

  it.scopedLive("example rpc.ts: an RPC service and its client", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      yield* startBoth("rpc.ts", ["serve"], at)
      const client = yield* example("rpc.ts", [], { BSTAR_SERVERS: `${at.primary.frontend},${at.backup.frontend}` })
      assert.strictEqual((yield* client.exit).code, 0, client.stdout() + client.stderr())
      assert.deepStrictEqual(client.lines.slice(-5), ["4", "s", "t", "a", "r"])
    }))

  it.scopedLive("example singleton.ts: a job on one of two machines", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startBoth("singleton.ts", [], yield* freeEndpoints)
      yield* primary.waitForLine("job: cleaning up")
      assert.notInclude(backup.stdout(), "job:")
      yield* primary.kill("SIGTERM")
      assert.strictEqual((yield* primary.exit).code, 0)
      assert.include(primary.stdout(), "job: ended")
      yield* backup.waitForLine("job: cleaning up")
    }))

  it.scopedLive("example application.ts: the pair in an application with an HttpServer", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startBoth("application.ts", [], yield* freeEndpoints)
      const status = (server: typeof primary) =>
        Effect.gen(function*() {
          const line = yield* server.waitForLine(/Listening on/)
          const address = /http:\/\/[^ "]+/.exec(line)![0].replace("0.0.0.0", "127.0.0.1")
          const response = yield* Effect.promise(() => fetch(`${address}/active`))
          return {
            code: response.status,
            body: yield* Effect.promise(() => response.json() as Promise<{ readonly state: string }>)
          }
        })
      yield* primary.waitForLine("report: open")
      assert.deepStrictEqual<unknown>(yield* status(primary), { code: 200, body: { role: "primary", state: "ACTIVE" } })
      yield* eventually(Effect.map(status(backup), ({ body }) => body.state === "PASSIVE"))
      assert.strictEqual((yield* status(backup)).code, 503)
      yield* primary.kill("SIGTERM")
      assert.strictEqual((yield* primary.exit).code, 0)
      assert.include(primary.stdout(), "report: closed")
    }))

  it.scopedLive("example telemetry.ts: metrics for OpenTelemetry", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { primary } = yield* startBoth("telemetry.ts", [], at)
      const client = yield* dealer(at.primary.frontend)
      yield* client.request("", "hello")
      yield* client.replies.find(() => true)
      const exported = (name: string, what: RegExp) =>
        eventually(Effect.sync(() =>
          primary.stdout().split("descriptor:").some((metric) =>
            metric.includes(`name: '${name}'`) && what.test(metric)
          )
        ))
      yield* exported("bstar_state", /state: 'ACTIVE'[^]*?value: 1\b/)
      yield* exported("bstar_request_seconds", /\bcount: 1\b/)
      yield* primary.kill("SIGTERM")
      assert.strictEqual((yield* primary.exit).code, 0)
    }))
})

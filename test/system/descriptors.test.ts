import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as net from "node:net"
import * as path from "node:path"
import * as Endpoint from "../../src/wire/Endpoint.ts"
import { makeKeyFiles } from "../support/keys.ts"
import type { Endpoints, Role } from "../support/processes.ts"
import { dealer, freeEndpoints, root, run, serverArgs } from "../support/processes.ts"
import { eventTimeout } from "../support/times.ts"

const files = 128

/** A server with a limit of open files. */
const start = (role: Role, at: Endpoints) =>
  run("prlimit", [
    `--nofile=${files}`,
    process.execPath,
    path.join(root, "dist/bstar.js"),
    ...serverArgs(role, at, "400 millis"),
    "--policy",
    "hardened"
  ])

/** A pair whose primary is active. */
const pair = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const primary = yield* start("primary", at)
  const backup = yield* start("backup", at)
  yield* primary.waitForLine("I: connected to backup (passive), ready as active")
  yield* backup.waitForLine("I: connected to primary (active), ready as passive")
  return { at, primary, backup }
})

/** A client that repeats a request to both servers until one answers. */
const makeClient = (at: Endpoints) =>
  Effect.gen(function*() {
    const toPrimary = yield* dealer(at.primary.frontend)
    const toBackup = yield* dealer(at.backup.frontend)
    const send = Effect.zipRight(toPrimary.request("", "ping"), toBackup.request("", "ping"))
    const answers = () => toPrimary.replies.entries.length + toBackup.replies.entries.length
    const answered = Effect.suspend(() => {
      const before = answers()
      return Effect.repeat(Effect.zipRight(send, Effect.sleep("50 millis")), { until: () => answers() > before })
    }).pipe(Effect.timeout(eventTimeout))
    return { answered, answers, send }
  })

/** TCP connections that send nothing. */
const silent = (endpoint: string, count: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { host, port } = Endpoint.parse(endpoint) as { readonly host: string; readonly port: string }
      return Array.from({ length: count }, () => net.connect(Number(port), host).on("error", () => {}))
    }),
    (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
  )

/** Stops a server that is running. */
const stop = (server: Effect.Effect.Success<typeof pair>["primary"]) =>
  Effect.gen(function*() {
    yield* server.kill("SIGTERM")
    assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null }, server.stdout() + server.stderr())
  })

describe.skipIf(process.platform !== "linux")("F9 descriptors", () => {
  it.scopedLive(
    `F9 more clients than files: with ${files} files, 140 clients end no server, and some are served`,
    () =>
      Effect.gen(function*() {
        const { at, backup, primary } = yield* pair
        const crowd = yield* Scope.make()
        const clients = yield* Scope.extend(Effect.replicateEffect(makeClient(at), 140), crowd)
        const servedCount = () => clients.filter(({ answers }) => answers() > 0).length
        yield* Effect.repeat(
          Effect.zipRight(Effect.forEach(clients, ({ send }) => send, { discard: true }), Effect.sleep("200 millis")),
          { until: () => servedCount() >= 10 }
        ).pipe(Effect.timeout(eventTimeout))
        yield* Scope.close(crowd, Exit.void)
        const { answered } = yield* makeClient(at)
        yield* answered
        yield* Effect.zipRight(stop(backup), stop(primary))
        assert.isTrue(primary.lines.some((line) => line.endsWith("or set --max-connections)")))
      })
  )

  for (const port of ["frontend", "state"] as const) {
    it.scopedLive(
      `F9 silent connections to the ${port} port of a backup: it takes over, and pairs with a new primary`,
      () =>
        Effect.gen(function*() {
          const { at, backup, primary } = yield* pair
          const { answered } = yield* makeClient(at)
          yield* answered
          yield* silent(at.backup[port], 64)
          yield* silent(at.backup[port], 80)
          yield* Effect.sleep("300 millis")
          yield* primary.kill("SIGKILL")
          yield* primary.exit
          yield* answered
          yield* backup.waitForLine("I: failover successful, ready as active")
          const next = yield* start("primary", at)
          yield* next.waitForLine("I: connected to backup (active), ready as passive")
          yield* answered
          yield* Effect.zipRight(stop(next), stop(backup))
        })
    )
  }

  it.scopedLive(
    "F9 silent connections while the primary is stopped: no server ends, and one answers",
    () =>
      Effect.gen(function*() {
        const { at, backup, primary } = yield* pair
        const { answered } = yield* makeClient(at)
        yield* answered
        yield* silent(at.backup.frontend, 64)
        yield* silent(at.backup.frontend, 80)
        yield* primary.kill("SIGSTOP")
        yield* answered
        yield* backup.waitForLine("I: failover successful, ready as active")
        yield* primary.kill("SIGCONT")
        yield* primary.waitForLine(/ready as passive/)
        yield* answered
        yield* Effect.zipRight(stop(primary), stop(backup))
      })
  )
})

describe.skipIf(process.platform !== "linux")("F9 exhausted descriptors", () => {
  it.scopedLive(
    "F9 no descriptors left: keys are kept, and a command or socket that cannot be opened is an error",
    () =>
      Effect.gen(function*() {
        const keys = yield* makeKeyFiles()
        const { exit, stderr, stdout } = yield* run("prlimit", [
          // The child needs more descriptors than a server to load its modules.
          "--nofile=1024",
          process.execPath,
          "--import",
          "tsx",
          path.join(root, "test/system/exhaustedDescriptors.ts"),
          keys
        ])
        assert.deepStrictEqual(yield* exit, { code: 0, signal: null }, stdout() + stderr())
        const { before, during } = JSON.parse(stdout())
        assert.deepStrictEqual(before, { names: ["backup.key", "primary.key"], issues: [] })
        assert.deepStrictEqual(during.keys.names, before.names)
        assert.match(during.keys.issues[0], /the keys stay as they were$/)
        assert.strictEqual(during.spawned, "Error: it cannot be started: too many open files")
        assert.strictEqual(during.guarded, "Orphaned")
        assert.match(
          during.socket,
          new RegExp(`^cannot open: too many open sockets or files \\(a limit of 1024 open files\\)$`)
        )
      })
  )
})

describe("F20 the socket limit of libzmq", () => {
  const members = (...args: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const child = yield* run(process.execPath, [path.join(root, "test/system/socketLimit.mjs"), ...args], {
        timeout: "1 minute"
      })
      assert.deepStrictEqual(yield* child.exit, { code: 0, signal: null }, child.stdout() + child.stderr())
      return child.stdout()
    })

  it.scopedLive(
    "F20 the limit is reached at any step of an acquisition: the error names it, and the process ends by itself",
    () =>
      Effect.forEach(
        // A member opens less than this number of sockets.
        Array.from({ length: 8 }, (_, i) => 40 + i),
        (limit) =>
          Effect.map(members(String(limit)), (output) => {
            assert.match(output, /^\d+: SocketError: cannot open: too many open sockets .*context\.maxSockets/)
          }),
        { concurrency: 2, discard: true }
      )
  )

  it.scopedLive("F20 more sockets than the default limit of libzmq can be opened", () =>
    Effect.map(members(), (output) => {
      assert.strictEqual(output, "1100: none\n")
    }))
})

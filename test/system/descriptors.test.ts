import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as net from "node:net"
import * as path from "node:path"
import * as Endpoint from "../../src/wire/Endpoint.ts"
import { makeKeyFiles } from "../support/keys.ts"
import type { Endpoints, Role } from "../support/processes.ts"
import { dealer, freeEndpoints, root, run, serverArgs } from "../support/processes.ts"

const files = 128

/** A server that may open few files. */
const start = (role: Role, at: Endpoints) =>
  run("prlimit", [
    `--nofile=${files}`,
    process.execPath,
    path.join(root, "dist/bstar.js"),
    ...serverArgs(role, at, "400 millis"),
    "--policy",
    "hardened"
  ])

/** A pair that is ready: the primary is active. */
const pair = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const primary = yield* start("primary", at)
  const backup = yield* start("backup", at)
  yield* primary.waitForLine("I: connected to backup (passive), ready as active")
  yield* backup.waitForLine("I: connected to primary (active), ready as passive")
  return { at, primary, backup }
})

/** A client that sends a request to both servers, again and again until there is an answer. */
const asking = (at: Endpoints) =>
  Effect.gen(function*() {
    const toPrimary = yield* dealer(at.primary.frontend)
    const toBackup = yield* dealer(at.backup.frontend)
    const send = Effect.zipRight(toPrimary.ask("", "ping"), toBackup.ask("", "ping"))
    const answers = () => toPrimary.replies.entries.length + toBackup.replies.entries.length
    const answered = Effect.suspend(() => {
      const before = answers()
      return Effect.repeat(Effect.zipRight(send, Effect.sleep("50 millis")), { until: () => answers() > before })
    }).pipe(Effect.timeout("40 seconds"))
    return { answered, answers, send }
  })

/** Connections over TCP that send nothing, until they are closed from the other side. */
const silent = (endpoint: string, count: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { host, port } = Endpoint.parse(endpoint) as { readonly host: string; readonly port: string }
      return Array.from({ length: count }, () => net.connect(Number(port), host).on("error", () => {}))
    }),
    (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
  )

/** Stops a server, which has lived until then. */
const stop = (server: Effect.Effect.Success<typeof pair>["primary"]) =>
  Effect.gen(function*() {
    yield* server.kill("SIGTERM")
    assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null }, server.stdout() + server.stderr())
  })

describe.skipIf(process.platform !== "linux")("F9 descriptors", () => {
  it.scopedLive(
    `more clients than files: ${files} files and 140 clients end no server, and some are served`,
    () =>
      Effect.gen(function*() {
        const { at, backup, primary } = yield* pair
        const crowd = yield* Scope.make()
        const clients = yield* Scope.extend(Effect.replicateEffect(asking(at), 140), crowd)
        const servedCount = () => clients.filter(({ answers }) => answers() > 0).length
        yield* Effect.repeat(
          Effect.zipRight(Effect.forEach(clients, ({ send }) => send, { discard: true }), Effect.sleep("200 millis")),
          { until: () => servedCount() >= 10 }
        ).pipe(Effect.timeout("40 seconds"))
        yield* Scope.close(crowd, Exit.void)
        const { answered } = yield* asking(at)
        yield* answered
        yield* Effect.zipRight(stop(backup), stop(primary))
        assert.isTrue(primary.lines.some((line) => line.endsWith("or set --max-connections)")))
      }),
    120_000
  )

  for (const port of ["frontend", "state"] as const) {
    it.scopedLive(
      `silent connections to the ${port} port of a backup: it takes over, and pairs with a new primary`,
      () =>
        Effect.gen(function*() {
          const { at, backup, primary } = yield* pair
          const { answered } = yield* asking(at)
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
        }),
      120_000
    )
  }

  it.scopedLive(
    "silent connections while the primary is paused: both live, and one answers",
    () =>
      Effect.gen(function*() {
        const { at, backup, primary } = yield* pair
        const { answered } = yield* asking(at)
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
      }),
    120_000
  )
})

describe.skipIf(process.platform !== "linux")("F9 exhausted descriptors", () => {
  it.scopedLive(
    "keys stay as they were, and what cannot be started or opened is an error, not the end of the process",
    () =>
      Effect.gen(function*() {
        const keys = yield* makeKeyFiles()
        const { exit, stderr, stdout } = yield* run("prlimit", [
          // To load its modules the child needs more than a server does.
          "--nofile=1024",
          process.execPath,
          "--import",
          "tsx",
          path.join(root, "test/system/exhausted.ts"),
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
      }),
    60_000
  )
})

describe("F20 sockets of libzmq", () => {
  const members = (...args: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const child = yield* run(process.execPath, [path.join(root, "test/system/members.mjs"), ...args], {
        patience: "1 minute"
      })
      assert.deepStrictEqual(yield* child.exit, { code: 0, signal: null }, child.stdout() + child.stderr())
      return child.stdout()
    })

  it.scopedLive(
    "used up at any step of an acquisition: the error names the limit, and the process ends by itself",
    () =>
      Effect.forEach(
        // A member opens less than this number of sockets.
        Array.from({ length: 8 }, (_, i) => 40 + i),
        (limit) =>
          Effect.map(members(String(limit)), (output) => {
            assert.match(output, /^\d+: SocketError: cannot open: too many open sockets .*context\.maxSockets/)
          }),
        { concurrency: 2, discard: true }
      ),
    120_000
  )

  it.scopedLive("more than libzmq's own limit can be opened", () =>
    Effect.map(members(), (output) => {
      assert.strictEqual(output, "1100: none\n")
    }), 60_000)
})

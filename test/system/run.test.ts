import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import type { Log } from "../support/commands.ts"
import { assertOneAtATime, child, makeLog, runArgs, startRun } from "../support/commands.ts"
import { assertLinesInOrder } from "../support/pair.ts"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { bstar, freeEndpoints, publications } from "../support/processes.ts"
import { eventually } from "../support/sockets.ts"
import { steadyHeartbeatMillis } from "../support/times.ts"

const heartbeat = `${steadyHeartbeatMillis} millis`

const starting = /^I: starting /
const startedBy = /^child of \d+: /

interface Pair extends Endpoints {
  readonly log: Log
  readonly servers: { readonly [R in Role]: Process }
  readonly restart: (role: Role) => Effect.Effect<Process, unknown, Scope.Scope>
}

/** A pair whose primary has started the command. */
const startPair = (
  traits: ReadonlyArray<"parent" | "stubborn"> = [],
  options: ReadonlyArray<string> = []
): Effect.Effect<Pair, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const log = yield* makeLog
    const restart = (role: Role) => startRun(role, at, heartbeat, options, child(log, ...traits))
    const primary = yield* restart("primary")
    const backup = yield* restart("backup")
    yield* primary.waitForLine(startedBy)
    yield* backup.waitForLine("I: connected to primary (active), ready as passive")
    return { ...at, log, servers: { primary, backup }, restart }
  })

/** The process that started the command. */
const guardianOf = (server: Process) =>
  Effect.map(server.waitForLine(startedBy), (line) => Number(/^child of (\d+)/.exec(line)![1]))

describe("bstar run", () => {
  it.scopedLive("bstar run: the command runs on the active server only, and moves when that stops", () =>
    Effect.gen(function*() {
      const { log, restart, servers: { backup, primary } } = yield* startPair()
      assert.match(
        yield* primary.waitForLine(startedBy),
        /: primary PRIMARY -> ACTIVE [A-Z]\w+ \(.+, ready as active\)$/
      )
      assert.isUndefined(backup.lines.find((line) => starting.test(line)))

      yield* primary.kill("SIGTERM")
      assert.deepStrictEqual(yield* primary.exit, { code: 0, signal: null })
      assert.match(yield* backup.waitForLine(startedBy), /: backup (PASSIVE|REJOINING) -> ACTIVE /)
      assertLinesInOrder(primary, `I: ${process.execPath} was stopped`, "I: stopped cleanly")
      assert.isTrue(log.runs()[0]!.wasTerminated)

      const again = yield* restart("primary")
      yield* again.waitForLine("I: connected to backup (active), ready as passive")
      yield* backup.kill("SIGINT")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      yield* again.waitForLine(startedBy)
      assert.strictEqual(log.runs().length, 3)
      assertOneAtATime(log.runs())
    }))

  it.scopedLive("bstar run: kill -9 of the server kills its command before the peer starts its own", () =>
    Effect.gen(function*() {
      const { log, servers: { backup, primary } } = yield* startPair(["parent"])
      yield* primary.kill("SIGKILL")
      yield* primary.exit
      yield* backup.waitForLine(startedBy)
      const [first] = log.runs()
      assert.isFalse(first!.wasTerminated)
      assertOneAtATime(log.runs())
    }))

  it.scopedLive("bstar run: SIGSTOP of the server kills its command, and the server is passive after SIGCONT", () =>
    Effect.gen(function*() {
      const { log, servers: { backup, primary } } = yield* startPair(["parent"], ["--grace", "100 millis"])
      yield* primary.kill("SIGSTOP")
      yield* backup.waitForLine(startedBy)
      assert.isFalse(log.runs()[0]!.wasTerminated)
      yield* primary.kill("SIGCONT")
      yield* primary.waitForLine("I: connected to backup (active), ready as passive")
      const { length } = primary.lines
      yield* backup.kill("SIGTERM")
      yield* backup.exit
      yield* primary.waitForLine(startedBy, length)
      assert.strictEqual(log.runs().length, 3)
      assertOneAtATime(log.runs())
    }))

  for (const [what, trait] of [["a command that ignores SIGTERM", "stubborn"], ["a grandchild", "parent"]] as const) {
    it.scopedLive(`bstar run: ${what} is killed after its grace, before the final heartbeat`, () =>
      Effect.gen(function*() {
        const { log, servers: { backup, primary } } = yield* startPair([trait], ["--grace", "600 millis"])
        yield* primary.kill("SIGTERM")
        assert.deepStrictEqual(yield* primary.exit, { code: 0, signal: null })
        yield* backup.waitForLine(startedBy)
        const [first] = log.runs()
        assert.isTrue(first!.wasTerminated)
        assertOneAtATime(log.runs())
      }))
  }

  it.scopedLive("bstar run: kill -9 of the guardian kills its command, and the next command has a new guardian", () =>
    Effect.gen(function*() {
      const { log, servers: { primary } } = yield* startPair(["parent"])
      const guardian = yield* guardianOf(primary)
      // A supervisor may send these to all processes of a service.
      process.kill(guardian, "SIGTERM")
      process.kill(guardian, "SIGINT")
      process.kill(guardian, "SIGKILL")
      yield* primary.waitForLine(/^W: .* was killed: its guardian died$/)
      const next = yield* primary.waitForLine(startedBy, primary.lines.length)
      assert.notInclude(next, `child of ${guardian}:`)
      assert.strictEqual(log.runs().length, 2)
      assertOneAtATime(log.runs())
    }))

  for (
    const { code, command, line } of [
      { command: ["true"], code: 0, line: "I: true has ended with exit code 0" },
      { command: ["sh", "-c", "exit 7"], code: 7, line: "I: sh has ended with exit code 7" },
      {
        command: ["sh", "-c", "kill -9 $$"],
        code: 128 + os.constants.signals.SIGKILL,
        line: "I: sh was ended by SIGKILL"
      },
      { command: ["no-such-command"], code: 127, line: "E: cannot start no-such-command: command not found" },
      { command: [os.tmpdir()], code: 126, line: `E: cannot start ${os.tmpdir()}: permission denied` }
    ]
  ) {
    it.scopedLive(`bstar run: exit code ${code} of ${command.join(" ")} is that of the server, after a clean stop`, () =>
      Effect.gen(function*() {
        const server = yield* startRun("primary", yield* freeEndpoints, "100 millis", [], command)
        assert.deepStrictEqual(yield* server.exit, { code, signal: null })
        assertLinesInOrder(server, line, "I: stopped cleanly")
        assert.strictEqual(server.stderr(), "")
      }))
  }

  it.scopedLive("bstar run --log-format json: every line has the time of day", () =>
    Effect.gen(function*() {
      const args = runArgs("primary", yield* freeEndpoints, "100 millis")
      const server = yield* bstar([...args, "--log-format", "json", "--", "true"])
      assert.strictEqual((yield* server.exit).code, 0)
      const lines = server.lines.map((line): { readonly message: string; readonly timestamp: string } =>
        JSON.parse(line)
      )
      assert.includeMembers(lines.map(({ message }) => message), ["starting true", "true has ended with exit code 0"])
      assert.deepStrictEqual(
        lines.filter(({ timestamp }) => Math.abs(Date.now() - Date.parse(timestamp)) > 60_000),
        []
      )
    }))

  it.scopedLive("bstar run: the peer starts the command when it has ended", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLog
      const at = yield* freeEndpoints
      const script =
        `echo $BSTAR_NODE_ROLE $BSTAR_NODE_TERM >> ${file}; while ! test -e ${file}.go; do sleep 0.02; done; ` +
        "test $BSTAR_NODE_ROLE = backup"
      const backup = yield* startRun("backup", at, heartbeat, [], ["sh", "-c", script])
      const primary = yield* startRun("primary", at, heartbeat, [], ["sh", "-c", script])
      yield* backup.waitForLine("I: connected to primary (active), ready as passive")
      fs.writeFileSync(`${file}.go`, "")
      assert.strictEqual((yield* primary.exit).code, 1)
      assert.strictEqual((yield* backup.exit).code, 0)
      assert.strictEqual(fs.readFileSync(file, "utf8"), "primary 1\nbackup 2\n")
    }))

  it.scopedLive("bstar run: --restart on-failure restarts a failed command", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLog
      const command = ["sh", "-c", `echo >> ${file}; exit $((3 - $(wc -l < ${file})))`]
      const server = yield* startRun(
        "primary",
        yield* freeEndpoints,
        "100 millis",
        ["--restart", "on-failure"],
        command
      )
      assert.strictEqual((yield* server.exit).code, 0)
      assert.deepStrictEqual(
        server.lines.filter((line) => /has ended/.test(line)),
        [2, 1, 0].map((code) => `I: sh has ended with exit code ${code}`)
      )
    }))

  it.scopedLive("bstar run: --restart always restarts any command, and SIGTERM stops the server between two runs", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const server = yield* startRun("primary", at, "100 millis", ["--restart", "always"], ["true"])
      const ended = "I: true has ended with exit code 0"
      yield* server.waitForLine(ended)
      yield* server.waitForLine(ended, server.lines.length)
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
    }))

  it.scopedLive("bstar run: processes that the command leaves behind are killed before the server ends", () =>
    Effect.gen(function*() {
      const log = yield* makeLog
      const command = `${child(log, "stubborn").map((arg) => `'${arg}'`).join(" ")} & while ! test -s ${log.file}; ` +
        "do sleep 0.01; done; exit 4"
      const server = yield* startRun("primary", yield* freeEndpoints, "100 millis", ["--grace", "2 seconds"], [
        "sh",
        "-c",
        command
      ])
      assert.strictEqual((yield* server.exit).code, 4)
      const { length } = fs.readFileSync(log.file, "utf8")
      yield* Effect.sleep("50 millis")
      assert.strictEqual(fs.readFileSync(log.file, "utf8").length, length)
      assert.include(fs.readFileSync(log.file, "utf8"), "terminated")
    }))

  it.scopedLive("F18 secrets: neither the command nor its guardian inherits the HTTP token", () =>
    Effect.gen(function*() {
      const script = "env; tr '\\0' '\\n' < /proc/$PPID/environ; echo end"
      const server = yield* bstar(
        [...runArgs("primary", yield* freeEndpoints, heartbeat), "--", "sh", "-c", script],
        { BSTAR_HTTP_TOKEN: "the-token-of-this-test", TEST_MARK: "kept" }
      )
      yield* server.waitForLine("end")
      assert.strictEqual(server.lines.filter((line) => line === "TEST_MARK=kept").length, 2)
      assert.notInclude(server.stdout(), "the-token-of-this-test")
    }))

  it.scopedLive("F23 SIGSTOP of a server without a peer: its command is not killed", () =>
    Effect.gen(function*() {
      const log = yield* makeLog
      const server = yield* startRun("primary", yield* freeEndpoints, heartbeat, [], child(log))
      const { group } = yield* log.started(1)
      // Until the peer has expired, only heartbeats renew the lease.
      yield* Effect.sleep("1200 millis")
      yield* server.kill("SIGSTOP")
      yield* Effect.sleep("2 seconds")
      const last = log.runs()[0]!.to
      yield* eventually(Effect.sync(() => log.runs()[0]!.to > last))
      assert.deepStrictEqual(log.runs().map((run) => [run.group, run.wasTerminated]), [[group, false]])
      yield* server.kill("SIGCONT")
      yield* server.kill("SIGTERM")
      assert.strictEqual((yield* server.exit).code, 0)
      assert.deepStrictEqual(server.lines.filter((line) => /was killed/.test(line)), [])
      assert.isTrue(log.runs()[0]!.wasTerminated)
    }))

  it.scopedLive("F23 SIGSTOP for 1.6 heartbeats of a server without a peer: its command keeps its process", () =>
    Effect.gen(function*() {
      const log = yield* makeLog
      const at = yield* freeEndpoints
      // The peer's port has to be probed within two heartbeats of the last one: time for that on a busy machine, too.
      const server = yield* startRun("primary", at, "4 seconds", [], child(log))
      const { group } = yield* log.started(1)
      const published = yield* publications(at.primary.state)
      // The first heartbeat is published for the new subscriber.
      yield* published.find(() => true)
      for (let stall = 0; stall < 2; stall++) {
        const from = server.lines.length
        yield* published.find(({ frames }) => String(frames[0]) === "3", published.entries.length)
        yield* server.kill("SIGSTOP")
        yield* Effect.sleep("6400 millis")
        yield* server.kill("SIGCONT")
        yield* server.waitForLine(/^I: this process stalled, but it has no peer/, from)
      }
      yield* Effect.sleep("500 millis")
      assert.deepStrictEqual(log.runs().map((run) => [run.group, run.wasTerminated]), [[group, false]])
    }))

  it.scopedLive("F23 SIGSTOP of a server whose peer starts meanwhile: its command is killed before the peer starts its own", () =>
    Effect.gen(function*() {
      const { log, restart, servers: { backup, primary } } = yield* startPair(["parent"])
      yield* primary.kill("SIGKILL")
      yield* log.started(2)
      yield* Effect.sleep("1200 millis")
      yield* backup.kill("SIGSTOP")
      yield* Effect.sleep("1200 millis")
      assert.isFalse(log.runs()[1]!.wasTerminated)
      const before = log.runs()[1]!.to
      const again = yield* restart("primary")
      yield* again.waitForLine(startedBy)
      assert.strictEqual(log.runs().length, 3)
      assert.isAtLeast(log.runs()[1]!.to, before)
      assertOneAtATime(log.runs())
      yield* backup.kill("SIGCONT")
      yield* backup.waitForLine("I: connected to primary (active), ready as passive")
      assertOneAtATime(log.runs())
    }))

  it.scopedLive("bstar run: exit code 64 without a role or a command", () =>
    Effect.gen(function*() {
      for (
        const args of [["run", "-p"], ["run", "-p", "--"], ["run", "--", "true"], ["run", "-p", "-b", "--", "true"]]
      ) {
        const server = yield* bstar(args)
        assert.strictEqual((yield* server.exit).code, 64, args.join(" "))
      }
    }))
})

import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { bstar, freeEndpoints, publications } from "../support/processes.ts"
import { eventually } from "../support/sockets.ts"
import type { Log } from "./commands.ts"
import { assertOneAtATime, child, makeLog, runArgs, startRun } from "./commands.ts"

/** Slow enough for a machine that stalls now and then. */
const heartbeat = "400 millis"

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
  it.scopedLive("runs the command on the active server only, and a stop moves it", () =>
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
      assert.deepStrictEqual(
        primary.lines.filter((line) => /was stopped$|stopped cleanly$|interrupted$/.test(line)),
        [`I: ${process.execPath} was stopped`, "I: stopped cleanly", "W: interrupted"]
      )
      assert.isTrue(log.lives()[0]!.wasAsked)

      const again = yield* restart("primary")
      yield* again.waitForLine("I: connected to backup (active), ready as passive")
      yield* backup.kill("SIGINT")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      yield* again.waitForLine(startedBy)
      assert.strictEqual(log.lives().length, 3)
      assertOneAtATime(log.lives())
    }))

  it.scopedLive("is killed with its server, before the other one starts its own", () =>
    Effect.gen(function*() {
      const { log, servers: { backup, primary } } = yield* startPair(["parent"])
      yield* primary.kill("SIGKILL")
      yield* primary.exit
      yield* backup.waitForLine(startedBy)
      const [first, second] = log.lives()
      assert.isFalse(first!.wasAsked)
      // The other server gives it two heartbeats from the last word.
      assert.isAbove(second!.from - first!.to, 100)
      assertOneAtATime(log.lives())
    }))

  it.scopedLive("is killed when its server stands still, which goes on as passive", () =>
    Effect.gen(function*() {
      const { log, servers: { backup, primary } } = yield* startPair(["parent"], ["--grace", "100 millis"])
      yield* primary.kill("SIGSTOP")
      yield* backup.waitForLine(startedBy)
      assert.isFalse(log.lives()[0]!.wasAsked)
      yield* primary.kill("SIGCONT")
      yield* primary.waitForLine("I: connected to backup (active), ready as passive")
      const { length } = primary.lines
      yield* backup.kill("SIGTERM")
      yield* backup.exit
      yield* primary.waitForLine(startedBy, length)
      assert.strictEqual(log.lives().length, 3)
      assertOneAtATime(log.lives())
    }))

  for (const [what, trait] of [["a command that ignores SIGTERM", "stubborn"], ["a grandchild", "parent"]] as const) {
    it.scopedLive(`kills ${what} when its grace is over, and says goodbye after that`, () =>
      Effect.gen(function*() {
        const { log, servers: { backup, primary } } = yield* startPair([trait], ["--grace", "600 millis"])
        yield* primary.kill("SIGTERM")
        assert.deepStrictEqual(yield* primary.exit, { code: 0, signal: null })
        yield* backup.waitForLine(startedBy)
        const [first] = log.lives()
        assert.isTrue(first!.wasAsked)
        assertOneAtATime(log.lives())
      }))
  }

  it.scopedLive("kills what a dead guardian leaves behind, and takes a new one", () =>
    Effect.gen(function*() {
      const { log, servers: { primary } } = yield* startPair(["parent"])
      const guardian = yield* guardianOf(primary)
      // A supervisor that ends a service may send this to all of its processes.
      process.kill(guardian, "SIGTERM")
      process.kill(guardian, "SIGINT")
      process.kill(guardian, "SIGKILL")
      yield* primary.waitForLine(/^W: .* was killed: its guardian died$/)
      const next = yield* primary.waitForLine(startedBy, primary.lines.length)
      assert.notInclude(next, `child of ${guardian}:`)
      assert.strictEqual(log.lives().length, 2)
      assertOneAtATime(log.lives())
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
    it.scopedLive(`ends in good order with the exit code of ${command.join(" ")}: ${code}`, () =>
      Effect.gen(function*() {
        const server = yield* startRun("primary", yield* freeEndpoints, "100 millis", [], command)
        assert.deepStrictEqual(yield* server.exit, { code, signal: null })
        assert.include(server.lines, line)
        assert.deepStrictEqual(server.lines.slice(-2), ["I: stopped cleanly", "W: interrupted"])
        assert.strictEqual(server.stderr(), "")
      }))
  }

  it.scopedLive("hands the command on when it has ended", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLog
      const at = yield* freeEndpoints
      const script = `echo $BSTAR_NODE_ROLE >> ${file}; while ! test -e ${file}.go; do sleep 0.02; done; ` +
        "test $BSTAR_NODE_ROLE = backup"
      const backup = yield* startRun("backup", at, heartbeat, [], ["sh", "-c", script])
      const primary = yield* startRun("primary", at, heartbeat, [], ["sh", "-c", script])
      yield* backup.waitForLine("I: connected to primary (active), ready as passive")
      fs.writeFileSync(`${file}.go`, "")
      assert.strictEqual((yield* primary.exit).code, 1)
      assert.strictEqual((yield* backup.exit).code, 0)
      assert.strictEqual(fs.readFileSync(file, "utf8"), "primary\nbackup\n")
    }))

  it.scopedLive("starts a command again that has failed, if it may", () =>
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

  it.scopedLive("starts a command again whatever its end, and stops when asked while it waits to", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const server = yield* startRun("primary", at, "100 millis", ["--restart", "always"], ["true"])
      const ended = "I: true has ended with exit code 0"
      yield* server.waitForLine(ended)
      yield* server.waitForLine(ended, server.lines.length)
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
    }))

  it.scopedLive("kills what the command leaves behind before it ends", () =>
    Effect.gen(function*() {
      const log = yield* makeLog
      const command = `${child(log, "stubborn").map((word) => `'${word}'`).join(" ")} & while ! test -s ${log.file}; ` +
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
      assert.include(fs.readFileSync(log.file, "utf8"), "asked")
    }))

  it.scopedLive("F18 secrets: neither the command nor its guardian inherits the token of HTTP", () =>
    Effect.gen(function*() {
      const script = "env; tr '\\0' '\\n' < /proc/$PPID/environ; echo end"
      const server = yield* bstar(
        [...runArgs("primary", yield* freeEndpoints, heartbeat), "--", "sh", "-c", script],
        { BSTAR_HTTP_TOKEN: "the-token-of-this-test", BSTAR_MARK: "kept" }
      )
      yield* server.waitForLine("end")
      assert.strictEqual(server.lines.filter((line) => line === "BSTAR_MARK=kept").length, 2)
      assert.notInclude(server.stdout(), "the-token-of-this-test")
    }))

  it.scopedLive("F23 a server without a peer does not kill its command while it stands still", () =>
    Effect.gen(function*() {
      const log = yield* makeLog
      const server = yield* startRun("primary", yield* freeEndpoints, heartbeat, [], child(log))
      const { group } = yield* log.started(1)
      // Until it is settled that nothing is received from a peer, the lease is renewed by heartbeats alone.
      yield* Effect.sleep("1200 millis")
      yield* server.kill("SIGSTOP")
      yield* Effect.sleep("2 seconds")
      const last = log.lives()[0]!.to
      yield* eventually(Effect.sync(() => log.lives()[0]!.to > last))
      assert.deepStrictEqual(log.lives().map((life) => [life.group, life.wasAsked]), [[group, false]])
      yield* server.kill("SIGCONT")
      yield* server.kill("SIGTERM")
      assert.strictEqual((yield* server.exit).code, 0)
      assert.deepStrictEqual(server.lines.filter((line) => /was killed/.test(line)), [])
      assert.isTrue(log.lives()[0]!.wasAsked)
    }))

  it.scopedLive("F23 SIGSTOP for 1.6 heartbeats of a server without a peer: its command keeps its process", () =>
    Effect.gen(function*() {
      const log = yield* makeLog
      const at = yield* freeEndpoints
      const server = yield* startRun("primary", at, "1 second", [], child(log))
      const { group } = yield* log.started(1)
      const published = yield* publications(at.primary.state)
      // The first is for the subscriber.
      yield* published.find(() => true)
      for (let stall = 0; stall < 2; stall++) {
        const from = server.lines.length
        yield* published.find(({ frames }) => String(frames[0]) === "3", published.entries.length)
        yield* server.kill("SIGSTOP")
        yield* Effect.sleep("1600 millis")
        yield* server.kill("SIGCONT")
        yield* server.waitForLine(/^I: this process stalled, but it has no peer/, from)
      }
      yield* Effect.sleep("500 millis")
      assert.deepStrictEqual(log.lives().map((life) => [life.group, life.wasAsked]), [[group, false]])
    }))

  it.scopedLive("F23 a server that stands still loses its command to a peer that starts meanwhile, and never late", () =>
    Effect.gen(function*() {
      const { log, restart, servers: { backup, primary } } = yield* startPair(["parent"])
      yield* primary.kill("SIGKILL")
      yield* log.started(2)
      yield* Effect.sleep("1200 millis")
      yield* backup.kill("SIGSTOP")
      yield* Effect.sleep("1200 millis")
      assert.isFalse(log.lives()[1]!.wasAsked)
      const before = log.lives()[1]!.to
      const again = yield* restart("primary")
      yield* again.waitForLine(startedBy)
      assert.strictEqual(log.lives().length, 3)
      assert.isAtLeast(log.lives()[1]!.to, before)
      assertOneAtATime(log.lives())
      yield* backup.kill("SIGCONT")
      yield* backup.waitForLine("I: connected to primary (active), ready as passive")
      assertOneAtATime(log.lives())
    }))

  it.scopedLive("needs a role and a command", () =>
    Effect.gen(function*() {
      for (
        const args of [["run", "-p"], ["run", "-p", "--"], ["run", "--", "true"], ["run", "-p", "-b", "--", "true"]]
      ) {
        const server = yield* bstar(args)
        assert.strictEqual((yield* server.exit).code, 64, args.join(" "))
      }
    }))
})

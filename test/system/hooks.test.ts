import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import * as fs from "node:fs"
import { makeLog } from "../support/commands.ts"
import type { Process } from "../support/processes.ts"
import { bstar, foreignPeer, freeEndpoints, serverArgs, startLine } from "../support/processes.ts"
import { eventTimeout } from "../support/times.ts"

const secret = "the-token-of-this-test"

/** A backup and its foreign primary. */
const makeBackup = (
  ...options: ReadonlyArray<string>
): Effect.Effect<
  { readonly backup: Process; readonly primary: Effect.Effect.Success<ReturnType<typeof foreignPeer>> },
  unknown,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const primary = yield* foreignPeer("primary", at)
    const backup = yield* bstar(
      [...serverArgs("backup", at, "400 millis"), "--policy", "hardened", ...options],
      { BSTAR_HTTP_TOKEN: secret, BSTAR_MARK: "kept" }
    )
    yield* backup.waitForLine(startLine.backup)
    yield* primary.subscribed
    return { backup, primary }
  })

const variables = "$BSTAR_NODE_HOOK $BSTAR_NODE_ROLE $BSTAR_NODE_PREVIOUS $BSTAR_NODE_STATE $BSTAR_NODE_CAUSE" +
  "${BSTAR_NODE_TERM:+ term $BSTAR_NODE_TERM}"

/** A hook that writes its environment and its input to a file. */
const recording = (file: string) => `echo "${variables}" >> ${file}; cat >> ${file}; echo >> ${file}`

describe("hooks as commands", () => {
  it.scopedLive("hooks: on-active and on-stop are called even if the server stops as soon as it is active", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const peer = yield* foreignPeer("backup", at)
      const server = yield* bstar([
        ...serverArgs("primary", at, "400 millis"),
        ...["--policy", "hardened", "--on-active", "echo active", "--on-stop", "echo stopped", "--http", "127.0.0.1:0"]
      ])
      yield* server.waitForLine(startLine.primary)
      yield* peer.subscribed
      yield* peer.publishUntil("2", server.waitForLine(/ready as active$/))
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
      assert.deepStrictEqual(server.lines.filter((line) => /: on-/.test(line)), [
        "I: on-active: active",
        "I: on-stop: stopped"
      ])
    }))

  it.scopedLive("hooks receive the transition as variables and JSON, and a stop waits for on-stop before the final heartbeat", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLog
      const { backup, primary } = yield* makeBackup(
        ...["--on-passive", recording(file)],
        ...["--on-active", `${recording(file)}; echo to standard output; echo to standard error >&2`],
        ...["--on-stop", `sleep 0.3; ${recording(file)}`]
      )
      yield* primary.publishUntil("3", backup.waitForLine("I: connected to primary (active), ready as passive"))
      const recorded = Effect.sync(() => fs.readFileSync(file, "utf8").split("\n").filter((line) => line !== ""))
      const lines = (count: number) =>
        Effect.repeat(recorded, { until: (lines) => lines.length >= count, schedule: Schedule.spaced("5 millis") })
          .pipe(
            Effect.zipRight(recorded),
            Effect.timeout(eventTimeout)
          )
      const [first, json] = yield* lines(2)
      assert.strictEqual(first, "on-passive backup BACKUP PASSIVE PeerActive")
      const { at, ...transition } = JSON.parse(json!)
      assert.deepStrictEqual(transition, {
        hook: "on-passive",
        role: "backup",
        from: "BACKUP",
        to: "PASSIVE",
        cause: "PeerActive",
        reason: "connected to primary (active), ready as passive",
        term: null
      })
      assert.isBelow(Math.abs(Date.now() - Date.parse(at)), 60_000)

      yield* primary.publishUntil("2", backup.waitForLine("I: on-active: to standard output"))
      yield* backup.waitForLine("I: on-active: to standard error")
      yield* backup.kill("SIGTERM")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      const all = yield* recorded
      assert.deepStrictEqual(all.filter((line) => line.startsWith("on-")), [
        "on-passive backup BACKUP PASSIVE PeerActive",
        "on-active backup PASSIVE ACTIVE PeerBackup term 1",
        "on-stop backup ACTIVE BACKUP Stopping term 1"
      ])
      assert.deepStrictEqual(
        backup.lines.filter((line) => /stopped cleanly|interrupted/.test(line)),
        ["I: stopped cleanly", "W: interrupted"]
      )
      assert.strictEqual(backup.stderr(), "")
    }))

  it.scopedLive("hooks that fail, hang, or leave a background process do not change the server", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLog
      const { backup, primary } = yield* makeBackup(
        ...["--on-passive", "echo first >&2; echo 'RTNETLINK answers: no such address' >&2; exit 3"],
        // It neither reads nor ends. Its background process is in its group.
        ...[
          "--on-active",
          `trap '' TERM; (trap '' TERM; while true; do echo >> ${file}; sleep 0.01; done) & sleep 100`
        ],
        ...["--on-stop", "sleep 30 & echo done"],
        ...["--hook-timeout", "500 millis"]
      )
      yield* primary.publishUntil(
        "3",
        backup.waitForLine(
          "E: the hook on-passive has failed: echo first >&2; echo 'RTNETLINK answers: no such address' >&2; exit 3: " +
            "exit code 3: RTNETLINK answers: no such address"
        )
      )
      yield* primary.publishUntil(
        "2",
        backup.waitForLine(/^E: the hook on-active has failed: it took longer than 500ms$/)
      )
      yield* Effect.sync(() => fs.statSync(file).size).pipe(
        Effect.flatMap((size) => Effect.delay(Effect.sync(() => fs.statSync(file).size === size), "100 millis")),
        Effect.repeat({ until: (isStill) => isStill }),
        Effect.timeout(eventTimeout)
      )
      yield* backup.kill("SIGTERM")
      yield* backup.waitForLine("I: on-stop: done")
      yield* backup.waitForLine("W: interrupted")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      // No failure has a stack.
      assert.notMatch(backup.stdout(), /^\s+at /m)
    }))

  it.scopedLive("F16 hooks leave no process of their group behind", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLog
      const recording = `while true; do echo >> ${file}; sleep 0.01; done`
      const { backup, primary } = yield* makeBackup(
        ...["--on-passive", `(trap '' TERM; ${recording}) & while ! test -s ${file}; do sleep 0.01; done; echo ready`],
        ...["--on-stop", "true"]
      )
      yield* primary.publishUntil("3", backup.waitForLine("I: on-passive: ready"))
      yield* backup.kill("SIGTERM")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      const { size } = fs.statSync(file)
      yield* Effect.sleep("100 millis")
      assert.strictEqual(fs.statSync(file).size, size)
    }))

  for (const status of [[], ["--http", "127.0.0.1:0"]]) {
    it.scopedLive(`F18 secrets: hooks do not inherit the HTTP token (${status[0] ?? "without --http"})`, () =>
      Effect.gen(function*() {
        const { backup, primary } = yield* makeBackup(
          ...["--on-passive", "env; echo end"],
          ...status
        )
        yield* primary.publishUntil("3", backup.waitForLine("I: on-passive: end"))
        assert.include(backup.lines, "I: on-passive: BSTAR_NODE_HOOK=on-passive")
        assert.include(backup.lines, "I: on-passive: BSTAR_MARK=kept")
        assert.deepStrictEqual(backup.lines.filter((line) => line.includes(secret)), [])
      }))
  }

  it.scopedLive("hooks: an invalid --hook-timeout is rejected", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const server = yield* bstar([
        ...serverArgs("primary", at, "100 millis"),
        ...["--on-active", "true", "--hook-timeout", "soon"]
      ])
      assert.strictEqual((yield* server.exit).code, 78)
      assert.include(server.stderr(), "E: --hook-timeout: expected a duration")
    }))
})

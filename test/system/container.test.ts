import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as path from "node:path"
import { child, makeLog, runArgs } from "../support/commands.ts"
import { foreignPeer, freeEndpoints, root, run, serverArgs, startLine } from "../support/processes.ts"
import { eventually } from "../support/sockets.ts"
import { safeHeartbeatMillis, steadyHeartbeatMillis } from "../support/times.ts"

const namespace = ["--pid", "--fork", "--mount-proc", "--kill-child"]

const isPossible = spawnSync("unshare", [...namespace, "true"]).status === 0

/** Starts `bstar` as process 1 of a namespace. Its id and signals are those of the outer namespace. */
const asProcess1 = (args: ReadonlyArray<string>, line: string | RegExp) =>
  Effect.gen(function*() {
    const outer = yield* run("unshare", [...namespace, process.execPath, path.join(root, "dist/bstar.js"), ...args])
    yield* outer.waitForLine(line)
    const pid = Number(execFileSync("ps", ["-o", "pid=", "--ppid", String(outer.pid)], { encoding: "utf8" }))
    return { ...outer, kill: (signal: NodeJS.Signals) => Effect.sync(() => process.kill(pid, signal)), pid }
  })

const zombiesOf = (pid: number) =>
  execFileSync("ps", ["-o", "stat=", "--ppid", String(pid)], { encoding: "utf8" }).split("\n").filter((stat) =>
    stat.startsWith("Z")
  ).length

describe.skipIf(!isPossible)("F16 process 1 of a container", () => {
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    it.scopedLive(`F16 ${signal} stops a server cleanly`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const server = yield* asProcess1(
          [...serverArgs("primary", at, `${safeHeartbeatMillis} millis`), "--policy", "hardened"],
          startLine.primary
        )
        yield* server.kill(signal)
        assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
        assert.include(server.lines, "I: stopped cleanly")
      }))
  }

  it.scopedLive("F16 a second signal ends the server at once, although the kernel ignores it for process 1", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const peer = yield* foreignPeer("backup", at)
      const server = yield* asProcess1(
        [
          ...serverArgs("primary", at, `${safeHeartbeatMillis} millis`),
          "--policy",
          "hardened",
          "--on-stop",
          "echo begun; sleep 60"
        ],
        startLine.primary
      )
      yield* peer.subscribed
      yield* peer.publishUntil("2", peer.receive("3"))
      yield* server.kill("SIGTERM")
      yield* server.waitForLine("I: on-stop: begun")
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 143, signal: null })
    }))

  it.scopedLive("F16 zombies of a command do not delay the stop", () =>
    Effect.gen(function*() {
      const log = yield* makeLog
      const server = yield* asProcess1(
        [
          ...runArgs("primary", yield* freeEndpoints, `${steadyHeartbeatMillis} millis`),
          "--grace",
          "300 millis",
          "--",
          ...child(log, "parent")
        ],
        /^child of /
      )
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
      assert.include(server.lines, "I: stopped cleanly")
    }))

  it.scopedLive("F16 a hook leaves no living process behind, and its zombie does not delay the stop", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const peer = yield* foreignPeer("primary", at)
      const server = yield* asProcess1(
        [
          ...serverArgs("backup", at, `${steadyHeartbeatMillis} millis`),
          "--policy",
          "hardened",
          "--on-passive",
          "sleep 60 & echo ready"
        ],
        startLine.backup
      )
      yield* peer.subscribed
      yield* peer.publishUntil("3", server.waitForLine("I: on-passive: ready"))
      // Node reaps only its own children. The documentation recommends an init.
      yield* eventually(Effect.sync(() => zombiesOf(server.pid) === 1))
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
    }))
})

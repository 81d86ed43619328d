import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { assertLinesInOrder } from "../support/pair.ts"
import type { Process } from "../support/processes.ts"
import { bstar, foreignPeer, freeEndpoints, root, run, serverArgs, startLine } from "../support/processes.ts"
import { steadyHeartbeatMillis } from "../support/times.ts"
import { block, canRun, temporaryFile, temporaryFolder } from "./readme.ts"

/** Stands in for systemd: it receives datagrams, and prints each of their lines. */
const listener = `
import array, os, socket, sys
address = sys.argv[1]
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("\\0" + address[1:] if address.startswith("@") else address)
print("listening", flush=True)
while True:
    data, ancillary, flags, sender = server.recvmsg(65536, 1024)
    # The sender of a barrier waits until its descriptor is closed.
    for level, kind, content in ancillary:
        if kind == socket.SCM_RIGHTS:
            for descriptor in array.array("i", content):
                os.close(descriptor)
    for line in data.decode().splitlines():
        print(line, flush=True)
`

const isPossible = canRun("python3") && canRun("systemd-notify")

if (!isPossible) {
  // eslint-disable-next-line no-console
  console.warn("skipped: python3 or systemd-notify is not there (apt-get install python3 systemd)")
}

/** Starts the stand-in for systemd at an address. */
const listen = (address: string): Effect.Effect<Process, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const systemd = yield* run("python3", ["-c", listener, address])
    yield* systemd.waitForLine("listening")
    return systemd
  })

const heartbeat = `${steadyHeartbeatMillis} millis`

/** A backup that systemd has started, and its foreign primary. */
const start = (address: string, env: NodeJS.ProcessEnv, ...options: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const systemd = yield* listen(address)
    const at = yield* freeEndpoints
    const primary = yield* foreignPeer("primary", at)
    const args = [...serverArgs("backup", at, heartbeat), "--policy", "hardened", ...options]
    const backup = yield* bstar(args, { NOTIFY_SOCKET: address, ...env })
    yield* primary.subscribed
    return { backup, primary, systemd }
  })

const socketIn = Effect.map(temporaryFolder, (folder) => path.join(folder, "notify"))

describe.skipIf(!isPossible)("a server under systemd", () => {
  const addresses = [
    ["that is a path", socketIn],
    ["that is abstract", Effect.sync(() => `@bstar-${crypto.randomUUID()}`)]
  ] as const
  for (const [where, address] of addresses) {
    it.scopedLive(`systemd: READY, the state and STOPPING are sent, to an address ${where}`, () =>
      Effect.gen(function*() {
        const { backup, primary, systemd } = yield* start(yield* address, {})
        yield* systemd.waitForLine("STATUS=backup BACKUP: Backup passive, waiting for primary (active)")
        yield* primary.publishUntil("3", systemd.waitForLine(/^STATUS=backup PASSIVE: connected to primary/))
        yield* backup.kill("SIGTERM")
        assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
        yield* systemd.waitForLine("STATUS=backup: stopping")
        assertLinesInOrder(
          systemd,
          "READY=1",
          "STATUS=backup BACKUP: Backup passive, waiting for primary (active)",
          "STATUS=backup PASSIVE: connected to primary (active), ready as passive",
          "STOPPING=1",
          "STATUS=backup: stopping"
        )
        assert.include(systemd.stdout(), "ready as passive (the peer reports ACTIVE)\n")
        assert.strictEqual(backup.stderr(), "")
      }))
  }

  it.scopedLive("systemd: WATCHDOG is sent while the process runs, and not during SIGSTOP", () =>
    Effect.gen(function*() {
      const { backup, systemd } = yield* start(yield* socketIn, { WATCHDOG_USEC: "400000" })
      const count = () => systemd.lines.filter((line) => line === "WATCHDOG=1").length
      const next = Effect.suspend(() => systemd.waitForLine("WATCHDOG=1", systemd.lines.length))
      yield* next
      yield* next
      yield* next
      // Messages that were sent before SIGSTOP arrive within a second.
      yield* backup.kill("SIGSTOP")
      yield* Effect.sleep("1 second")
      const before = count()
      yield* Effect.sleep("2 seconds")
      assert.strictEqual(count(), before)
      yield* backup.kill("SIGCONT")
      yield* next
    }))

  it.scopedLive("systemd: WATCHDOG is not sent if another process is to send it, or none", () =>
    Effect.gen(function*() {
      for (const env of [{ WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" }, {}]) {
        const { primary, systemd } = yield* start(yield* socketIn, env)
        yield* primary.publishUntil("3", systemd.waitForLine(/^STATUS=backup PASSIVE/))
        assert.notInclude(systemd.lines, "WATCHDOG=1")
      }
    }))

  it.scopedLive("systemd: hooks do not inherit its variables", () =>
    Effect.gen(function*() {
      const hook = "echo \"<$NOTIFY_SOCKET$WATCHDOG_USEC$WATCHDOG_PID>\""
      const { backup, primary } = yield* start(yield* socketIn, { WATCHDOG_USEC: "400000" }, "--on-passive", hook)
      yield* primary.publish("3")
      assert.strictEqual(yield* backup.waitForLine(/on-passive/), "I: on-passive: <>")
    }))

  it.scopedLive("systemd: a server whose notifications fail keeps running, and logs it once", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      fs.symlinkSync("/bin/sh", path.join(folder, "sh"))
      const at = yield* freeEndpoints
      const server = yield* bstar(serverArgs("primary", at, heartbeat), {
        NOTIFY_SOCKET: path.join(folder, "missing"),
        WATCHDOG_USEC: "100000",
        PATH: folder
      })
      yield* server.waitForLine(startLine.primary)
      assert.match(
        yield* server.waitForLine(/^W/),
        /^W: cannot notify systemd: systemd-notify: 127 .*not found/
      )
      yield* Effect.sleep("500 millis")
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
      assert.strictEqual(server.lines.filter((line) => line.includes("systemd")).length, 1)
    }))
})

const analyze = "systemd-analyze"

describe("the unit in the documentation", () => {
  it("is the file for deployment", () => {
    const file = fs.readFileSync(path.join(root, "src/docs/deploy/systemd/bstar@.service"), "utf8")
    assert.strictEqual(file.replace(/^#.*\n/, ""), block("ini", "src/docs/operate/deploy.md"))
  })
})

describe.skipIf(!canRun(analyze))("the unit in the documentation, for systemd", () => {
  it.scopedLive("systemd-analyze accepts the unit", () =>
    Effect.gen(function*() {
      const unit = block("ini", "src/docs/operate/deploy.md")
        .replace("/usr/bin/node", process.execPath)
        .replace("/opt/bstar", root)
      const file = yield* temporaryFile("bstar@.service", unit)
      const verified = yield* run(analyze, ["verify", file.replace("@.service", "@primary.service")])
      const { code } = yield* verified.exit
      // It also reports errors in other units of this machine.
      const errors = verified.stderr().split("\n").filter((line) => line.includes("bstar"))
      assert.deepStrictEqual([code, errors], [0, []], verified.stderr())
    }))
})

/** The files in `src/docs/operate/floating-ip.md`, on three hosts: an address that moves with the active server. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { isAvailable, makeEthernet } from "../support/ethernet.ts"
import { readyAsActive, readyAsPassive } from "../support/pair.ts"
import type { Process, Role } from "../support/processes.ts"
import { root, run } from "../support/processes.ts"
import { block, canRun, temporaryFile, temporaryFolder } from "./readme.ts"

const page = "src/docs/operate/floating-ip.md"

const hosts = { primary: "10.0.0.1/24", backup: "10.0.0.2/24", voter: "10.0.0.3/24" } as const

type Host = keyof typeof hosts

/** A folder with what the hooks need and this machine may lack. */
const programs = Effect.map(temporaryFolder, (folder) => {
  if (!canRun("arping")) {
    const script = `#!/bin/sh\nexec python3 ${path.join(root, "test/support/arping.py")} "$@"\n`
    fs.writeFileSync(path.join(folder, "arping"), script, { mode: 0o755 })
  }
  return folder
})

const makeHosts = Effect.gen(function*() {
  const { enter, execute } = yield* makeEthernet(hosts)
  const file = yield* temporaryFile("pair.toml", block("toml", page))
  const PATH = `${yield* programs}:${process.env.PATH}`
  const bstar = (host: Host, ...args: ReadonlyArray<string>) => {
    const [nsenter, ...prefix] = enter[host]
    return run(nsenter!, [...prefix, process.execPath, path.join(root, "dist/bstar.js"), ...args], { env: { PATH } })
  }
  const start = (role: Role) => bstar(role, role === "primary" ? "-p" : "-b", "--config", file)
  return {
    execute,
    bstar,
    start,
    startPair: Effect.gen(function*() {
      const backup = yield* start("backup")
      const primary = yield* start("primary")
      yield* primary.waitForLine(readyAsActive)
      yield* backup.waitForLine(readyAsPassive)
      return { primary, backup }
    }),
    startVoter: bstar("voter", "client", "--config", file, "--interval", "100ms"),
    hasAddress: (host: Host) =>
      Effect.map(execute(host, "ip -brief address show dev eth0"), (text) => text.includes(" 10.0.0.9/24"))
  }
})

/** A client that knows the floating address only has received a reply after this. */
const answered = (client: Process) =>
  Effect.suspend(() => client.waitForLine(/^I: server replied OK/, client.lines.length))

/** What systemd runs when a server has ended. */
const afterStop = /^ExecStopPost=-(.*)$/m.exec(block("ini", page))![1]!

describe.skipIf(!isAvailable())("a floating IP", () => {
  it.scopedLive(
    "the address moves to the backup when the primary is killed, if there is a voter, and back by a stop",
    () =>
      Effect.gen(function*() {
        const { bstar, execute, hasAddress, start, startPair, startVoter } = yield* makeHosts
        const servers = yield* startPair
        const client = yield* bstar("voter", "client", "--server", "tcp://10.0.0.9:5001", "--interval", "20ms")
        yield* answered(client)
        assert.isTrue(yield* hasAddress("primary"))
        assert.isFalse(yield* hasAddress("backup"))

        // Without a voter no request reaches the backup.
        yield* servers.primary.kill("SIGKILL")
        yield* servers.primary.exit
        yield* execute("primary", afterStop)
        yield* servers.backup.waitForLine(/the peer is down/)
        yield* Effect.sleep("1 second")
        assert.isFalse(servers.backup.lines.some((line) => readyAsActive.test(line)))

        yield* startVoter
        yield* servers.backup.waitForLine(readyAsActive)
        yield* answered(client)
        assert.isTrue(yield* hasAddress("backup"))

        // A stop removes the address by its hook, and the other server has it.
        const again = yield* start("primary")
        yield* again.waitForLine(readyAsPassive)
        yield* servers.backup.kill("SIGTERM")
        yield* again.waitForLine(/ready as active/)
        yield* answered(client)
        assert.deepStrictEqual([yield* hasAddress("primary"), yield* hasAddress("backup")], [true, false])
        // No hook has failed, not even that of a server that had no address to remove.
        for (const { stderr, stdout } of [servers.primary, servers.backup, again]) {
          assert.notMatch(stdout() + stderr(), /hook/)
        }
      }),
    60_000
  )
})

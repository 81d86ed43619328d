/** Host names and both address families, in a network namespace with its own name server. */
import { assert, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { root } from "../support/processes.ts"

const program = path.join(root, "dist/bstar.js")
const scenarios = path.join(import.meta.dirname, "hostNamesScenarios.mjs")

const enter = ["-rmn", "sh", "-c"]
const canEnter = spawnSync("unshare", [...enter, "ip link set lo up"]).status === 0

/** How long a look-up by the system takes without an answer. */
const systemLookUpMillis = 10_000

/** Runs a scenario of `hostNamesScenarios.mjs`, after more shell commands. Returns its results. */
const play = async (scenario: string, first = "true") => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-names-"))
  const file = (name: string, text: string) => {
    fs.writeFileSync(path.join(folder, name), text)
    return path.join(folder, name)
  }
  const resolv = file("resolv.conf", "nameserver 127.0.0.1\n")
  const hosts = file("hosts", "127.0.0.1 localhost\n::1 localhost\n")
  const script = `ip link set lo up && ${first} && mount --bind ${resolv} /etc/resolv.conf &&
    mount --bind ${hosts} /etc/hosts && exec "$0" "$@"`
  try {
    const { stdout } = await promisify(execFile)("unshare", [
      ...enter,
      script,
      process.execPath,
      scenarios,
      program,
      scenario
    ])
    return JSON.parse(stdout)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

describe.skipIf(!canEnter)(canEnter ? "host names" : "host names (skipped: this system has no namespaces)", () => {
  // The first line takes 0.3 s and the stop 0.1 s on an idle machine.
  it("F12 a name server that never answers delays neither the first line nor the stop, and is one warning", async () => {
    const { firstMillis, lines, stop } = await play("dead")
    assert.isBelow(firstMillis, systemLookUpMillis)
    assert.strictEqual(stop.code, 0)
    assert.isBelow(stop.millis, systemLookUpMillis)
    assert.lengthOf(lines.filter((line: string) => line.includes("look up")), 1)
  })

  it("F12 a name server that stops answering: the pair fails over as with addresses", async () => {
    const { failoverMillis, stop } = await play("silentLater")
    assert.isBelow(failoverMillis, systemLookUpMillis)
    assert.isBelow(stop.millis, systemLookUpMillis)
  })

  it("F12 a name that is known later, and a name whose address changes: the pair connects", async () => {
    await play("knownLater")
    await play("moved")
  })

  it("F13 hosts with IPv6 only: the pair connects by name, and the default frontend listens on IPv6", async () => {
    await play("ipv6Only")
  })

  it("F13 localhost with two addresses: both are tried, and crash evidence is taken at the connected one", async () => {
    const { failoverMillis } = await play("localhost")
    assert.isBelow(failoverMillis, systemLookUpMillis)
  })

  it("F13 localhost with keys, and another program at one of its addresses: the pair connects by the other one", async () => {
    await play("keys")
  })

  it("F13 a machine without IPv6: all defaults work over IPv4", async () => {
    await play("defaults", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
  })
})

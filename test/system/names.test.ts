/** Names of hosts and both families of addresses, in a network of its own that has its own name server. */
import { assert, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { root } from "../support/processes.ts"

const program = path.join(root, "dist/bstar.js")
const world = path.join(import.meta.dirname, "namesWorld.mjs")

const enter = ["-rmn", "sh", "-c"]
const canEnter = spawnSync("unshare", [...enter, "ip link set lo up"]).status === 0

/** Runs a scenario of `namesWorld.mjs`, after more shell commands, and gives what it has seen. */
const seen = async (scenario: string, first = "true") => {
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
      world,
      program,
      scenario
    ])
    return JSON.parse(stdout)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

describe.skipIf(!canEnter)(canEnter ? "names" : "names (skipped: no namespaces here)", () => {
  // On an idle machine 0.3 s and 0.1 s; the system's own look-up takes 10 s.
  it("F12 a name server that never answers delays neither the first line nor the end, and is one warning", async () => {
    const { firstMillis, lines, stop } = await seen("dead")
    assert.isBelow(firstMillis, 3000)
    assert.strictEqual(stop.code, 0)
    assert.isBelow(stop.millis, 3000)
    assert.lengthOf(lines.filter((line: string) => line.includes("look up")), 1)
  })

  it("F12 a name server that falls silent later: failover as with addresses", async () => {
    const { failoverMillis, stop } = await seen("silentLater")
    assert.isBelow(failoverMillis, 3 * 400)
    assert.isBelow(stop.millis, 3000)
  })

  it("F12 a name that is known later, and one that moves: the pair meets", async () => {
    await seen("knownLater")
    await seen("moved")
  })

  it("F13 hosts with IPv6 only work by name, and the default frontend listens on IPv6", async () => {
    await seen("ipv6Only")
  })

  it("F13 localhost that is both is tried both ways, and the one that was connected is the one that is probed", async () => {
    const { failoverMillis } = await seen("localhost")
    assert.isBelow(failoverMillis, 3 * 400)
  })

  it("F13 localhost with keys, and another program at one of its addresses: the pair meets at the other one", async () => {
    await seen("keys")
  })

  it("F13 a machine without IPv6: all defaults work over IPv4", async () => {
    await seen("defaults", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
  })
})

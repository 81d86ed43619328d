/** The commands in README and in the pages, as a reader types them. */
import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Settings from "../../src/settings/Settings.ts"
import { block, blocks, commandsIn, documentOf, documents, section } from "../support/documents.ts"
import { isAvailable, makeEthernet } from "../support/ethernet.ts"
import { readyAsActive, readyAsPassive } from "../support/pair.ts"
import type { Process } from "../support/processes.ts"
import { bstar, root, run } from "../support/processes.ts"
import { makeShell } from "../support/shell.ts"
import { temporaryFile, temporaryFolder } from "./readme.ts"

/** Lines of `sh` blocks that run `bstar`, with the lines that continue them, without comments. */
const commands = blocks("sh").flatMap(([file, code]) =>
  code.replaceAll("\\\n", " ").split("\n")
    .map((line) => line.replace(/ +#.*$/, "").trim())
    .filter((line) => /^(npx bstar|bstar|node dist\/bstar\.js) /.test(line))
    .map((line) => [file, line.replace(/^(npx bstar|bstar|node dist\/bstar\.js) /, "")] as const)
)

/** Arguments without quotes; enough for these blocks. */
const argumentsOf = (line: string): ReadonlyArray<string> => line.split(/ +/)

/** A line without what differs from run to run. */
const general = (line: string): string => line.replace(/client [0-9a-f]+/, "client").replaceAll(/\d+/g, "0")

/** Options that have no row of their own in the table. */
const everyCommand = ["--help", "--version", "--primary", "--backup", "--dashboard"]

/** Options of etcd, of Docker, and of the campaigns. */
const ofOthers = new Set([
  "--auto-compaction-retention",
  "--unsafe-no-fsync",
  "--init",
  "--core",
  "--kinds",
  "--command"
])

/** A configuration file with the lines of another one in place of its own. */
const withLines = (text: string, lines: string): string => {
  const tables = (toml: string) => toml.split(/^(?=\[)/m)
  const [, ...changed] = ["", ...tables(lines)]
  return tables(text).map((table) => {
    const [title] = table.split("\n")
    const other = changed.find((other) => other.startsWith(`${title}\n`)) ?? ""
    return other.split("\n").filter((line) => line.includes(" = ")).reduce((table, line) => {
      const [key] = line.split(" = ")
      const own = new RegExp(`(?<=\\(2\\).*\n)${key} = .*$`, "m")
      assert.match(table, own, `${title} ${key}`)
      return table.replace(own, line)
    }, table)
  }).join("")
}

const hosts = { one: "10.0.0.1/24", two: "10.0.0.2/24", three: "10.0.0.3/24", four: "10.0.0.4/24" } as const

type Host = keyof typeof hosts

/** Hosts, on which `bstar` and other commands can be run. */
const makeNetwork = Effect.map(makeEthernet(hosts), ({ enter, execute }) => ({
  start: (host: Host, ...args: ReadonlyArray<string>) => {
    const [nsenter, ...prefix] = enter[host]
    return run(nsenter!, [...prefix, process.execPath, path.join(root, "dist/bstar.js"), ...args])
  },
  execute
}))

/** Starts a pair of which the primary is active, and a client on a third host that has a reply. */
const startPairAndClient = (
  start: (host: Host, ...args: ReadonlyArray<string>) => Effect.Effect<Process, never, Scope.Scope>,
  servers: string,
  clients: string
) =>
  Effect.gen(function*() {
    const primary = yield* start("one", "-p", "--config", servers)
    const backup = yield* start("two", "-b", "--config", servers)
    yield* primary.waitForLine(readyAsActive)
    yield* backup.waitForLine(readyAsPassive)
    const client = yield* start("three", "client", "--config", clients, "--interval", "20ms")
    yield* client.waitForLine(/^I: server replied OK/)
    return { primary, backup, client }
  })

/** Repeats `bstar status` until the pair is healthy: on a busy machine a server may stall meanwhile. Returns its output. */
const untilHealthy = (status: Effect.Effect<Process, never, Scope.Scope>) =>
  Effect.scoped(
    Effect.flatMap(status, (process) => Effect.map(process.exit, ({ code }) => ({ code, text: process.stdout() })))
  ).pipe(
    Effect.repeat({ until: ({ code }) => code === 0 }),
    Effect.map(({ text }) => text)
  )

describe("commands in the documentation", () => {
  it("have known options only, and so have the sentences about them", () => {
    assert.isAbove(commands.length, 30)
    const flags = new Set([...Settings.all.map(({ flag }) => `--${flag}`), ...everyCommand])
    const named = documents.flatMap(([file, text]) =>
      [...text.matchAll(/`(?:bstar [a-z ]*)?(--[a-z-]+)[^`]*`/g)].map(([, flag]) => [file, flag!] as const)
    )
    assert.isAbove(named.length, 100)
    assert.deepStrictEqual(named.filter(([, flag]) => !flags.has(flag) && !ofOthers.has(flag)), [])
    const unknown = commands.flatMap(([file, line]) =>
      line.replace(/ -- .*$/, "").replaceAll(/"[^"]*"/g, "").split(/[ =]+/)
        .filter((word) => word.startsWith("--") && !flags.has(word))
        .map((word) => `${file}: ${word} in: bstar ${line}`)
    )
    assert.deepStrictEqual(unknown, [])
  })

  it.scopedLive("the demo prints what README shows", () =>
    Effect.gen(function*() {
      const demo = yield* bstar(["demo"])
      assert.deepStrictEqual(yield* demo.exit, { code: 0, signal: null }, demo.stderr())
      const [, shown] = /<!-- demo -->\n```\n([^]*?)\n```/.exec(documentOf("README.md"))!
      const printed = demo.stdout().split("\n").map(general)
      assert.deepStrictEqual(shown!.split("\n").filter((line) => !printed.includes(general(line))), [])
    }))

  // Their ports are fixed, so they run on a network of their own.
  const terminals = [["README.md", "Three terminals"], ["src/docs/learn/quickstart.md", "A pair by hand"]] as const
  for (const [file, heading] of terminals) {
    it.scopedLive.skipIf(!isAvailable())(
      `${file}: the three terminals are a pair and a client, which survives kill -9`,
      () =>
        Effect.gen(function*() {
          const [, section] = documentOf(file).split(`## ${heading}\n`)
          const lines = commands.filter(([from, line]) => from === file && section!.split("\n## ")[0]!.includes(line))
            .map(([, line]) => line)
          assert.strictEqual(lines.length, 3)
          const { enter: { host: [nsenter, ...enter] } } = yield* makeEthernet({ host: "10.0.0.1/24" })
          const start = (line: string) =>
            run(nsenter!, [...enter, process.execPath, path.join(root, "dist/bstar.js"), ...argumentsOf(line)])
          // The terminals are opened one after the other.
          const primary = yield* start(lines[0]!)
          yield* primary.waitForLine(/the peer is down/)
          const backup = yield* start(lines[1]!)
          yield* primary.waitForLine(readyAsActive)
          yield* backup.waitForLine(readyAsPassive)
          const client = yield* start(lines[2]!)
          yield* client.waitForLine(/^I: server replied OK/)
          yield* primary.kill("SIGKILL")
          yield* backup.waitForLine(readyAsActive)
          yield* client.waitForLine(/^I: server replied OK/, client.lines.length)

          const printed = [primary, backup, client].flatMap(({ stdout }) => stdout().split("\n")).map(general)
          const shown = documentOf(file).replace(/<!-- demo -->[^]*<!-- \/demo -->/, "").match(/^I: .*$/gm) ?? []
          assert.deepStrictEqual(shown.filter((line) => !printed.includes(general(line))), [])
        })
    )
  }

  it.scopedLive("two machines: after the copies of the page each machine has its own secret key only", () =>
    Effect.gen(function*() {
      const page = "src/docs/learn/two-machines.md"
      const folder = yield* temporaryFolder
      const { succeed } = yield* makeShell()
      const [copies, another] = blocks("sh").filter(([file, code]) => file === page && code.includes("scp "))
        .map(([, code]) => code.trim().split("\n"))
      assert.isTrue(copies !== undefined && another === undefined, "one block with copies")
      const rootOf = (host: string) => path.join(folder, host)
      // Each machine is a folder.
      const local = (line: string) => {
        const [, host = "10.0.0.1", command] = /^(?:ssh (\S+) )?(.*)$/.exec(line)!
        return command!.replace(/^scp/, "cp")
          .replaceAll(/(?<= )\/etc/g, path.join(rootOf(host), "etc"))
          .replaceAll(/(\S+):(?=\/etc)/g, (_, host: string) => rootOf(host))
      }
      const machines = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
      machines.forEach((host) => fs.mkdirSync(path.join(rootOf(host), "etc"), { recursive: true }))

      yield* succeed(`bstar init ${path.join(rootOf("10.0.0.1"), "etc/bstar")}`)
      yield* succeed(["set -e", ...copies!.map(local)].join("\n"))
      const secrets = machines.map((host) =>
        fs.readdirSync(rootOf(host), { recursive: true, encoding: "utf8" }).filter((file) =>
          file.endsWith("key_secret")
        )
      )
      assert.deepStrictEqual(secrets, [
        ["etc/bstar/keys/primary.key_secret"],
        ["etc/bstar/keys/backup.key_secret"],
        ["etc/bstar/keys/client-first/client.key_secret"]
      ])
      for (const [host, role] of [["10.0.0.1", "-p"], ["10.0.0.2", "-b"]] as const) {
        const file = path.join(rootOf(host), "etc/bstar/pair.toml")
        fs.writeFileSync(file, fs.readFileSync(file, "utf8").replaceAll(rootOf("10.0.0.1"), rootOf(host)))
        yield* succeed(`bstar config check ${role} --config ${file}`)
      }
    }))

  it.scopedLive.skipIf(!isAvailable())(
    "two machines: the steps of the page lead to a pair, a failover and a switchover",
    () =>
      Effect.gen(function*() {
        const steps = commands.filter(([file]) => file === "src/docs/learn/two-machines.md").map(([, line]) => line)
        const folder = path.join(yield* temporaryFolder, "bstar")
        const { start } = yield* makeNetwork
        const step = (host: Host, beginning: string) => {
          const [line, another] = steps.filter((line) => line.startsWith(beginning))
          assert.isTrue(line !== undefined && another === undefined, `one step that begins with ${beginning}`)
          return start(host, ...argumentsOf(line!.replace("/etc/bstar", folder)))
        }
        const succeed = (command: Effect.Effect<Process, never, Scope.Scope>) =>
          Effect.flatMap(command, (process) =>
            Effect.map(process.exit, (exit) => {
              assert.deepStrictEqual(exit, { code: 0, signal: null }, process.stdout() + process.stderr())
              return process.stdout()
            }))

        yield* succeed(step("one", "init"))
        const file = path.join(folder, "pair.toml")
        const lines = block("toml", "src/docs/learn/two-machines.md")
        fs.writeFileSync(file, withLines(fs.readFileSync(file, "utf8"), lines))
        yield* succeed(step("one", "config check"))
        const primary = yield* step("one", "-p")
        const backup = yield* step("two", "-b")
        yield* primary.waitForLine(readyAsActive)
        yield* backup.waitForLine(readyAsPassive)
        assert.include(yield* untilHealthy(step("three", "status")), "healthy: primary is active, backup stands by")
        yield* succeed(step("three", "doctor"))
        const client = yield* step("three", "client")
        yield* client.waitForLine(/^I: server replied OK/)
        yield* primary.kill("SIGKILL")
        yield* backup.waitForLine(readyAsActive)
        yield* client.waitForLine(/^I: server replied OK/, client.lines.length)
        const again = yield* step("one", "-p")
        yield* again.waitForLine(readyAsPassive)
        const switchover = [
          "switchover",
          "--http",
          "10.0.0.1:5011",
          "--reason",
          "once",
          "--token-file",
          path.join(folder, "token")
        ]
        yield* succeed(start("three", ...switchover))
        yield* again.waitForLine(/ready as active/)
        yield* client.waitForLine(/^I: server replied OK/, client.lines.length)
      })
  )

  it.scopedLive.skipIf(!isAvailable())(
    "a host is replaced: by the steps of the runbook clients go on, and the pair is healthy",
    () =>
      Effect.gen(function*() {
        const token = yield* temporaryFile("token", "the-token-of-this-test\n")
        const before = block("toml", "src/docs/operate/configuration.md").replace("/etc/bstar/token", token)
        const after = before.replaceAll("10.0.0.2", "10.0.0.4")
        const [old, file] = [yield* temporaryFile("old.toml", before), yield* temporaryFile("pair.toml", after)]
        const { start } = yield* makeNetwork
        const { backup, client, primary } = yield* startPairAndClient(start, old, file)

        yield* backup.kill("SIGTERM")
        assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
        const another = yield* start("four", "-b", "--config", file)
        yield* another.waitForLine(readyAsPassive)
        yield* primary.kill("SIGTERM")
        yield* another.waitForLine(/ready as active/)
        assert.deepStrictEqual(yield* primary.exit, { code: 0, signal: null })
        const again = yield* start("one", "-p", "--config", file)
        yield* again.waitForLine(readyAsPassive)
        yield* client.waitForLine(/^I: server replied OK/, client.lines.length)
        yield* untilHealthy(start("three", "status", "--http", "10.0.0.4:5012"))
      })
  )

  it.scopedLive.skipIf(!isAvailable())(
    "a link is cut, and both servers are active: by the steps of the runbook one stops, and stands by when the link is whole",
    () =>
      Effect.gen(function*() {
        const token = yield* temporaryFile("token", "the-token-of-this-test\n")
        const file = yield* temporaryFile(
          "pair.toml",
          block("toml", "src/docs/operate/configuration.md").replace("/etc/bstar/token", token)
        )
        const [status] = commandsIn(section("src/docs/operate/runbooks.md", "Cut link"))
        const ask = status!.replace(/^bstar /, "").replace(" H1 ", " 10.0.0.1:5011 ").replace(/ H2$/, " 10.0.0.2:5012")
        const { execute, start } = yield* makeNetwork
        const { backup, client } = yield* startPairAndClient(start, file, file)

        // Frames to a hardware address that no host has are lost.
        const nowhere = "lladdr 02:00:00:00:00:99 dev eth0 nud permanent"
        yield* execute("one", `ip neighbour replace 10.0.0.2 ${nowhere}`)
        yield* execute("two", `ip neighbour replace 10.0.0.1 ${nowhere}`)
        const vote = yield* start("three", "client", "--server", "tcp://10.0.0.2:5002", "--interval", "20ms")
        yield* vote.waitForLine(/^I: server replied OK/)
        const both = yield* start("three", ...argumentsOf(ask))
        assert.strictEqual((yield* both.exit).code, 3, both.stdout() + both.stderr())
        const doctor = yield* start("three", ...argumentsOf(ask.replace("status", "doctor")))
        assert.strictEqual((yield* doctor.exit).code, 1)
        assert.include(doctor.stdout(), "both servers are active")

        yield* backup.kill("SIGTERM")
        assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
        yield* client.waitForLine(/^I: server replied OK/, client.lines.length)
        yield* execute("one", "ip neighbour delete 10.0.0.2 dev eth0")
        yield* execute("two", "ip neighbour delete 10.0.0.1 dev eth0")
        const again = yield* start("two", "-b", "--config", file)
        yield* again.waitForLine(readyAsPassive)
        yield* client.waitForLine(/^I: server replied OK/, client.lines.length)
        yield* untilHealthy(start("three", ...argumentsOf(ask)))
      })
  )
})

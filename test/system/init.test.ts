import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { freePorts } from "../support/ports.ts"
import { bstar, startLine } from "../support/processes.ts"
import { canRun, temporaryFolder } from "./readme.ts"

const initialize = (directory: string) =>
  Effect.gen(function*() {
    const init = yield* bstar(["init", directory])
    return { ...yield* init.exit, stdout: init.stdout(), stderr: init.stderr() }
  })

const filesOf = (directory: string) =>
  Object.fromEntries(
    fs.readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .map(({ name, parentPath }) => path.join(parentPath, name))
      .map((file) => [file, fs.readFileSync(file, "utf8")])
  )

/** Replaces each port in the file with a free one, the same wherever it occurs. */
const withFreePorts = (file: string) =>
  Effect.gen(function*() {
    const text = fs.readFileSync(file, "utf8")
    const used = [...new Set(text.match(/\b50\d\d\b/g))]
    const ports = yield* Effect.promise(() => freePorts(used.length))
    fs.writeFileSync(file, text.replaceAll(/\b50\d\d\b/g, (port) => String(ports[used.indexOf(port)])))
  })

describe("bstar init", () => {
  it.scopedLive("writes files from which a pair starts, answers its client, and fails over", () =>
    Effect.gen(function*() {
      const directory = path.join(yield* temporaryFolder, "a pair")
      const { code, stderr, stdout } = yield* initialize(directory)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      const config = path.join(directory, "pair.toml")
      const steps = [
        `bstar.js -p --config '${config}'`,
        `bstar.js -b --config '${config}'`,
        `bstar.js client --config '${config}'`
      ]
      for (const step of steps) {
        assert.include(stdout, step)
      }
      assert.strictEqual(fs.statSync(path.join(directory, "token")).mode & 0o777, 0o600)
      yield* withFreePorts(config)

      const check = yield* bstar(["config", "check", "--config", config])
      assert.deepStrictEqual(yield* check.exit, { code: 0, signal: null })
      const primary = yield* bstar(["-p", "--config", config])
      yield* primary.waitForLine(startLine.primary)
      const backup = yield* bstar(["-b", "--config", config])
      yield* backup.waitForLine(/ready as passive/)
      const client = yield* bstar(["client", "--config", config, "--interval", "20ms"])
      yield* client.waitForLine("I: server replied OK (5)")
      yield* primary.kill("SIGKILL")
      yield* backup.waitForLine(/ready as active/)
      const replied = client.lines.length
      yield* client.waitForLine(/server replied OK/, replied)
    }))

  it.scopedLive("refuses to overwrite anything, and then writes nothing", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryFolder
      assert.strictEqual((yield* initialize(directory)).code, 0)
      const before = filesOf(directory)
      const again = yield* initialize(directory)
      assert.strictEqual(again.code, 78)
      assert.match(again.stderr, /^E: .*pair\.toml exists already; nothing is overwritten: name another directory\n$/)
      fs.rmSync(path.join(directory, "pair.toml"))
      assert.match((yield* initialize(directory)).stderr, /^E: .*keys exists already/)
      const { [path.join(directory, "pair.toml")]: _, ...rest } = before
      assert.deepStrictEqual(filesOf(directory), rest)
    }))

  it.scopedLive.skipIf(!canRun("systemd-analyze"))("writes units that systemd accepts", () =>
    Effect.gen(function*() {
      const directory = path.join(yield* temporaryFolder, "100% a pair")
      assert.strictEqual((yield* initialize(directory)).code, 0)
      const { status, stderr } = spawnSync(
        "systemd-analyze",
        ["verify", ...["primary", "backup"].map((role) => path.join(directory, `bstar-${role}.service`))],
        { encoding: "utf8" }
      )
      assert.deepStrictEqual([status, stderr.split("\n").filter((line) => line.includes("bstar-"))], [0, []])
    }))
})

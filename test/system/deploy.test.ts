/** The files for deployment: they are well-formed, and what they name exists. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { parse as parseToml } from "smol-toml"
import { parseAllDocuments } from "yaml"
import * as Settings from "../../src/settings/Settings.ts"
import { output } from "../support/npm.ts"
import { bstar, freeAddresses, freeEndpoints, root, run, serverArgs, startLine } from "../support/processes.ts"
import { canRun, temporaryFolder } from "./readme.ts"

const folder = path.join(root, "src/docs/deploy")

const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => path.extname(name) !== "")
  .concat("Dockerfile")

const read = (file: string) => fs.readFileSync(path.join(folder, file), "utf8")

const yaml = (file: string): ReadonlyArray<any> =>
  parseAllDocuments(read(file), { merge: true, uniqueKeys: true }).map((document) => {
    assert.deepStrictEqual([...document.errors, ...document.warnings], [], file)
    return document.toJS()
  })

const settings = (source: Settings.Source) => Settings.all.filter(({ from }) => from.includes(source))

const source = path.join(root, "src")

const metrics = new Set(
  fs.readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts")).flatMap((name) =>
    [...fs.readFileSync(path.join(source, name), "utf8").matchAll(/"(bstar_[a-z_]+)"/g)].map(([, metric]) => metric!)
  )
)

/** Folders of secrets in the files, which are not there on this machine. */
const secretFolders = /\/run\/secrets|\/etc\/bstar-secrets/g

/** A folder with the secrets that the files name. */
const secrets = Effect.tap(temporaryFolder, (folder) =>
  Effect.sync(() => {
    for (const name of ["witness-password", "operator-token"]) {
      fs.writeFileSync(path.join(folder, name), "0123456789abcdef0123456789abcdef", { mode: 0o600 })
    }
  }))

/** `bstar config check` accepts the settings, and finds no fault. */
const check = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  Effect.gen(function*() {
    const checked = yield* bstar(["config", "check", ...args], env)
    assert.strictEqual((yield* checked.exit).code, 0, checked.stdout() + checked.stderr())
  })

describe("the files for deployment", () => {
  it("deploy: are well-formed", () => {
    for (const file of files.filter((name) => name.endsWith(".yaml"))) {
      assert.isNotEmpty(yaml(file), file)
    }
    assert.isNotEmpty(JSON.parse(read("grafana/bstar.json")).panels)
    assert.property(parseToml(read("systemd/pair.toml")), "primary")
  })

  it("deploy: name only variables and metrics that exist", () => {
    const text = files.map(read).join("\n")
    const variables = new Set(settings("environment").map(({ variable }) => variable))
    const named = [...text.matchAll(/\bBSTAR_[A-Z_]+/g)].map(([name]) => name)
    assert.isNotEmpty(named)
    assert.deepStrictEqual(named.filter((name) => !variables.has(name)), [])
    const counted = [...text.matchAll(/\bbstar_[a-z_]+/g)].map(([name]) => name)
    assert.isNotEmpty(counted)
    assert.deepStrictEqual(
      counted.filter((name) => !metrics.has(name) && !metrics.has(name.replace(/_(bucket|sum|count)$/, ""))),
      []
    )
  })

  it.scopedLive("deploy: bstar accepts the settings of each server and client", () =>
    Effect.gen(function*() {
      const folder = yield* secrets
      const withSecrets = (text: string) => text.replaceAll(secretFolders, folder)
      yield* check(["--config", path.join(root, "src/docs/deploy/systemd/pair.toml")])

      const [{ data }] = yaml("kubernetes/pair.yaml")
      const config = path.join(folder, "pair.toml")
      fs.writeFileSync(config, withSecrets(data["pair.toml"]))
      yield* check(["--config", config])

      const { services } = yaml("compose.yaml")[0]
      for (const role of ["primary", "backup"]) {
        const { command, environment } = services[role]
        const values = Object.entries<string>(environment).map(([name, value]) => [name, withSecrets(value)])
        yield* check(command, Object.fromEntries(values))
      }
      const flags = new Set(settings("option").map(({ flag }) => `--${flag}`))
      assert.deepStrictEqual(
        services.client.command.filter((word: string) => word.startsWith("--") && !flags.has(word)),
        []
      )
      const hosts = (text: string) => [...text.matchAll(/tcp:\/\/(\w+):/g)].map(([, host]) => host!)
      const named = [...hosts(JSON.stringify(services.client)), ...hosts(JSON.stringify(services.primary))]
      assert.deepStrictEqual(named.filter((host) => services[host] === undefined), [])
    }))

  it.scopedLive("deploy: the health check of the image tells a server from none", () =>
    Effect.gen(function*() {
      const [, command] = /HEALTHCHECK .*\\\n *CMD (\[.*\])/.exec(read("Dockerfile"))!
      const [, script, code]: [string, string, string] = JSON.parse(command!)
      const http = (yield* freeAddresses).primary
      const healthy = Effect.flatMap(
        run(process.execPath, [script, code], { env: { BSTAR_HTTP: http } }),
        ({ exit }) => Effect.map(exit, ({ code }) => code)
      )
      assert.strictEqual(yield* healthy, 1)
      const server = yield* bstar([
        ...serverArgs("primary", yield* freeEndpoints, "1 second"),
        ...["--policy", "hardened", "--http", http]
      ])
      yield* server.waitForLine(startLine.primary)
      assert.strictEqual(yield* healthy, 0)
    }))

  it.scopedLive.skipIf(!canRun("promtool"))(
    "deploy: promtool accepts the alert rules, and they fire when they should",
    () =>
      Effect.gen(function*() {
        const at = path.join(folder, "prometheus")
        yield* output("promtool", ["check", "config", "prometheus.yaml"], at)
        yield* output("promtool", ["test", "rules", "alertTests.yaml"], at)
      })
  )

  it.scopedLive.skipIf(!canRun("systemd-analyze"))("deploy: systemd accepts the unit", () =>
    Effect.gen(function*() {
      const at = yield* temporaryFolder
      // The program is not where the unit has it.
      const unit = read("systemd/bstar@.service").replace("/usr/bin/node", process.execPath)
      fs.writeFileSync(path.join(at, "bstar@.service"), unit)
      const verified = yield* run("systemd-analyze", ["verify", path.join(at, "bstar@.service")])
      assert.strictEqual((yield* verified.exit).code, 0, verified.stderr())
      assert.notMatch(verified.stderr(), /bstar@/)
    }))
})

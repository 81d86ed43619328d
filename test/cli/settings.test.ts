/** A setting needs one entry in the table: everything else is derived from it. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Effect, Exit, Layer, Option } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { format } from "node:util"
import * as bstar from "../../src/cli/bstar.ts"
import { Output } from "../../src/cli/output.ts"
import * as Keygen from "../../src/security/Keygen.ts"
import { InvalidConfig } from "../../src/settings/InvalidConfig.ts"
import * as Settings from "../../src/settings/Settings.ts"
import { example } from "../support/certificates.ts"

const output = Layer.succeed(Output, {
  written: Effect.void,
  failed: Effect.never,
  neverWait: Effect.void,
  onDropped: () => {}
})

/** Runs a command line in this process. */
const run = (args: ReadonlyArray<string>, environment: { readonly [name: string]: string } = {}) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const write = (...parts: ReadonlyArray<unknown>) => void lines.push(format(...parts))
    yield* Effect.acquireRelease(
      Effect.sync(() => Object.assign(process.env, environment)),
      () =>
        Effect.sync(() => {
          for (const name of Object.keys(environment)) {
            delete process.env[name]
          }
        })
    )
    const exit = yield* Console.consoleWith((console) =>
      bstar.run(["node", "bstar", ...args]).pipe(
        Effect.exit,
        Effect.withConsole({
          ...console,
          log: (...parts) => Effect.sync(() => write(...parts)),
          error: (...parts) => Effect.sync(() => write(...parts)),
          unsafe: { ...console.unsafe, log: write, error: write }
        })
      )
    )
    const error = Exit.isFailure(exit) ? Option.getOrThrow(Cause.failureOption(exit.cause)) : undefined
    return {
      error,
      text: lines.join("\n").replaceAll(/\x1b\[[0-9;]*m/g, ""),
      issues: error instanceof InvalidConfig ? error.issues.map(({ field }) => field) : []
    }
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer, output))
  )

const invocations: { readonly [C in Settings.Command]: ReadonlyArray<string> } = {
  server: [],
  proxy: ["proxy"],
  run: ["run"],
  client: ["client"],
  legacy: ["client"],
  check: ["config", "check"],
  keygen: ["keygen"],
  fsm: ["fsm"],
  verify: ["verify"],
  status: ["status"],
  history: ["history"],
  doctor: ["doctor"],
  switchover: ["switchover"],
  pause: ["pause"],
  resume: ["resume"],
  promote: ["promote"],
  witnessStatus: ["witness", "status"],
  witnessInit: ["witness", "init"]
}

const has = (source: Settings.Source) => ({ from }: Settings.Setting) => from.includes(source)

/** The settings that `bstar config check` checks. */
const checked = Settings.of("server", "proxy", "run").filter(({ key }) => key !== "role" && key !== "config")

/** A directory with keys, secrets and certificates. */
const directory = Effect.acquireRelease(
  Effect.gen(function*() {
    const path_ = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-"))
    yield* Effect.orDie(Keygen.pair(path.join(path_, "keys")))
    const files = { token: "a-token", password: "a-password", ...example }
    for (const [name, content] of Object.entries(files)) {
      fs.writeFileSync(path.join(path_, name), content)
    }
    return path_
  }),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

/** Some valid text for a setting. */
const exampleOf = (setting: Settings.Setting, directory: string): string => {
  const { decode, fromText, placeholder } = setting.kind
  const ofFiles: { readonly [key: string]: string } = {
    keys: `${directory}/keys`,
    httpTokenFile: `${directory}/token`,
    witnessPasswordFile: `${directory}/password`,
    witnessCa: `${directory}/certificate`,
    witnessCert: `${directory}/certificate`,
    witnessKey: `${directory}/key`
  }
  const examples = [
    ...setting.key === "policy" ? ["witnessed"] : [],
    // Addresses of one server have to differ.
    ...setting.key === "frontend" ? ["tcp://127.0.0.1:5001"] : [],
    ...setting.key === "backend" ? ["tcp://127.0.0.1:5002"] : [],
    ...setting.key === "peerEndpoint" ? ["tcp://127.0.0.1:5008"] : [],
    ...setting.key === "peerHttp" ? ["127.0.0.1:5007"] : [],
    ...setting.key === "witness" ? ["etcds://ann@127.0.0.1:2379/orders"] : [],
    ...["1h", "2", "100", "tcp://127.0.0.1:5009", "127.0.0.1:5009", "a.example"],
    ...placeholder.split("|")
  ]
  return ofFiles[setting.key] ?? examples.find((text) => decode(fromText(text)) !== undefined)!
}

describe("each entry of the table of settings", () => {
  for (const command of Object.keys(invocations) as ReadonlyArray<Settings.Command>) {
    it.effect(`of ${command} is in its help`, () =>
      Effect.gen(function*() {
        const { text } = yield* run([...invocations[command], "--help", "--all"])
        const words = text.replaceAll(/\s+/g, " ")
        for (const { flag, from, help, isFlags, kind, variable } of Settings.of(command).filter(has("option"))) {
          for (const option of isFlags === true ? kind.placeholder.split("|") : [flag]) {
            assert.include(words, `--${option}`)
          }
          assert.include(words, isFlags === true ? "Run the primary server." : help)
          if (from.includes("environment") && isFlags !== true) {
            assert.include(words, `Environment: ${variable}`)
          }
        }
      }))
  }

  it.scoped("can be given as an option, which bstar config check prints", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      const settings = checked.filter(has("option"))
      const { error, text } = yield* run([
        ...["config", "check", "-p"],
        ...settings.flatMap((setting) => [`--${setting.flag}`, exampleOf(setting, folder)])
      ])
      assert.isUndefined(error, String(error))
      for (const { flag } of settings) {
        assert.match(text, new RegExp(`^${flag} .* option --${flag}$`, "m"))
      }
    }))

  it.scoped("can be given in the environment, which bstar config check prints", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      const settings = checked.filter(has("environment"))
      const environment = Object.fromEntries(
        settings.map((setting) => [setting.variable, exampleOf(setting, folder)])
      )
      const { error, text } = yield* run(["config", "check", "-b"], environment)
      assert.isUndefined(error, String(error))
      // The token file has the token.
      for (const { flag, variable } of settings.filter(({ isSecret }) => isSecret !== true)) {
        assert.match(text, new RegExp(`^${flag} .* environment ${variable}$`, "m"))
      }
    }))

  it.scoped("can be given in a file, which bstar config check prints", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      const settings = checked.filter(has("file"))
      const file = path.join(folder, "pair.json")
      const content = Object.fromEntries(
        settings.map((setting) => [setting.flag, setting.kind.fromText(exampleOf(setting, folder))])
      )
      fs.writeFileSync(file, JSON.stringify({ backup: content }))
      const { error, text } = yield* run(["config", "check", "-b", "--config", file])
      assert.isUndefined(error, String(error))
      for (const { flag } of settings) {
        assert.match(text, new RegExp(`^${flag} .* file .*pair.json \\[backup\\]$`, "m"))
      }
    }))

  it.scoped("is named where its value is not valid, all at once", () =>
    Effect.gen(function*() {
      const options = checked.filter(has("option"))
      const typed = yield* run([
        "config",
        "check",
        "-p",
        ...options.flatMap(({ flag, kind }) => [
          `--${flag}`,
          // The parser drops an empty item of a list.
          kind.fileTypes.includes("object") ? " " : ""
        ])
      ])
      assert.sameMembers(typed.issues, options.map(({ flag }) => `--${flag}`))

      const variables = checked.filter(has("environment"))
      const set = yield* run(
        ["config", "check", "-p"],
        Object.fromEntries(variables.map(({ variable }) => [variable, ""]))
      )
      assert.sameMembers(set.issues, variables.map(({ variable }) => variable))

      const keys = checked.filter(has("file"))
      const file = path.join(yield* directory, "pair.json")
      fs.writeFileSync(file, JSON.stringify(Object.fromEntries(keys.map(({ flag }) => [flag, ""]))))
      const { issues } = yield* run(["-p", "--config", file])
      assert.sameMembers(issues, keys.map(({ flag }) => `${file}: ${flag}`))
    }))
})

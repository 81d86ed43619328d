import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import {
  bstar,
  dealer,
  type Endpoints,
  foreignPeer,
  freeEndpoints,
  publications,
  startLine
} from "../support/processes.ts"
import { block, temporaryFile, temporaryFolder } from "./readme.ts"

const configuration = 78

/** A file for both servers and their clients. */
const pairFile = ({ backup, primary }: Endpoints): string => `
policy = "hardened"
heartbeat = "200 millis"

[primary]
frontend = "${primary.frontend}"
state = "${primary.state}"
peer = "${backup.state}"

[backup]
frontend = "${backup.frontend}"
state = "${backup.state}"
peer = "${primary.state}"

[client]
server = ["${primary.frontend}", "${backup.frontend}"]
count = 3
interval = "10 millis"
`

describe("configuration file", () => {
  it.scopedLive("config file: one file configures both servers and their clients", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile("pair.toml", pairFile(yield* freeEndpoints))
      const primary = yield* bstar(["-p", "--config", file])
      const backup = yield* bstar(["-b"], { BSTAR_CONFIG: file })
      yield* primary.waitForLine(/ready as active/)
      yield* backup.waitForLine(/ready as passive/)
      const client = yield* bstar(["client", `--config=${file}`])
      assert.deepStrictEqual(yield* client.exit, { code: 0, signal: null })
      assert.strictEqual(client.lines.at(-1), "I: server replied OK (3)")
    }))

  it.scopedLive("config file: JSON is accepted, and may set the role", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* freeEndpoints
      const file = yield* temporaryFile(
        "backup.json",
        JSON.stringify({ "role": "backup", "log-format": "json", ...backup, "peer": primary.state })
      )
      const server = yield* bstar([], { BSTAR_CONFIG: file })
      const first = JSON.parse(yield* server.waitForLine(/waiting/))
      assert.deepStrictEqual([first.message, first.annotations.role], [startLine.backup.slice(3), "backup"])
      yield* server.kill("SIGTERM")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
      // The environment wins over the file, and an option over both.
      const primaryByName = yield* bstar([], { BSTAR_CONFIG: file, BSTAR_ROLE: "primary", BSTAR_LOG_FORMAT: "plain" })
      yield* primaryByName.waitForLine(startLine.primary)
      yield* primaryByName.kill("SIGKILL")
      yield* primaryByName.exit
      const typed = yield* bstar(["-b", "--log-format", "plain"], { BSTAR_CONFIG: file, BSTAR_ROLE: "primary" })
      yield* typed.waitForLine(startLine.backup)
    }))

  it.scopedLive("config file: the environment wins over the file, and an option over both", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const wrong = yield* freeEndpoints
      const file = yield* temporaryFile(
        "pair.toml",
        `frontend = "${at.primary.frontend}"\nstate = "${wrong.primary.state}"\npeer = "${wrong.backup.state}"\n`
      )
      const peer = yield* foreignPeer("backup", at)
      const server = yield* bstar(["-p", "--config", file, "--peer", at.backup.state], {
        BSTAR_STATE: at.primary.state,
        BSTAR_PEER: wrong.backup.frontend
      })
      // The option --peer.
      yield* peer.subscribed
      // BSTAR_STATE.
      yield* (yield* publications(at.primary.state)).more(1)
      // The frontend of the file.
      const client = yield* dealer(at.primary.frontend)
      yield* client.request("hello")
      yield* client.replies.find(({ frames }) => frames.join() === "hello")
      assert.deepStrictEqual(server.lines, [startLine.primary])
    }))

  it.scopedLive("config file: bstar run and bstar proxy read it", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* freeEndpoints
      const file = yield* temporaryFile(
        "pair.toml",
        `role = "primary"\nheartbeat = "100 millis"\nstate = "${primary.state}"\npeer = "${backup.state}"\n` +
          `frontend = "${primary.frontend}"\nbackend = "nowhere"\n`
      )
      const proxy = yield* bstar(["proxy", "--config", file])
      assert.deepStrictEqual(yield* proxy.exit, { code: configuration, signal: null })
      assert.match(proxy.stderr(), /pair\.toml: backend: .*"nowhere"/)
      fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace("backend = \"nowhere\"", ""))
      const node = yield* bstar(["run", "--config", file, "--", "sh", "-c", "echo begun; exit 7"])
      assert.deepStrictEqual(yield* node.exit, { code: 7, signal: null })
      assert.include(node.lines, "begun")
    }))

  it.scopedLive("config file: every error is reported at once", () =>
    Effect.gen(function*() {
      const content = `
hearbeat = "1 second"
heartbeat = "soon"
policy = "hard"
maxFailovers = 3
max-failovers = 0
crash-detection = "maybe"
on-active = ""
http = 99999
http-token = "a secret"
server = ["tcp://localhost:5001"]
zebra = 1

[primary]
role = "primary"
frontend = 5001

[backup]
state = "tcp://10.0.0.2:99999"
log_format = "json"

[backups]
drain = "1 second"

[client]
server = "tcp://localhost:5001"
heartbeat = "1 second"
`
      const file = yield* temporaryFile("pair.toml", content)
      const errors = [
        "hearbeat: unknown key; did you mean heartbeat?",
        "heartbeat: expected a duration from 10ms to 1h such as \"250ms\", \"1.5s\" or \"2 minutes\", got \"soon\"",
        "policy: expected \"classic\" or \"hardened\" or \"witnessed\", got \"hard\"; did you mean \"hardened\"?",
        "maxFailovers: unknown key; did you mean max-failovers?",
        "max-failovers: expected a whole number from 1 to 1000, got 0",
        "crash-detection: expected \"policy\" or \"on\" or \"off\", got \"maybe\"",
        "on-active: expected text such as \"a command\", got \"\"",
        "http: expected an address to listen on such as \"127.0.0.1:5011\", got 99999",
        "http-token: unknown key; did you mean http-token-file?",
        "server: does not belong here but into the table [client]",
        "zebra: unknown key",
        "backups: unknown key; did you mean backup?",
        "[primary] role: does not belong here but above the tables",
        "[primary] frontend: expected an endpoint to bind such as \"tcp://*:5001\", got 5001",
        "[backup] state: expected an endpoint to bind such as \"tcp://*:5001\", got \"tcp://10.0.0.2:99999\"",
        "[backup] log_format: unknown key; did you mean log-format?",
        "[client] server: expected a list of endpoints to connect to such as " +
        "[\"tcp://localhost:5001\",\"tcp://localhost:5002\"], got \"tcp://localhost:5001\"",
        "[client] heartbeat: does not belong here but above the tables"
      ].map((error) => `E: ${file}: ${error}`)
      for (
        const args of [["-p", "--config", file], ["config", "check", "--config", file], ["client", "--config", file]]
      ) {
        const process = yield* bstar(args)
        assert.deepStrictEqual(yield* process.exit, { code: configuration, signal: null })
        assert.sameMembers(process.stderr().trim().split("\n"), errors)
        assert.strictEqual(process.stdout(), "")
      }
    }))

  const unreadable: ReadonlyArray<readonly [name: string, content: string | undefined, message: RegExp]> = [
    ["none.toml", undefined, /^E: config: cannot read .*none\.toml: there is no such file\n$/],
    ["pair.yaml", "", /^E: config: expected the name of a file that ends in \.toml or \.json, got ".*pair\.yaml"\n$/],
    ["pair.toml", "a = 1\nb = ", /^E: .*pair\.toml:2:5: .*invalid value\n$/],
    ["pair.json", "{", /^E: .*pair\.json: not JSON: .*\n$/],
    ["pair.json", "[]", /^E: .*pair\.json: expected an object\n$/]
  ]
  for (const [name, content, message] of unreadable) {
    it.scopedLive(`config file: ${name} with ${JSON.stringify(content)} is rejected`, () =>
      Effect.gen(function*() {
        const file = yield* temporaryFile(content === undefined ? "other" : name, content ?? "")
        const process = yield* bstar(["-p", "--config", path.join(path.dirname(file), name)])
        assert.deepStrictEqual(yield* process.exit, { code: configuration, signal: null })
        assert.match(process.stderr(), message)
        assert.strictEqual(process.stdout(), "")
      }))
  }

  it.scopedLive("config file: a directory is rejected", () =>
    Effect.gen(function*() {
      const folder = path.join(yield* temporaryFolder, "pair.toml")
      fs.mkdirSync(folder)
      const process = yield* bstar(["-p", "--config", folder])
      assert.deepStrictEqual(yield* process.exit, { code: configuration, signal: null })
      assert.strictEqual(process.stderr(), `E: config: cannot read ${folder}: it is a directory\n`)
    }))

  it.scopedLive("config file: commands without settings do not read it", () =>
    Effect.gen(function*() {
      for (const args of [["--help"], ["--version"], ["fsm"]]) {
        const process = yield* bstar(args, { BSTAR_CONFIG: "/no/such.toml" })
        assert.deepStrictEqual(yield* process.exit, { code: 0, signal: null }, process.stderr())
      }
    }))

  it.scopedLive("config file: the file in the documentation is valid", () =>
    Effect.gen(function*() {
      const token = yield* temporaryFile("token", "a-secret\n")
      const file = yield* temporaryFile(
        "pair.toml",
        block("toml", "src/docs/operate/configuration.md").replace("/etc/bstar/token", token)
      )
      const check = yield* bstar(["config", "check", "--config", file])
      assert.deepStrictEqual(yield* check.exit, { code: 0, signal: null }, check.stderr())
    }))
})

describe("bstar config check", () => {
  it.scopedLive("config check: prints the source of each value, and no secret", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile(
        "pair.toml",
        "heartbeat = \"300 millis\"\n[primary]\nhttp = 5011\n[backup]\nhttp = 5012\n"
      )
      const check = yield* bstar(["config", "check", "--config", file, "-p", "--log-format", "json"], {
        BSTAR_DRAIN: "7 seconds",
        BSTAR_HTTP_TOKEN: "a-secret"
      })
      assert.deepStrictEqual(yield* check.exit, { code: 0, signal: null }, check.stderr())
      const rows = check.lines.map((line) => line.replaceAll(/ {2,}/g, " | "))
      for (
        const row of [
          "role | primary | option --primary",
          "frontend | tcp://*:5001 | default",
          `heartbeat | 300 millis | file ${file}`,
          `http | 5011 | file ${file} [primary]`,
          "drain | 7 seconds | environment BSTAR_DRAIN",
          "log-format | json | option --log-format",
          "http-token | (set) | environment BSTAR_HTTP_TOKEN",
          "restart | never | default"
        ]
      ) {
        assert.include(rows, row)
      }
      assert.notInclude(check.stdout(), "secret")
    }))

  it.scopedLive("config check: lone serve is valid with the policy hardened, and with classic names both fields", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile("pair.toml", "policy = \"hardened\"\n[backup]\nlone = \"serve\"\n")
      const check = yield* bstar(["config", "check", "-b", "--config", file])
      assert.deepStrictEqual(yield* check.exit, { code: 0, signal: null }, check.stderr())
      assert.include(
        check.lines.map((line) => line.replaceAll(/ {2,}/g, " | ")),
        `lone | serve | file ${file} [backup]`
      )
      const classic = yield* bstar(["config", "check", "-b", "--config", file, "--policy", "classic"])
      assert.deepStrictEqual(yield* classic.exit, { code: configuration, signal: null })
      assert.sameMembers(classic.stderr().trim().split("\n"), [
        "E: lone: \"serve\" needs the policy \"hardened\"",
        "E: policy: expected \"hardened\" where lone is \"serve\", got \"classic\""
      ])
    }))

  it.scopedLive("config check: without a role both servers are checked", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile(
        "pair.toml",
        "[primary]\ndrain = \"1 second\"\n[backup]\ndrain = \"2 seconds\"\n"
      )
      const check = yield* bstar(["config", "check"], { BSTAR_CONFIG: file })
      assert.deepStrictEqual(yield* check.exit, { code: 0, signal: null }, check.stderr())
      const drains = check.lines.filter((line) => line.startsWith("drain ")).map((line) => line.split(/ {2,}/)[1])
      assert.deepStrictEqual(drains, ["1 second", "2 seconds"])
    }))

  it.scopedLive("config check: errors in options, in the environment and in files are reported", () =>
    Effect.gen(function*() {
      const check = yield* bstar(["config", "check", "--state", "here", "--http-token-file", "/no/such/token"], {
        BSTAR_HEARTBEAT: "soon",
        BSTAR_MAX_FAILOVERS: "many",
        BSTAR_ROLE: "both",
        // Not read: the option wins.
        BSTAR_STATE: "there"
      })
      assert.deepStrictEqual(yield* check.exit, { code: configuration, signal: null })
      assert.sameMembers(check.stderr().trim().split("\n"), [
        "E: BSTAR_ROLE: expected \"primary\" or \"backup\", got \"both\"",
        "E: --state: expected an endpoint to bind such as \"tcp://*:5001\", got \"here\"",
        "E: BSTAR_HEARTBEAT: expected a duration from 10ms to 1h such as \"250ms\", \"1.5s\" or \"2 minutes\", got \"soon\"",
        "E: BSTAR_MAX_FAILOVERS: expected a whole number from 1 to 1000, got \"many\"",
        "E: http-token-file: cannot read /no/such/token: there is no such file"
      ])
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as zmq from "zeromq"
import type { Role } from "../support/processes.ts"
import {
  bstar,
  dealer,
  foreignPeer,
  freeEndpoints,
  other,
  roles,
  root,
  serverArgs,
  socket,
  startLine
} from "../support/processes.ts"

const usage = 64
const configuration = 78

const usageLine = /^Usage: bstar \{ -p \| -b \}/m

interface Invalid {
  readonly what: string
  readonly args: ReadonlyArray<string>
  readonly env?: NodeJS.ProcessEnv
  readonly code: number
  readonly message: RegExp
}

const invalid: ReadonlyArray<Invalid> = [
  { what: "no arguments", args: [], code: usage, message: usageLine },
  { what: "both roles", args: ["-p", "-b"], code: usage, message: usageLine },
  { what: "an unknown option", args: ["-p", "--bogus"], code: usage, message: /--bogus/ },
  { what: "an unknown subcommand", args: ["bogus"], code: usage, message: /^E: unknown command "bogus"; bstar --help/ },
  { what: "a bad heartbeat", args: ["-p", "--heartbeat", "soon"], code: configuration, message: /heartbeat.*"soon"/ },
  { what: "a heartbeat of zero", args: ["-p", "--heartbeat", "0 millis"], code: configuration, message: /heartbeat/ },
  { what: "a bad port", args: ["-p", "--frontend", "tcp://*:99999"], code: configuration, message: /frontend.*99999/ },
  {
    what: "a state that is not an endpoint",
    args: ["-b", "--state", "5003"],
    code: configuration,
    message: /state.*"5003"/
  },
  {
    what: "a peer with a wildcard",
    args: ["-b", "--peer", "tcp://*:5003"],
    code: configuration,
    message: /peer.*\*:5003/
  },
  {
    what: "two invalid values",
    args: ["-p", "--frontend", "here", "--heartbeat", "soon"],
    code: configuration,
    message: /frontend.*\n.*heartbeat/
  },
  { what: "an unknown policy", args: ["-p", "--policy", "bogus"], code: configuration, message: /policy/ },
  { what: "an unknown log format", args: ["-p", "--log-format", "bogus"], code: configuration, message: /log-format/ },
  { what: "a bad count", args: ["client", "--count", "many"], code: configuration, message: /count/ },
  { what: "a bad server", args: ["client", "--server", "here"], code: configuration, message: /server.*"here"/ },
  { what: "a bad timeout", args: ["client", "--timeout", "soon"], code: configuration, message: /timeout.*"soon"/ },
  {
    what: "a bad reconnect delay",
    args: ["client", "--legacy", "--reconnect-delay", "soon"],
    code: configuration,
    message: /reconnect-delay.*"soon"/
  },
  {
    what: "a reconnect delay without legacy",
    args: ["client", "--reconnect-delay", "1 second"],
    code: configuration,
    message: /reconnect-delay.*legacy/
  },
  {
    what: "a retry-after with legacy",
    args: ["client", "--legacy", "--retry-after", "1 second"],
    code: configuration,
    message: /retry-after.*legacy/
  },
  {
    what: "a bad retry-after",
    args: ["client", "--retry-after", "soon"],
    code: configuration,
    message: /retry-after.*"soon"/
  },
  { what: "a bad drain", args: ["-p", "--drain", "soon"], code: configuration, message: /drain.*"soon"/ },
  {
    what: "a bad crash detection",
    args: ["-p", "--crash-detection", "maybe"],
    code: configuration,
    message: /crash-detection.*"maybe"/
  },
  { what: "a bad lone", args: ["-b", "--lone", "never"], code: configuration, message: /lone.*"never"/ },
  {
    what: "lone serve with the policy classic",
    args: ["-b", "--lone", "serve"],
    code: configuration,
    message: /^E: lone: "serve" needs the policy "hardened"\nE: policy: expected "hardened" .*, got "classic"\n$/
  },
  { what: "BSTAR_LONE", args: ["-b"], env: { BSTAR_LONE: "serve" }, code: configuration, message: /lone.*\n.*policy/ },
  { what: "a bad interval", args: ["client", "--interval", "soon"], code: configuration, message: /interval/ },
  { what: "an unknown format", args: ["fsm", "--format", "bogus"], code: configuration, message: /format/ },
  { what: "BSTAR_POLICY", args: ["-p"], env: { BSTAR_POLICY: "bogus" }, code: configuration, message: /BSTAR_POLICY/ },
  {
    what: "BSTAR_LOG_FORMAT",
    args: ["-p"],
    env: { BSTAR_LOG_FORMAT: "bogus" },
    code: configuration,
    message: /BSTAR_LOG_FORMAT/
  },
  {
    what: "BSTAR_HEARTBEAT",
    args: ["-p"],
    env: { BSTAR_HEARTBEAT: "soon" },
    code: configuration,
    message: /heartbeat/i
  },
  { what: "BSTAR_FRONTEND", args: ["-b"], env: { BSTAR_FRONTEND: "here" }, code: configuration, message: /frontend/i },
  { what: "BSTAR_STATE", args: ["-b"], env: { BSTAR_STATE: "here" }, code: configuration, message: /state/i },
  { what: "BSTAR_PEER", args: ["-b"], env: { BSTAR_PEER: "here" }, code: configuration, message: /peer/i }
]

describe("errors on standard error", () => {
  for (const { args, code, env, message, what } of invalid) {
    it.scopedLive(`exit code ${code}: ${what}`, () =>
      Effect.gen(function*() {
        const process = yield* bstar(args, env)
        assert.deepStrictEqual(yield* process.exit, { code, signal: null })
        assert.match(process.stderr(), message)
        if (code === usage) {
          assert.match(process.stderr(), usageLine)
        }
        assert.strictEqual(process.stdout(), "")
      }))
  }

  it.scopedLive("exit code 1: the port of the frontend is in use, while the peer runs", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const squatter = yield* socket(() => new zmq.Router({ linger: 0 }))
      yield* Effect.promise(() => squatter.bind(at.backup.frontend))
      const peer = yield* bstar([...serverArgs("primary", at, "400 millis"), "--policy", "hardened"])
      yield* peer.waitForLine(startLine.primary)
      for (let attempt = 0; attempt < 5; attempt++) {
        const server = yield* bstar([...serverArgs("backup", at, "400 millis"), "--policy", "hardened"])
        assert.deepStrictEqual(yield* server.exit, { code: 1, signal: null })
      }
    }))

  for (const taken of ["frontend", "state"] as const) {
    it.scopedLive(`exit code 1: the port of the ${taken} is in use`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const squatter = yield* socket(() => new zmq.Router({ linger: 0 }))
        yield* Effect.promise(() => squatter.bind(at.primary[taken]))
        const server = yield* bstar(serverArgs("primary", at, "100 millis"))
        assert.deepStrictEqual(yield* server.exit, { code: 1, signal: null })
        assert.strictEqual(server.stderr(), `E: cannot bind ${at.primary[taken]}: the address is already in use\n`)
        assert.strictEqual(server.stdout(), "")
      }))
  }
})

const readyAsPassive: { readonly [R in Role]: string } = {
  primary: "I: connected to backup (active), ready as passive",
  backup: "I: connected to primary (active), ready as passive"
}

describe("a fatal verdict of the policy classic", () => {
  for (const role of roles) {
    it.scopedLive(`exit code 3: dual actives end a ${role}`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const server = yield* bstar(serverArgs(role, at, "100 millis"))
        yield* peer.subscribed
        // It becomes passive. Then its peer restarts, and it becomes active in either role.
        yield* peer.publishUntil("3", server.waitForLine(readyAsPassive[role]))
        const ready = yield* peer.publishUntil(
          "1",
          server.waitForLine("I: primary (passive) is restarting, ready as active")
        )
        yield* peer.publish("3")
        assert.deepStrictEqual(yield* server.exit, { code: 3, signal: null })
        assert.strictEqual(server.stderr(), "")
        assert.deepStrictEqual(server.lines, [
          startLine[role],
          readyAsPassive[role],
          ready,
          "E: fatal error - dual actives, aborting",
          "W: interrupted"
        ])
      }))

    it.scopedLive(`exit code 4: dual passives end a ${role}`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const server = yield* bstar(serverArgs(role, at, "100 millis"))
        yield* peer.subscribed
        yield* peer.publishUntil("3", peer.receive("4"))
        yield* peer.publish("4")
        assert.deepStrictEqual(yield* server.exit, { code: 4, signal: null })
        assert.strictEqual(server.stderr(), "")
        assert.deepStrictEqual(server.lines, [
          startLine[role],
          readyAsPassive[role],
          "E: fatal error - dual passives, aborting",
          "W: interrupted"
        ])
      }))
  }
})

const environmentOf = (role: Role, at: Effect.Effect.Success<typeof freeEndpoints>) => ({
  BSTAR_FRONTEND: at[role].frontend,
  BSTAR_STATE: at[role].state,
  BSTAR_PEER: at[other(role)].state,
  BSTAR_HEARTBEAT: "50 millis"
})

describe("settings", () => {
  for (const role of roles) {
    it.scopedLive(`settings: a ${role} reads them from the environment`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const server = yield* bstar([`--${role}`], environmentOf(role, at))
        // BSTAR_PEER.
        yield* peer.subscribed
        yield* peer.publishUntil("3", server.waitForLine(/ready as passive$/))
        yield* peer.publishUntil("2", server.waitForLine("I: backup (passive) is restarting, ready as active"))
        // BSTAR_FRONTEND.
        const client = yield* dealer(at[role].frontend)
        yield* client.request("hello")
        yield* client.replies.find(({ frames }) => frames.join() === "hello")
        // BSTAR_STATE and BSTAR_HEARTBEAT: a twentieth of the default of one second.
        const [first, ...rest] = yield* peer.received.more(10)
        assert.isBelow((rest.at(-1)!.at - first!.at) / rest.length, 1000)
      }))
  }

  it.scopedLive("settings: an option wins over the environment", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const server = yield* bstar(
        [...serverArgs("primary", at, "100 millis"), "--log-format", "plain", "--policy", "classic"],
        {
          BSTAR_FRONTEND: "bogus",
          BSTAR_STATE: "bogus",
          BSTAR_PEER: "bogus",
          BSTAR_HEARTBEAT: "bogus",
          BSTAR_LOG_FORMAT: "json",
          BSTAR_POLICY: "bogus"
        }
      )
      yield* server.waitForLine(startLine.primary)
    }))

  it.scopedLive("settings: a client reads them from the environment", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const server = yield* bstar(serverArgs("primary", at, "100 millis"))
      yield* server.waitForLine(startLine.primary)
      const client = yield* bstar(["client", "--legacy"], {
        BSTAR_SERVERS: `${at.backup.frontend},${at.primary.frontend}`,
        BSTAR_TIMEOUT: "50 millis",
        BSTAR_RECONNECT_DELAY: "20 millis",
        BSTAR_INTERVAL: "10 millis",
        BSTAR_COUNT: "1"
      })
      assert.deepStrictEqual(yield* client.exit, { code: 0, signal: null })
      assert.deepStrictEqual(client.lines.slice(0, 3), [
        `I: connecting to server at ${at.backup.frontend}...`,
        "W: no response from server, failing over",
        `I: connecting to server at ${at.primary.frontend}...`
      ])
      assert.strictEqual(client.lines.at(-1), "I: server replied OK (1)")
    }))

  const formats = [
    { from: "the command line", args: ["--log-format", "json"], env: {} },
    { from: "the environment", args: [], env: { BSTAR_LOG_FORMAT: "json" } }
  ]
  for (const { args, env, from } of formats) {
    it.scopedLive(`settings: the log has one JSON object a line, by ${from}`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer("backup", at)
        const server = yield* bstar([...serverArgs("primary", at, "100 millis"), ...args], env)
        yield* peer.subscribed
        yield* peer.publishUntil("2", server.waitForLine(/ready as active/))
        yield* peer.publish("3")
        assert.deepStrictEqual(yield* server.exit, { code: 3, signal: null })
        const entries = server.lines.map((line) => JSON.parse(line))
        assert.deepInclude(entries[0], { logLevel: "WARN" })
        assert.match(entries[0].message, /^the policy classic is .* proof of concept: .* --policy hardened$/)
        assert.deepStrictEqual(entries.slice(1).map(({ logLevel, message }) => [logLevel, message]), [
          ["INFO", "Primary active, waiting for backup (passive)"],
          ["INFO", "connected to backup (passive), ready as active"],
          ["ERROR", "fatal error - dual actives, aborting"],
          ["INFO", "interrupted"]
        ])
        assert.strictEqual(entries[1].annotations.role, "primary")
      }))
  }
})

describe("version and help", () => {
  it.scopedLive("--version prints the version of the package", () =>
    Effect.gen(function*() {
      const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
      const process = yield* bstar(["--version"])
      assert.deepStrictEqual(yield* process.exit, { code: 0, signal: null })
      assert.strictEqual(process.stdout().trim(), version)
      assert.strictEqual(process.stderr(), "")
    }))

  const helps = [
    {
      args: ["--help", "--all"],
      texts: [
        ...["--primary", "-p", "--backup", "-b", "--frontend", "--state", "--peer", "--heartbeat", "--policy"],
        ...["--log-format", "tcp://*:5001", "tcp://*:5002", "tcp://*:5003", "tcp://*:5004", "tcp://localhost:5003"],
        ...["tcp://localhost:5004", "BSTAR_FRONTEND", "BSTAR_STATE", "BSTAR_PEER", "BSTAR_HEARTBEAT"],
        ...[
          "BSTAR_POLICY",
          "BSTAR_LOG_FORMAT",
          "client",
          "fsm",
          "demo",
          "--crash-detection",
          "--drain",
          "BSTAR_CRASH_DETECTION",
          "BSTAR_DRAIN"
        ]
      ]
    },
    {
      args: ["client", "--help", "--all"],
      texts: [
        ...[
          "--server",
          "--timeout",
          "--reconnect-delay",
          "--legacy",
          "--retry-after",
          "BSTAR_RETRY_AFTER",
          "--interval",
          "--count",
          "tcp://localhost:5001",
          "tcp://localhost:5002"
        ],
        ...["BSTAR_SERVERS", "BSTAR_TIMEOUT", "BSTAR_RECONNECT_DELAY", "BSTAR_INTERVAL", "BSTAR_COUNT"]
      ]
    },
    { args: ["fsm", "--help"], texts: ["--format", "table", "mermaid", "json"] }
  ]
  for (const { args, texts } of helps) {
    it.scopedLive(`${args.join(" ")} names every option`, () =>
      Effect.gen(function*() {
        const process = yield* bstar(args)
        assert.deepStrictEqual(yield* process.exit, { code: 0, signal: null })
        const text = process.stdout()
        assert.deepStrictEqual(texts.filter((name) => !text.includes(name)), [])
        assert.strictEqual(process.stderr(), "")
      }))
  }
})

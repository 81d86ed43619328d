/** Command lines as users type them, also wrong ones. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { commands } from "../../src/cli/bstar.ts"
import { unknownVariables } from "../../src/cli/environment.ts"
import * as options from "../../src/cli/options.ts"
import { parse } from "../../src/cli/parse.ts"
import { UsageError } from "../../src/cli/usageError.ts"

const parsed = (line: string) => parse(commands, line.split(" ").filter((word) => word !== ""))

const errorOf = (line: string): UsageError => {
  try {
    parsed(line)
  } catch (error) {
    if (error instanceof UsageError) {
      return error
    }
    throw error
  }
  throw new Error(`no error: ${line}`)
}

const errors: ReadonlyArray<readonly [line: string, message: string, usage: string]> = [
  ["--backup --log-levl debug", "unknown option --log-levl; did you mean --log-level?", "bstar { -p | -b } [options]"],
  ["-p --polcy x", "unknown option --polcy; did you mean --policy?", "bstar { -p | -b } [options]"],
  ["-p --plicy=x", "unknown option --plicy; did you mean --policy?", "bstar { -p | -b } [options]"],
  ["client --coutn 1", "unknown option --coutn; did you mean --count?", "bstar client [options]"],
  ["-p -x", "unknown option -x", "bstar { -p | -b } [options]"],
  ["clent", `unknown command "clent"; did you mean bstar client?`, "bstar { -p | -b } [options]"],
  ["hlep", `unknown command "hlep"; did you mean bstar help?`, "bstar { -p | -b } [options]"],
  ["help clinet", `unknown command "clinet"; did you mean bstar client?`, "bstar { -p | -b } [options]"],
  ["bogus", `unknown command "bogus"; bstar --help lists the commands`, "bstar { -p | -b } [options]"],
  ["config", "bstar config needs a command: bstar config check", "bstar { -p | -b } [options]"],
  [
    "witness stauts",
    `bstar witness has no command "stauts"; did you mean bstar witness status?`,
    "bstar { -p | -b } [options]"
  ],
  ["-p --policy", "--policy needs a value: classic, hardened, witnessed", "bstar { -p | -b } [options]"],
  [
    "-p --policy --heartbeat 1s",
    "--policy needs a value: classic, hardened, witnessed, but --heartbeat follows",
    "bstar { -p | -b } [options]"
  ],
  ["client --keys", "--keys needs a value: DIR", "bstar client [options]"],
  [
    "fsm --json",
    "--json is not an option of bstar fsm but of bstar status, bstar history, bstar doctor and others",
    "bstar fsm [options]"
  ],
  ["client --legacy=on", "--legacy takes no value", "bstar client [options]"],
  ["client --count 1 --count 2", "--count is given twice", "bstar client [options]"],
  [
    "switchover --reason=--token-file",
    "--reason: the value cannot be an option, --token-file",
    "bstar switchover --reason TEXT [options]"
  ],
  ["client x", `bstar client takes no argument "x"`, "bstar client [options]"],
  ["keygen", "DIR is missing: the directory of the key files; it need not exist", "bstar keygen [options] DIR"],
  [
    "run -p",
    "COMMAND ... is missing: the command and its arguments",
    "bstar run { -p | -b } [options] [--] COMMAND ..."
  ],
  ["pause", "--reason TEXT is missing: why", "bstar pause --reason TEXT [options]"],
  ["-p -b", "give only one of -p and -b", "bstar { -p | -b } [options]"],
  [
    "-p --log-level debig",
    `--log-level: expected one of all, trace, debug, info, warning, error, fatal, none, got "debig"; did you mean debug?`,
    "bstar { -p | -b } [options]"
  ]
]

describe("a wrong command line says what was meant, and the usage of the right command in two lines", () => {
  for (const [line, message, usage] of errors) {
    it(`bstar ${line}`, () => {
      const error = errorOf(line)
      assert.strictEqual(error.message, message)
      assert.match(error.usage!, /^Usage: [^\n]+\n {7}bstar [^\n]*--help explains [^\n]+$/)
      assert.strictEqual(error.usage!.split("\n")[0], `Usage: ${usage}`)
    })
  }
})

describe("a command line", () => {
  const run = (line: string) => {
    const invocation = parsed(line)
    assert(invocation._tag === "Run")
    const { args, command, logLevel, operands } = invocation
    return { name: command.name, args, operands, logLevel }
  }

  it("has a command, options in any order, and values after = or a space", () => {
    assert.deepStrictEqual(run("-p --policy=hardened --http-host a --http-host b --frontend tcp://*:1"), {
      name: "",
      args: [
        ...["--primary", "--policy", "hardened", "--http-host", "a", "--http-host", "b", "--frontend", "tcp://*:1"]
      ],
      operands: [],
      logLevel: undefined
    })
    assert.deepStrictEqual(run("--log-level debug client --legacy --server a").name, "client")
    assert.deepStrictEqual(run("--config pair.toml config check -b").args, ["--backup", "--config", "pair.toml"])
    assert.strictEqual(run("--log-level debug client").logLevel, "debug")
    assert.deepStrictEqual(run("switchover --reason -5").args, ["--reason", "-5"])
  })

  it.effect("has the values of its options by the keys of their settings", () =>
    Effect.gen(function*() {
      const lines: ReadonlyArray<readonly [line: string, typed: options.Typed]> = [
        ["-b", { role: "backup" }],
        ["-p --http-host a --policy=hardened --http-host b", {
          role: "primary",
          policy: "hardened",
          httpHost: ["a", "b"]
        }],
        ["client --legacy --server tcp://a:1 --count 3", { legacy: true, servers: ["tcp://a:1"], count: "3" }],
        ["switchover --reason -5", { reason: "-5" }],
        ["-p -p", { role: "primary" }],
        ["status --watch --watch", { watch: true }],
        ["switchover --reason a=b=c", { reason: "a=b=c" }],
        ["switchover --reason=a=b", { reason: "a=b" }],
        ["run -p ls --help", { role: "primary" }],
        ["demo --dashboard", { dashboard: true }],
        ["init", {}]
      ]
      for (const [line, expected] of lines) {
        const invocation = parsed(line)
        assert(invocation._tag === "Run", line)
        let typed: options.Typed | undefined
        yield* options.run(invocation.command, invocation.args, (values) => Effect.sync(() => typed = values))
        assert.deepStrictEqual(typed, expected, line)
      }
    }).pipe(Effect.provide(NodeContext.layer)))

  it("of bstar run leaves everything from its command on to that", () => {
    assert.deepStrictEqual(run("run -p -- ls --help").operands, ["ls", "--help"])
    assert.deepStrictEqual(run("run -p ls -l -- --bogus").operands, ["ls", "-l", "--", "--bogus"])
  })

  it("asks for help or the version in each usual way", () => {
    for (const line of ["help client", "client --help", "client -h", "--help client", "client --server x -h"]) {
      const invocation = parsed(line)
      assert(invocation._tag === "Help", line)
      assert.strictEqual(invocation.command.name, "client", line)
      assert.isFalse(invocation.isAll)
    }
    for (const line of ["help", "--help", "-h", "-p --help"]) {
      const invocation = parsed(line)
      assert(invocation._tag === "Help", line)
      assert.strictEqual(invocation.command.name, "", line)
    }
    const all = parsed("help config check --all")
    assert(all._tag === "Help" && all.isAll && all.command.name === "config check")
    for (const line of ["-v", "--version"]) {
      assert.strictEqual(parsed(line)._tag, "Version")
    }
  })
})

describe("variables", () => {
  it("that are no settings are named in one line", () => {
    assert.isUndefined(unknownVariables(["PATH", "BSTAR_POLICY", "BSTAR_HTTP_TOKEN", "BSTAR_SERVERS"]))
    assert.strictEqual(
      unknownVariables(["BSTAR_POLCY"]),
      "no setting has this variable, which is ignored: BSTAR_POLCY (did you mean BSTAR_POLICY?)"
    )
    assert.strictEqual(
      unknownVariables(["BSTAR_FOO", "BSTAR_HEARTBEATS"]),
      "no setting has these variables, which are ignored: BSTAR_FOO, BSTAR_HEARTBEATS (did you mean BSTAR_HEARTBEAT?)"
    )
  })

  it("of bstar's own hooks, of Kubernetes and of Docker are not named", () => {
    assert.isUndefined(
      unknownVariables([
        ...["BSTAR_NODE_ROLE", "BSTAR_SERVICE_HOST", "BSTAR_SERVICE_PORT_HTTP", "BSTAR_PORT"],
        ...["BSTAR_PORT_5001_TCP", "BSTAR_PORT_5001_TCP_ADDR", "BSTAR_BACKUP_PORT"]
      ])
    )
  })
})

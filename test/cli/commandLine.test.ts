import { assert, describe, it } from "@effect/vitest"
import { type CommandLine, scan } from "../../src/cli/commandLine.ts"
import * as options from "../../src/cli/options.ts"
import * as settings from "../../src/cli/settings.ts"

const nothing: CommandLine = { command: undefined, config: undefined, role: undefined, asksAboutItself: false }

describe("what is known of a command line before it is parsed", () => {
  const lines: ReadonlyArray<readonly [line: string, Partial<CommandLine>]> = [
    ["", {}],
    ["-p --config a.toml", { role: "primary", config: "a.toml" }],
    ["--config=a.toml --backup", { role: "backup", config: "a.toml" }],
    ["-p -b --config a.toml", { config: "a.toml" }],
    ["--config", {}],
    ["proxy --policy hardened -p --config a.json", { command: "proxy", role: "primary", config: "a.json" }],
    ["--log-level debug client --legacy --config a.toml", { command: "client", config: "a.toml" }],
    // What belongs to another option, or to the command that is run, is neither.
    ["--on-active -p --peer=--config -b", { role: "backup" }],
    ["run --config a.toml -b -- tool --config b.toml -p", { command: "run", config: "a.toml", role: "backup" }],
    ["proxy --help --config a.toml", { command: "proxy", config: "a.toml", asksAboutItself: true }]
  ]
  for (const [line, expected] of lines) {
    it(
      line === "" ? "nothing" : line,
      () => assert.deepStrictEqual(scan(line === "" ? [] : line.split(" ")), { ...nothing, ...expected })
    )
  }
})

describe("settings", () => {
  const notInFiles = ["primary", "backup", "config", "legacy"]
  const namesOf = (group: object) =>
    Object.keys(group)
      .map((key) => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
      .filter((name) => !notInFiles.includes(name))

  it("are all that servers can be told", () =>
    assert.sameMembers(
      Object.keys({ ...settings.server, ...settings.proxy, ...settings.run }),
      namesOf({ ...options.server, ...options.proxy, ...options.run })
    ))

  it("are all that clients can be told", () =>
    assert.sameMembers(Object.keys(settings.client), namesOf(options.client)))
})

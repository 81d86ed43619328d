/** Completions, as real shells make them. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { commands } from "../../src/cli/bstar.ts"
import { script } from "../../src/cli/completions.ts"
import { type Shell, shells } from "../../src/cli/syntax.ts"

const canRun = (program: string): boolean => spawnSync(program, ["-c", "true"]).status === 0

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-completions-"))
fs.mkdirSync(path.join(folder, "keys"))
fs.writeFileSync(path.join(folder, "keyring.toml"), "")
fs.mkdirSync(path.join(folder, "a pair"))

const files: { readonly [S in Shell]: string } = {
  bash: path.join(folder, "bstar.bash"),
  zsh: path.join(folder, "bstar.zsh"),
  fish: path.join(folder, "bstar.fish")
}
for (const shell of shells) {
  fs.writeFileSync(files[shell], `${script(shell, commands)}\n`)
}

/** Runs a script of a shell, with the file of its completions as `$1`. */
const run = (shell: Shell, options: ReadonlyArray<string>, text: string, ...args: ReadonlyArray<string>): string => {
  const { status, stderr, stdout } = spawnSync(shell, [...options, "-c", text, ...args], {
    cwd: folder,
    encoding: "utf8",
    timeout: 60_000,
    env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, TERM: "xterm" }
  })
  assert.strictEqual(status, 0, stderr)
  return stdout
}

/** What bash offers for the last word. */
const inBash = (...words: ReadonlyArray<string>): ReadonlyArray<string> =>
  run(
    "bash",
    ["--norc"],
    `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bstar; printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    files.bash,
    "bstar",
    ...words
  ).split("\n").filter((line) => line !== "")

/** What fish offers for the last word. */
const inFish = (line: string): ReadonlyArray<string> =>
  run("fish", ["--no-config"], `source $argv[1]; complete -C $argv[2]`, files.fish, line).split("\n")
    .filter((line) => line !== "").map((line) => line.split("\t")[0]!)

describe.skipIf(!canRun("bash"))("completions in bash", () => {
  it("are the commands, and those within a command", () => {
    assert.includeMembers([...inBash("")], ["client", "config", "witness", "init", "help"])
    assert.deepStrictEqual(inBash("cl"), ["client"])
    assert.deepStrictEqual(inBash("witness", ""), ["status", "init"])
    assert.deepStrictEqual(inBash("help", "verif"), ["verify"])
    assert.deepStrictEqual(inBash("completions", ""), ["bash", "zsh", "fish"])
  })

  it("are the options of the command", () => {
    assert.deepStrictEqual(inBash("client", "--leg"), ["--legacy"])
    assert.deepStrictEqual(inBash("--config", "x.toml", "client", "--re"), ["--retry-after", "--reconnect-delay"])
    assert.deepStrictEqual(inBash("fsm", "--legacy"), [])
    // As bash splits an endpoint.
    assert.deepStrictEqual(inBash("run", "-p", "--peer", "tcp", ":", "//b", ":", "5004", "--gra"), ["--grace"])
    assert.deepStrictEqual(inBash("-p", "--peer", "tcp", ":", "//b", ":", "5004", "--policy", "h"), ["hardened"])
    assert.deepStrictEqual(inBash("-p", "--pol"), ["--policy"])
  })

  it("are values: policies, formats, on and off", () => {
    assert.deepStrictEqual(inBash("-p", "--policy", ""), ["classic", "hardened", "witnessed"])
    assert.deepStrictEqual(inBash("-p", "--policy", "=", "h"), ["hardened"])
    assert.deepStrictEqual(inBash("-p", "--log-format", ""), ["plain", "json", "pretty"])
    assert.deepStrictEqual(inBash("-p", "--crash-detection", ""), ["policy", "on", "off"])
    assert.deepStrictEqual(inBash("proxy", "--term-frame", "o"), ["on", "off"])
    assert.deepStrictEqual(inBash("fsm", "--format", "m"), ["mermaid"])
    assert.deepStrictEqual(inBash("verify", "--format", ""), ["text", "json"])
    assert.deepStrictEqual(inBash("-p", "--heartbeat", ""), [])
  })

  it("are files or directories where one is expected", () => {
    assert.sameMembers([...inBash("-p", "--config", "key")], ["keys", "keyring.toml"])
    assert.deepStrictEqual(inBash("-p", "--keys", "key"), ["keys"])
    assert.deepStrictEqual(inBash("init", "a"), ["a pair"])
    assert.deepStrictEqual(inBash("run", "-p", "--", "cat", "keyr"), ["keyring.toml"])
  })
})

describe.skipIf(!canRun("fish"))("completions in fish", () => {
  it("are commands, options, values and files", () => {
    assert.deepStrictEqual(inFish("bstar cl"), ["client"])
    assert.deepStrictEqual(inFish("bstar witness "), ["init", "status"])
    assert.deepStrictEqual(inFish("bstar client --leg"), ["--legacy"])
    assert.deepStrictEqual(inFish("bstar -p --policy "), ["classic", "hardened", "witnessed"])
    assert.deepStrictEqual(inFish("bstar -p --heartbeat "), [])
    assert.deepStrictEqual(inFish("bstar -p --config keyr"), ["keyring.toml"])
    assert.deepStrictEqual(inFish("bstar keygen key"), ["keys/"])
  })
})

/** Types a line and a tab into an interactive zsh, and waits until its screen has a text. */
const typed = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "autoload -U compinit; compinit -u -D; source $1; setopt no_list_ambiguous; echo REA''DY"
zpty -r shell screen "*READY*"
zpty -w -n shell "$2"$'\\t\\t'
zpty -r shell screen "*$3*"
print -r -- "$screen"
zpty -d shell`

describe.skipIf(!canRun("zsh"))("completions in zsh", () => {
  for (
    const [line, text] of [
      ["bstar switchov", "switchover"],
      ["bstar -p --policy ", "witnessed"],
      ["bstar fsm --format m", "mermaid"],
      ["bstar -p --config keyr", "keyring.toml"],
      ["bstar keygen a", "pair"]
    ] as const
  ) {
    it(`complete ${JSON.stringify(line)}`, () => {
      const end = text.slice(-3)
      assert.include(run("zsh", ["-f"], typed, "zsh", files.zsh, line, end), end)
    })
  }
})

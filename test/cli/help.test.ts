/** The help of each command, as a terminal shows it. */
import { assert, describe, it } from "@effect/vitest"
import { commands } from "../../src/cli/bstar.ts"
import { help } from "../../src/cli/help.ts"
import * as syntax from "../../src/cli/syntax.ts"
import { ansi, plain } from "../../src/cli/text.ts"

const usual = ["--policy", "--frontend", "--state", "--peer", "--heartbeat", "--keys", "--http", "--config"]

describe("help", () => {
  for (const command of commands) {
    it(`of ${syntax.title(command)} fits on one screen, and with --all has every option`, () => {
      const short = help(command, commands, false, plain)
      assert.isAtMost(short.split("\n").length, 40)
      for (const text of [short, help(command, commands, true, plain)]) {
        assert.notInclude(text, "user-defined")
        assert.notInclude(text, "\x1b")
        for (const line of text.split("\n")) {
          assert.isAtMost(line.length, 100, line)
        }
        assert.strictEqual(text.split("\n")[0]!.slice(0, 7), "Usage: ")
      }
      const all = help(command, commands, true, plain)
      for (const { flag } of [...syntax.options(command), ...syntax.everywhere]) {
        assert.include(all, `--${flag}`)
      }
    })
  }

  it("of bstar has the commands, the eight usual options, three examples, and what classic is", () => {
    const text = help(commands[0]!, commands, false, plain)
    for (const { name } of commands) {
      assert.include(text, name)
    }
    const listed = text.split("\n").flatMap((line) => /^ {2}(--[a-z-]+) /.exec(line)?.[1] ?? [])
    assert.deepStrictEqual([...listed].sort(), [...usual].sort())
    assert.lengthOf(text.split("\n").filter((line) => /^ {2}bstar /.test(line)), 3)
    assert.match(text, /--policy .*hardened for production; classic is a proof of concept/)
  })

  it("is bold on a terminal only", () => {
    assert.include(help(commands[0]!, commands, false, ansi), "\x1b[1mExamples\x1b[0m")
  })
})

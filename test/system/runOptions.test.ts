import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ActiveCommand from "../../src/command/ActiveCommand.ts"
import * as Hooks from "../../src/command/Hooks.ts"
import { startRun } from "../support/commands.ts"
import { bstar, freeEndpoints } from "../support/processes.ts"

/** The help of a command, without line breaks. */
const helpOf = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const help = yield* bstar([...args, "--help", "--all"])
    assert.deepStrictEqual(yield* help.exit, { code: 0, signal: null })
    return help.stdout().replaceAll(/\s+/g, " ")
  })

describe("the options of bstar run and of hooks", () => {
  it.scopedLive("options: the defaults in the help are the real ones", () =>
    Effect.gen(function*() {
      const run = yield* helpOf("run")
      assert.include(run, `before SIGKILL. Default: ${ActiveCommand.defaults.grace}.`)
      assert.include(run, `exit code. Default: ${ActiveCommand.defaults.restart}.`)
      assert.include(run, "Default: hardened.")
      assert.notInclude(run, "--frontend")
      for (const help of [run, yield* helpOf(), yield* helpOf("proxy")]) {
        assert.include(help, `may take before it is ended. Default: ${Hooks.defaults.timeout}.`)
      }
    }))

  it.scopedLive("options: arguments after -- are passed to the command unchanged", () =>
    Effect.gen(function*() {
      const args = ["-p", "--help", "--", "two parts", "", "--state=x"]
      const node = yield* startRun(
        "primary",
        yield* freeEndpoints,
        "400 millis",
        [],
        ["sh", "-c", "for arg; do echo \"<$arg>\"; done", "sh", ...args]
      )
      assert.strictEqual((yield* node.exit).code, 0)
      assert.deepStrictEqual(node.lines.filter((line) => line.startsWith("<")), args.map((arg) => `<${arg}>`))
    }))

  it.scopedLive("options: an invalid value is exit code 78", () =>
    Effect.gen(function*() {
      for (
        const options of [["--restart", "sometimes"], ["--grace", "soon"]]
      ) {
        const node = yield* bstar(["run", "-p", ...options, "--state", "tcp://127.0.0.1:*", "--", "true"])
        assert.strictEqual((yield* node.exit).code, 78)
      }
    }))
})

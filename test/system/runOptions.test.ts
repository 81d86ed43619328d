import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ActiveCommand from "../../src/command/ActiveCommand.ts"
import * as Hooks from "../../src/command/Hooks.ts"
import { bstar, freeEndpoints } from "../support/processes.ts"
import { startRun } from "./commands.ts"

/** What it says of its options, without line breaks. */
const helpOf = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const help = yield* bstar([...args, "--help"])
    assert.deepStrictEqual(yield* help.exit, { code: 0, signal: null })
    return help.stdout().replaceAll(/\s+/g, " ")
  })

describe("the options of bstar run and of hooks", () => {
  it.scopedLive("have the defaults that they are said to have", () =>
    Effect.gen(function*() {
      const run = yield* helpOf("run")
      assert.include(run, `before SIGKILL. Default: ${ActiveCommand.defaults.grace}.`)
      assert.include(run, `Default: ${ActiveCommand.defaults.restart};`)
      assert.include(run, "Default: hardened.")
      assert.notInclude(run, "--frontend")
      for (const help of [run, yield* helpOf(), yield* helpOf("proxy")]) {
        assert.include(help, `may take before it is ended. Default: ${Hooks.defaults.timeout}.`)
      }
    }))

  it.scopedLive("end where the command begins, whose arguments are left as they are", () =>
    Effect.gen(function*() {
      const args = ["-p", "--help", "--", "two words", "", "--state=x"]
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

  it.scopedLive("are refused when they are none", () =>
    Effect.gen(function*() {
      for (
        const [expected, ...options] of [[64, "--restart", "sometimes"], [78, "--grace", "soon"]] as const
      ) {
        const node = yield* bstar(["run", "-p", ...options, "--state", "tcp://127.0.0.1:*", "--", "true"])
        assert.strictEqual((yield* node.exit).code, expected)
      }
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as Guardian from "../../src/command/guardianClient.ts"
import { monotonicMillis } from "../../src/internal/Clock.ts"
import type { CommandRun } from "../support/commands.ts"
import { child, makeLog } from "../support/commands.ts"

const stubborn = Effect.gen(function*() {
  const log = yield* makeLog
  const [command, ...args] = child(log, "stubborn") as [string, ...Array<string>]
  const until = (yield* monotonicMillis) + 60_000
  return { log, order: { command, args, env: {}, graceMillis: 500, until } }
})

describe("a guardian", () => {
  it.scopedLive("an interruption, even a second one, waits for the end of the command", () =>
    Effect.gen(function*() {
      const guardian = yield* Guardian.make
      const { log, order } = yield* stubborn
      const running = yield* Effect.fork(guardian.run(order))
      yield* log.started(1)
      const began = performance.now()
      yield* Fiber.interruptFork(running)
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(running)
      assert.isAtLeast(performance.now() - began, 499)
      const { size } = fs.statSync(log.file)
      yield* Effect.sleep("50 millis")
      assert.strictEqual(fs.statSync(log.file).size, size)
    }))

  it.scopedLive("a guardian that hangs is killed with its command after the timeout", () =>
    Effect.gen(function*() {
      const guardian = yield* Guardian.make
      const { log, order } = yield* stubborn
      const running = yield* Effect.fork(guardian.run(order))
      yield* log.started(1)
      const [{ group }] = log.runs() as [CommandRun]
      const guardianPid = Number(execFileSync("ps", ["-o", "ppid=", "-p", group], { encoding: "utf8" }))
      process.kill(guardianPid, "SIGSTOP")
      yield* Fiber.interrupt(running)
      const { size } = fs.statSync(log.file)
      yield* Effect.sleep("50 millis")
      assert.strictEqual(fs.statSync(log.file).size, size)
      // There is another one for the next command.
      const next = yield* guardian.run({ ...order, command: "sh", args: ["-c", "exit 9"] })
      assert.deepStrictEqual(next, { _tag: "Ended", code: 9, signal: null, lapsed: false })
    }))
})

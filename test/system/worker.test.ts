import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as path from "node:path"
import { root, run } from "../support/processes.ts"

describe("F19 a member in a worker thread", () => {
  for (
    const [end, ...lines] of [
      ["stop", "exit code 0"],
      ["exit", "exit code 0"],
      ["throw", "failed: thrown", "exit code 1"]
    ] as const
  ) {
    it.scopedLive(`F19 ${end} in a worker thread does not abort the process`, () =>
      Effect.gen(function*() {
        const process_ = yield* run(process.execPath, [path.join(root, "test/system/worker.mjs"), end])
        assert.deepStrictEqual([yield* process_.exit, process_.stderr()], [{ code: 0, signal: null }, ""])
        assert.deepStrictEqual(process_.lines.slice(-lines.length - 1), [...lines, "alive"])
      }))
  }
})

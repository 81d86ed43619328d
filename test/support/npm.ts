/** Packing and installing this package with npm. */
import { assert } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { run } from "./processes.ts"

/** Packing must not build: other tests run the built files. */
export const npmPack = ["pack", "--json", "--ignore-scripts"]

export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-binary-star-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** Runs a program to its end. Returns its standard output. */
export const output = (
  program: string,
  args: ReadonlyArray<string>,
  cwd: string
): Effect.Effect<string, Error, Scope.Scope> =>
  Effect.gen(function*() {
    const process = yield* run(program, args, { cwd, timeout: "5 minutes" })
    const { code } = yield* process.exit
    assert.strictEqual(code, 0, `${program} ${args.join(" ")}\n${process.stdout()}${process.stderr()}`)
    return process.stdout()
  })

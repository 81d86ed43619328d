/** The code cache of the program, which the build makes: used where it fits, and harmless where it does not. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { output } from "../support/npm.ts"
import { root } from "../support/processes.ts"

const dist = path.join(root, "dist")
const [cache] = fs.readdirSync(dist).filter((name) => name.endsWith(".cache"))

/** The version that a copy of the program prints whose code cache has this content. */
const versionWith = (content: Uint8Array | undefined) =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(root, "node_modules", ".code-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    )
    fs.writeFileSync(path.join(folder, "package.json"), `{ "type": "module" }`)
    for (const name of ["bstar.js", "program.cjs"]) {
      fs.copyFileSync(path.join(dist, name), path.join(folder, name))
    }
    if (content !== undefined) {
      fs.writeFileSync(path.join(folder, cache!), content)
    }
    return yield* output(process.execPath, [path.join(folder, "bstar.js"), "--version"], folder)
  })

describe("the code cache of the program", () => {
  it("is accepted by the release of V8 that made it", async () => {
    const { compile } = await import(path.join(dist, "compiled.js"))
    assert.isFalse(compile().cachedDataRejected)
  })

  it.scopedLive("is not needed, and one that does not fit is not used", () =>
    Effect.gen(function*() {
      const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
      const made = fs.readFileSync(path.join(dist, cache!))
      for (const content of [undefined, new Uint8Array(0), made.subarray(0, 1000), Buffer.from("not a code cache")]) {
        assert.strictEqual((yield* versionWith(content)).trim(), version)
      }
    }))
})

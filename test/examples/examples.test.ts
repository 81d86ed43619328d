import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const here = new URL(".", import.meta.url)
const readme = fs.readFileSync(new URL("../../README.md", here), "utf8")
const examples = fs.readdirSync(here, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))

describe("examples", () => {
  it("examples compile against the built library", () => {
    const config = ts.getParsedCommandLineOfConfigFile(
      fileURLToPath(new URL("../tsconfig.json", here)),
      { noEmit: true, composite: false, incremental: false },
      { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => assert.fail(String(diagnostic.messageText)) }
    )!
    const files = examples.map((name) => fileURLToPath(new URL(name, here)))
    const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram(files, config.options))
    assert.deepStrictEqual(diagnostics.map(({ messageText }) => messageText), [])
  })

  it("examples in README equal the files", () => {
    const quoted = [...readme.matchAll(/<!-- test\/examples\/(.*) -->\n```ts\n([^]*?)\n```/g)]
    assert.sameMembers(quoted.map(([, name]) => name), ["server.ts", "client.ts"])
    for (const [, name, code] of quoted) {
      assert.strictEqual(code, fs.readFileSync(new URL(name!, here), "utf8").trim())
    }
    const excerpts = [...readme.matchAll(/<!-- from test\/examples\/(.*) -->\n```ts\n([^]*?)\n```/g)]
    assert.isAbove(excerpts.length, 0)
    for (const [, name, code] of excerpts) {
      assert.include(fs.readFileSync(new URL(name!, here), "utf8"), code!)
    }
    const everyBlock = readme.match(/^```ts$/gm)
    assert.strictEqual(everyBlock?.length, quoted.length + excerpts.length)
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { documents } from "../support/documents.ts"

const here = new URL(".", import.meta.url)
const read = (name: string): string => fs.readFileSync(new URL(name, here), "utf8")
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

  it("README shows the server and the client", () => {
    const quoted = [...documents[0]![1].matchAll(/<!-- test\/examples\/(.*) -->/g)].map(([, name]) => name)
    assert.deepStrictEqual(quoted, ["server.ts", "client.ts"])
  })

  for (const [file, text] of documents.filter(([, text]) => /^```(ts|py)$/m.test(text))) {
    it(`every program in ${file} is an example, or a part of one`, () => {
      const quoted = [...text.matchAll(/<!-- (from )?test\/examples\/(.*) -->\n```(?:ts|py)\n([^]*?)\n```/g)]
      for (const [, from, name, code] of quoted) {
        if (from === undefined) {
          assert.strictEqual(code, read(name!).trim())
        } else {
          assert.include(read(name!), code!)
        }
      }
      assert.strictEqual(text.match(/^```(ts|py)$/gm)?.length, quoted.length)
    })
  }
})

import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { version } from "../src/internal/Version.ts"

const root = new URL("..", import.meta.url)
const read = (path: string) => fs.readFileSync(new URL(path, root), "utf8")
const manifest: { readonly version: string; readonly exports: Record<string, string> } = JSON.parse(
  read("package.json")
)

/** The public modules by name, as paths in `src`. */
const modules = Object.entries(manifest.exports)
  .filter(([name]) => /^\.\/[A-Z]/.test(name))
  .map(([name, file]) => ({ name: name.slice(2), file: file.replace(/^\.\/dist\/|\.js$/g, "") }))

describe("the package", () => {
  it("exports public modules by their own names, sorted", () => {
    for (const { file, name } of modules) {
      assert.strictEqual(file.replace(/^.*\//, ""), name)
      assert.isTrue(fs.existsSync(new URL(`src/${file}.ts`, root)), file)
    }
    const names = modules.map(({ name }) => name)
    assert.deepStrictEqual(names, [...names].sort((a, b) => a.toLowerCase() < b.toLowerCase() ? -1 : 1))
  })

  it("has only public modules in its index, which load nothing but Effect and the binding", () => {
    const lines = read("src/index.ts").trim().split("\n").filter((line) => line.startsWith("export"))
    assert.isAtMost(lines.length, 16)
    for (const line of lines) {
      const [, name, file] = /^export \* as (\w+) from "\.\/(.*)\.ts"$/.exec(line)!
      assert.deepInclude(modules, { name, file })
      assert.notMatch(read(`src/${file}.ts`), /^import (?!type ).* from "(?!effect\/|zeromq"|node:|\.)/m)
    }
  })

  it("says its version", () => {
    assert.strictEqual(manifest.version, version)
  })

  it("documents every export of a public module with a meaning and one category", () => {
    for (const { file } of modules) {
      const exported = /(\/\*\*(?:(?!\*\/)[^])*\*\/\s)?export (?:const|class|interface|type) (\w+)/g
      for (const match of read(`src/${file}.ts`).matchAll(exported)) {
        assert.strictEqual((match[1] ?? "").match(/@category/g)?.length, 1, `${file}: ${match[2]}`)
      }
    }
  })
})

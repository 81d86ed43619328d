import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { version } from "../src/internal/version.ts"

const root = new URL("..", import.meta.url)
const read = (path: string) => fs.readFileSync(new URL(path, root), "utf8")

describe("the front door", () => {
  it("has one line for each public module, sorted", () => {
    const modules = [
      ...fs.readdirSync(new URL("src", root)),
      ...fs.readdirSync(new URL("src/zeromq", root)).map((name) => `zeromq/${name}`)
    ]
      .filter((name) => /(^|\/)[A-Z][^/]*\.ts$/.test(name))
      .map((path) => `export * as ${path.replace(/^.*\/|\.ts$/g, "")} from "./${path}"`)
    assert.deepStrictEqual(read("src/index.ts").trim().split("\n"), modules.sort((a, b) => a < b ? -1 : 1))
  })

  it("says the version of the package", () => {
    assert.strictEqual(JSON.parse(read("package.json")).version, version)
  })

  it("documents every export with a meaning, a version and one category", () => {
    for (const file of fs.readdirSync(new URL("src", root)).filter((name) => /^[A-Z].*\.ts$/.test(name))) {
      const source = read(`src/${file}`)
      for (
        const match of source.matchAll(
          /(\/\*\*(?:(?!\*\/)[^])*\*\/\s)?export (?:const|class|interface|type|\{) ?(\w*)/g
        )
      ) {
        const doc = match[1] ?? ""
        assert.match(doc, /@since \d+\.\d+\.\d+/, `${file}: ${match[2]}`)
        assert.strictEqual(doc.match(/@category/g)?.length, 1, `${file}: ${match[2]}`)
      }
    }
  })
})

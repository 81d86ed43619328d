import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { version } from "../src/internal/version.ts"

const root = new URL("..", import.meta.url)
const read = (path: string) => fs.readFileSync(new URL(path, root), "utf8")

describe("the front door", () => {
  it("has one line for each public module, sorted", () => {
    const modules = [
      ...fs.readdirSync(new URL("src", root)),
      ...["protocol", "service", "zeromq"].flatMap((room) =>
        fs.readdirSync(new URL(`src/${room}`, root)).map((name) => `${room}/${name}`)
      )
    ]
      .filter((name) => /(^|\/)[A-Z][^/]*\.ts$/.test(name))
      // Whoever imports the library loads nothing but Effect and the binding; what needs more is imported by its path.
      .filter((path) => !/^import (?!type ).* from "(?!effect\/|zeromq"|node:|\.)/m.test(read(`src/${path}`)))
      .sort((a, b) => a.toLowerCase() < b.toLowerCase() ? -1 : 1)
      .map((path) => `export * as ${path.replace(/^.*\/|\.ts$/g, "")} from "./${path}"`)
    assert.deepStrictEqual(read("src/index.ts").trim().split("\n"), modules)
  })

  it("says the version of the package", () => {
    assert.strictEqual(JSON.parse(read("package.json")).version, version)
  })

  it("documents every export with a meaning and one category", () => {
    const files = ["", "protocol/", "security/", "service/"].flatMap((room) =>
      fs.readdirSync(new URL(`src/${room}`, root)).filter((name) => /^[A-Z].*\.ts$/.test(name)).map((name) =>
        room + name
      )
    )
    for (const file of files) {
      const source = read(`src/${file}`)
      for (
        const match of source.matchAll(
          /(\/\*\*(?:(?!\*\/)[^])*\*\/\s)?export (?:const|class|interface|type|\{) ?(\w*)/g
        )
      ) {
        const doc = match[1] ?? ""
        assert.strictEqual(doc.match(/@category/g)?.length, 1, `${file}: ${match[2]}`)
      }
    }
  })
})

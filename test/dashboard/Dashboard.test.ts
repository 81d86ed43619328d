import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { csp, html } from "../../src/dashboard/Dashboard.ts"
import { root } from "../support/processes.ts"

describe("Dashboard", () => {
  it("the page loads nothing from elsewhere", () => {
    assert.deepStrictEqual(html.match(/(?:src|href)="(?!data:)[^"]*"/g), null)
    assert.notInclude(html, "{{")
    assert.match(csp, /^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+'; connect-src 'self'/)
  })

  it("the build has the finished page, for the program and for the library", async () => {
    const built = await import(path.join(root, "dist/dashboard/Dashboard.js"))
    assert.strictEqual(built.csp, csp, "the build is older than the sources: npm run build")
    assert.isTrue(built.html === html)
    assert.notInclude(fs.readFileSync(path.join(root, "dist/dashboard/bundle.js"), "utf8"), "esbuild")
    const program = fs.readFileSync(path.join(root, "dist/program.cjs"), "utf8")
    assert.strictEqual(program.split("<title>Binary Star</title>").length, 2)
    assert.notInclude(program, `require("esbuild")`)
  })
})

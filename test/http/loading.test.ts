/** What a server loads that has no status server and no keys: nothing of HTTP, and nothing of keys. The program has to be built. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../support/processes.ts"

const dist = path.join(root, "dist")

const read = (file: string) => fs.readFileSync(file, "utf8")

const chunkOf = (command: string) => {
  const [chunk] = /\.\/chunks\/[^"]+/.exec(
    new RegExp(`import\\("\\./(chunks/)?${command}-[^"]+"\\)`).exec(read(path.join(dist, "bstar.js")))?.[0] ?? ""
  ) ?? assert.fail(`no chunk of ${command}`)
  return path.join(dist, chunk)
}

/** A file and all that is loaded with it. */
const closure = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (!seen.has(file)) {
    seen.add(file)
    for (const [, imported] of read(file).matchAll(/(?:\bfrom|^import) ?"(\.[^"]+)"/gm)) {
      closure(path.join(path.dirname(file), imported!), seen)
    }
  }
  return seen
}

/** What of HTTP is in them. */
const ofHttp = (files: ReadonlySet<string>) =>
  [...files].flatMap((file) =>
    read(file).match(/(?:from ?|require\()"(?:node:)?https?"|bstar_missed_heartbeats/g) ?? []
  )

/** What of keys is in them. */
const ofKeys = (files: ReadonlySet<string>) =>
  [...files].flatMap((file) => read(file).match(/zeromq\.zap|secret-key|x25519/g) ?? [])

describe("what a server loads", () => {
  it("no module of keys without --keys, nor does a client", () => {
    for (const command of ["server", "proxy", "run", "client"]) {
      assert.deepStrictEqual(
        ofKeys(closure(chunkOf(command), new Set(closure(path.join(dist, "bstar.js"))))),
        [],
        command
      )
    }
    const chunks = fs.readdirSync(path.join(dist, "chunks")).filter((name) => /^(Curve|curveServer)-.*\.js$/.test(name))
    assert.isAtLeast(chunks.length, 2)
    chunks.forEach((name) => assert.isNotEmpty(ofKeys(closure(path.join(dist, "chunks", name))), name))
  })

  it("no module of HTTP without --http", () => {
    for (const command of ["server", "proxy", "run"]) {
      const files = closure(chunkOf(command), new Set(closure(path.join(dist, "bstar.js"))))
      assert.isAbove(files.size, 3)
      assert.deepStrictEqual(ofHttp(files), [], command)
    }
  })

  it("modules of HTTP with --http", () => {
    const [http] = fs.readdirSync(path.join(dist, "chunks")).filter((name) => /^http-/.test(name))
    assert.isNotEmpty(ofHttp(closure(path.join(dist, "chunks", http!))))
  })
})

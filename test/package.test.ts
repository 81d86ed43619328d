import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { npmPack, output, temporaryDirectory } from "./support/npm.ts"
import { root } from "./support/processes.ts"

interface Manifest {
  readonly type: string
  readonly bin: { readonly bstar: string }
  readonly exports: { readonly [entry: string]: string | null }
}

interface Locked {
  readonly integrity?: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly hasInstallScript?: boolean
}

const manifest: Manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

describe("the package", () => {
  it.scopedLive("holds what is needed and nothing else", () =>
    Effect.gen(function*() {
      const [{ files }]: [{ files: ReadonlyArray<{ readonly path: string }> }] = JSON.parse(
        yield* output("npm", [...npmPack, "--dry-run"], root)
      )
      const paths = files.map(({ path }) => path)
      const needed = ["dist/index.js", "dist/index.d.ts", "dist/bstar.js", "LICENSE", "README.md", "package.json"]
      assert.deepStrictEqual(needed.filter((file) => !paths.includes(file)), [])
      assert.deepStrictEqual(
        paths.filter((file) => /(^|\/)\.|\.test\.|(^|\/)(bench|suites)\/|tsbuildinfo|tsconfig/.test(file)),
        []
      )
      assert.deepStrictEqual(
        paths.filter((file) => !/^((dist|src|test\/examples)\/.*|LICENSE|README\.md|package\.json)$/.test(file)),
        []
      )

      // Every module has its types, and every source map its source. The program and the page of the dashboard are bundled.
      const modules = paths.filter((file) => /^src\/(?!bin|compiled|cli\/|dashboard\/page\/).*\.ts$/.test(file)).map((
        file
      ) => file.slice(4, -3))
      assert.deepStrictEqual(
        modules.flatMap((module) => [`dist/${module}.js`, `dist/${module}.d.ts`]).filter((file) =>
          !paths.includes(file)
        ),
        []
      )
    }))

  it.scopedLive("has types and entries that every way to resolve modules of ESM finds", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const [{ filename }]: [{ filename: string }] = JSON.parse(
        yield* output("npm", [...npmPack, "--pack-destination", directory], root)
      )
      const tarball = path.join(directory, filename)
      const bin = (name: string) => path.join(root, "node_modules/.bin", name)
      yield* output(bin("publint"), ["run", tarball, "--strict"], root)
      yield* output(bin("attw"), [tarball, "--profile", "esm-only", "--quiet"], root)
    }))

  it("is locked: each package by its content, wherever it comes from, and none that has to run something first", () => {
    const { packages }: { packages: { readonly [path: string]: Locked } } = JSON.parse(
      fs.readFileSync(path.join(root, "package-lock.json"), "utf8")
    )
    const locked = Object.entries(packages).filter(([path]) => path !== "")
    assert.deepStrictEqual(locked.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? "")), [])
    assert.deepStrictEqual(locked.filter(([, { resolved }]) => resolved !== undefined), [])
    // Both find what was built for this system where it is, without their scripts.
    const scripts = locked.filter(([, { dev, devOptional, hasInstallScript }]) =>
      hasInstallScript === true && dev !== true && devOptional !== true
    )
    assert.deepStrictEqual(scripts.map(([path]) => path), ["node_modules/msgpackr-extract", "node_modules/zeromq"])
  })

  it("is ESM, and its program says by what it is run", () => {
    assert.strictEqual(manifest.type, "module")
    assert.match(fs.readFileSync(path.join(root, manifest.bin.bstar), "utf8"), /^#!\/usr\/bin\/env node\n/)
    const inside = Object.values(manifest.exports).filter((file) =>
      /\*|^\.\/dist\/(internal|cli|verify|dashboard)\/|^\.\/dist\/(bin|bstar|compiled|program)/.test(String(file))
    )
    assert.deepStrictEqual(inside, [])
    // Public by name: the modules of an upper case, and nothing else.
    const names = Object.keys(manifest.exports).filter((name) => !/^\.\/[A-Z]\w+$/.test(name))
    assert.deepStrictEqual(names, ["./package.json", "."])
  })

  it.scopedLive("has a changelog, in which npm version writes the commits since the last release", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryDirectory
      const git = (...args: ReadonlyArray<string>) =>
        output("git", ["-c", "user.name=test", "-c", "user.email=test@localhost", ...args], folder)
      const write = (file: string, text: string) => fs.writeFileSync(path.join(folder, file), text)
      fs.mkdirSync(path.join(folder, "src/internal"), { recursive: true })
      write("src/internal/Version.ts", `export const version = "0.1.0"\n`)
      write("CHANGELOG.md", "# Changelog\n\nHow to read it.\n\n## 0.1.0 (2026-01-01)\n\nFirst release.\n")
      write("package.json", `{ "version": "0.2.0" }`)
      yield* git("init", "--quiet")
      yield* git("commit", "--quiet", "--allow-empty", "--message", "Release")
      yield* git("tag", "v0.1.0")
      yield* git("commit", "--quiet", "--allow-empty", "--message", "Answer sooner")
      for (const _ of ["once", "again"]) {
        yield* output(process.execPath, [path.join(root, ".config/changelog.mjs")], folder)
      }
      assert.match(
        fs.readFileSync(path.join(folder, "CHANGELOG.md"), "utf8"),
        /^# Changelog\n\nHow to read it\.\n\n## 0\.2\.0 \(\d{4}-\d\d-\d\d\)\n\n- Answer sooner\n\n## 0\.1\.0 [^]*First release\.\n$/
      )
      assert.strictEqual(
        fs.readFileSync(path.join(folder, "src/internal/Version.ts"), "utf8"),
        `export const version = "0.2.0"\n`
      )
    }))
})

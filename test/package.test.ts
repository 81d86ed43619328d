import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { freeEndpoints, root, run, serverArgs, startLine } from "./system/support.ts"

// The build is there already; packing must not redo it under the feet of the other tests.
const npmPack = ["pack", "--json", "--ignore-scripts"]

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-binary-star-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** Runs a program to its end and gives what it printed. */
const output = (program: string, args: ReadonlyArray<string>, cwd: string) =>
  Effect.gen(function*() {
    const process = yield* run(program, args, { cwd, patience: "5 minutes" })
    const { code } = yield* process.exit
    assert.strictEqual(code, 0, `${program} ${args.join(" ")}\n${process.stdout()}${process.stderr()}`)
    return process.stdout()
  })

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
        paths.filter((file) =>
          /(^|\/)\.|\.test\.|(^|\/)(test|bench|examples|suites)\/|tsbuildinfo|tsconfig/.test(file)
        ),
        []
      )
      assert.deepStrictEqual(
        paths.filter((file) => !/^((dist|src)\/.*|LICENSE|README\.md|package\.json)$/.test(file)),
        []
      )

      // Every module has its types, and every source map its source. The program and the page of the dashboard are bundled.
      const modules = paths.filter((file) => /^src\/(?!bin|cli\/|dashboard\/page\/).*\.ts$/.test(file)).map((file) =>
        file.slice(4, -3)
      )
      assert.deepStrictEqual(
        modules.flatMap((module) => [`dist/${module}.js`, `dist/${module}.d.ts`]).filter((file) =>
          !paths.includes(file)
        ),
        []
      )
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
      /\*|^\.\/dist\/(internal|cli|verify|chunks)\/|^\.\/dist\/(bin|bstar)/.test(String(file))
    )
    assert.deepStrictEqual(inside, [])
  })

  it.scopedLive("works where it is installed from its tarball", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const [{ filename }]: [{ filename: string }] = JSON.parse(
        yield* output("npm", [...npmPack, "--pack-destination", directory], root)
      )
      const consumer = path.join(directory, "consumer")
      fs.mkdirSync(consumer)
      fs.writeFileSync(path.join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }))
      yield* output(
        "npm",
        ["install", "--no-audit", "--no-fund", "--prefer-offline", path.join(directory, filename)],
        consumer
      )

      // The program.
      const bstar = path.join(consumer, "node_modules/.bin/bstar")
      const server = yield* run(bstar, serverArgs("primary", yield* freeEndpoints, "100 millis"), { cwd: consumer })
      yield* server.waitForLine(startLine.primary)
      yield* server.kill("SIGINT")
      assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
      assert.strictEqual(server.stdout(), `${startLine.primary}\nW: interrupted\n`)

      // The library, and what is its own affair.
      const node = (script: string) => output(process.execPath, ["--input-type=module", "-e", script], consumer)
      const exported = yield* node(
        "import('effect-binary-star').then((library) => console.log(Object.keys(library).join()))"
      )
      assert.deepStrictEqual(
        ["BinaryStar", "BinaryStarClient", "Zmq"].filter((name) => !exported.trim().split(",").includes(name)),
        []
      )
      yield* node(
        "import { step } from 'effect-binary-star/StateMachine'; if (typeof step !== 'function') process.exit(1)"
      )
      for (const inside of ["internal/Clock", "cli/bstar", "member/runtime", "bin"]) {
        assert.strictEqual(
          yield* node(`import('effect-binary-star/${inside}').catch(({ code }) => console.log(code))`),
          "ERR_PACKAGE_PATH_NOT_EXPORTED\n"
        )
      }

      // Its types, as a user's compiler finds them.
      fs.writeFileSync(
        path.join(consumer, "consumer.ts"),
        `import { BinaryStar, Handler } from "effect-binary-star"
import * as StateMachine from "effect-binary-star/StateMachine"
import * as Zmq from "effect-binary-star/Zmq"
import { Layer } from "effect"
const options = { role: "primary", policy: "classic" } as const
export const layer: Layer.Layer<BinaryStar.BinaryStar, unknown> = BinaryStar.layer(options, Handler.echo).pipe(
  Layer.provide(Zmq.layer(options))
)
export const state: StateMachine.State = "ACTIVE"
// @ts-expect-error
export const none: StateMachine.State = "NONE"
`
      )
      fs.writeFileSync(
        path.join(consumer, "tsconfig.json"),
        JSON.stringify({
          compilerOptions: {
            noEmit: true,
            strict: true,
            module: "nodenext",
            target: "es2022",
            skipLibCheck: true,
            types: []
          }
        })
      )
      yield* output(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc")], consumer)
    }), 300_000)
})

/** The packed package, installed from the registry into an empty folder as a user does it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { npmPack, output, temporaryDirectory } from "../support/npm.ts"
import { freeEndpoints, root, run, serverArgs, startLine } from "../support/processes.ts"

const read = (file: string) => fs.readFileSync(path.join(root, file), "utf8")

interface Manifest {
  readonly exports: { readonly [entry: string]: string }
  readonly peerDependencies: { readonly [name: string]: string }
}

const manifest: Manifest = JSON.parse(read("package.json"))

const hasRegistry =
  spawnSync("npm", ["view", "effect@3.22.4", "version", "--fetch-retries=0"], { timeout: 30_000 }).status === 0

if (!hasRegistry) {
  // eslint-disable-next-line no-console
  console.warn("skipped: npm reaches no registry, so the package is not installed")
}

/** An empty folder with the package and others, as `npm install` leaves it. */
const install = (...packages: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const [{ filename }]: [{ filename: string }] = JSON.parse(
      yield* output("npm", [...npmPack, "--pack-destination", directory], root)
    )
    const consumer = path.join(directory, "consumer")
    fs.mkdirSync(consumer)
    fs.writeFileSync(path.join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }))
    const options = ["--no-audit", "--no-fund", "--prefer-offline"]
    yield* output("npm", ["install", ...options, path.join(directory, filename), ...packages], consumer)
    return consumer
  })

/** The packages beside this one in README's line. */
const readmePackages = (): ReadonlyArray<string> => {
  const line = /npm install effect-binary-star ([^`\n]+)/.exec(read("README.md"))
  assert.isNotNull(line, "README has no line that begins with: npm install effect-binary-star")
  return line![1]!.trim().split(" ")
}

const replaced = (text: string, from: string, to: string): string => {
  assert.include(text, from)
  return text.replace(from, to)
}

/** Writes README's server and client, with ports that are free. */
const writeExamples = (consumer: string) =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const [frontend, stateEndpoint, peerEndpoint] = [at.primary.frontend, at.primary.state, at.backup.state]
      .map((endpoint) => JSON.stringify(endpoint))
    const endpoints = `frontend: ${frontend}, stateEndpoint: ${stateEndpoint}, peerEndpoint: ${peerEndpoint}`
    const server = replaced(read("test/examples/server.ts"), `role: "primary",`, `role: "primary", ${endpoints},`)
    const client = replaced(read("test/examples/client.ts"), ".layer()", `.layer({ servers: [${frontend}] })`)
    fs.writeFileSync(path.join(consumer, "server.ts"), server)
    fs.writeFileSync(path.join(consumer, "client.ts"), client)
  })

/** Compiles files with the types of all packages checked. Nothing but what is installed there has types. */
const compile = (consumer: string, module: string, moduleResolution: string, files: ReadonlyArray<string>) => {
  const compilerOptions = { strict: true, target: "es2022", module, moduleResolution, skipLibCheck: false, types: [] }
  fs.writeFileSync(path.join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, files }))
  return output(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc")], consumer)
}

/** Starts the compiled server, and the client, which is answered once the server has taken over. */
const runExamples = (consumer: string) =>
  Effect.gen(function*() {
    const server = yield* run(process.execPath, ["server.js"], { cwd: consumer })
    yield* server.waitForLine(/Primary active, waiting for backup \(passive\)/)
    assert.strictEqual((yield* output(process.execPath, ["client.js"], consumer)).trim().split("\n").at(-1), "hello")
    yield* server.kill("SIGTERM")
    yield* server.exit
    assert.notInclude(server.stdout(), "versioned")
  })

const node = (consumer: string, script: string) =>
  output(process.execPath, ["--input-type=module", "-e", script], consumer)

/** What a package that is missing says, or an empty text if the module can be loaded. */
const missing = (consumer: string, modules: ReadonlyArray<string>) =>
  Effect.map(
    node(
      consumer,
      `const missing = {}
      for (const name of ${JSON.stringify(modules)}) {
        const error = await import("effect-binary-star/" + name).then(() => undefined, (error) => error)
        missing[name] = error === undefined ? "" : error.code + " " + (/package '([^']+)'/.exec(error.message)?.[1] ?? "")
      }
      console.log(JSON.stringify(missing))`
    ),
    (text): Record<string, string> => JSON.parse(text)
  )

const publicModules = Object.keys(manifest.exports).filter((name) => /^\.\/[A-Z]/.test(name)).map((name) =>
  name.slice(2)
)

describe.skipIf(!hasRegistry)("the installed package", () => {
  it.scopedLive(
    "install: README's line brings a server and a client that compile and run",
    () =>
      Effect.gen(function*() {
        const consumer = yield* install(...readmePackages())
        yield* writeExamples(consumer)
        yield* compile(consumer, "esnext", "bundler", ["server.ts", "client.ts"])
        yield* compile(consumer, "nodenext", "nodenext", ["server.ts", "client.ts"])
        yield* runExamples(consumer)

        // Every public module and its types. Those of ZeroMQ need the types of Node.
        fs.mkdirSync(path.join(consumer, "node_modules/@types"), { recursive: true })
        for (const types of ["node", "../undici-types"]) {
          const from = path.join(root, "node_modules/@types", types)
          fs.cpSync(from, path.join(consumer, "node_modules/@types", types), { recursive: true })
        }
        const all = publicModules.map((name) => `export * as ${name} from "effect-binary-star/${name}"`)
        fs.writeFileSync(path.join(consumer, "all.ts"), all.join("\n"))
        yield* compile(consumer, "nodenext", "nodenext", ["all.ts"])
        yield* output(process.execPath, ["all.js"], consumer)

        // Another version of effect beside that of the program.
        const nested = path.join(consumer, "node_modules/effect-binary-star/node_modules/effect")
        fs.cpSync(path.join(consumer, "node_modules/effect"), nested, { recursive: true })
        const versionFile = path.join(nested, "dist/esm/internal/version.js")
        fs.writeFileSync(versionFile, fs.readFileSync(versionFile, "utf8").replace(/"3\..*"/, `"3.19.0"`))
        const server = yield* run(process.execPath, ["server.js"], { cwd: consumer })
        assert.strictEqual((yield* server.exit).code, 1)
        assert.match(
          server.stdout(),
          /there are two versions of effect: the program runs 3\.\d+\.\d+, effect-binary-star has loaded 3\.19\.0 /
        )
      }),
    600_000
  )

  it.scopedLive("install: with the oldest peers that package.json admits, too", () =>
    Effect.gen(function*() {
      const oldest = ["effect", "@effect/platform", "@effect/platform-node"].map((name) =>
        `${name}@${/\d[^ ]*/.exec(manifest.peerDependencies[name]!)![0]}`
      )
      const consumer = yield* install(...oldest)
      yield* writeExamples(consumer)
      yield* compile(consumer, "nodenext", "nodenext", ["server.ts", "client.ts"])
      yield* runExamples(consumer)
    }), 600_000)

  it.scopedLive(
    "install: the program and the library need only effect, and private modules stay private",
    () =>
      Effect.gen(function*() {
        const consumer = yield* install("effect@3")
        assert.isFalse(fs.existsSync(path.join(consumer, "node_modules/@effect")))

        const bstar = path.join(consumer, "node_modules/.bin/bstar")
        const server = yield* run(bstar, serverArgs("primary", yield* freeEndpoints, "100 millis"), { cwd: consumer })
        yield* server.waitForLine(startLine.primary)
        yield* server.kill("SIGINT")
        assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
        assert.strictEqual(server.stdout(), `${startLine.primary}\nW: interrupted\n`)
        const command = yield* run(bstar, ["fsm", "--policy", "hardened"], { cwd: consumer })
        assert.strictEqual((yield* command.exit).code, 0, command.stderr())

        const found = Object.entries(yield* missing(consumer, publicModules)).filter(([, error]) => error !== "")
        const platform = "ERR_MODULE_NOT_FOUND @effect/platform"
        assert.deepStrictEqual(Object.fromEntries(found), {
          BinaryStarRpc: "ERR_MODULE_NOT_FOUND @effect/rpc",
          EtcdWitness: platform,
          Fence: "ERR_MODULE_NOT_FOUND @effect/sql",
          OperatorClient: platform,
          SqlWitness: "ERR_MODULE_NOT_FOUND @effect/sql",
          StatusServer: "ERR_MODULE_NOT_FOUND @effect/platform-node"
        })
        const inside = ["internal/Clock", "cli/bstar", "member/runtime", "bin", "command/guardian", "zeromq/zap"]
        assert.deepStrictEqual(
          yield* missing(consumer, inside),
          Object.fromEntries(inside.map((name) => [name, "ERR_PACKAGE_PATH_NOT_EXPORTED "]))
        )
        assert.include(yield* node(consumer, "console.log(Object.keys(await import('effect-binary-star')))"), "Zmq")
      }),
    600_000
  )
})

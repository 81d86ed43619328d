import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { npmPack, output, temporaryDirectory } from "../support/npm.ts"
import { freeEndpoints, root, run, serverArgs, startLine } from "../support/processes.ts"

describe("the installed package", () => {
  it.scopedLive("install: the program, the library and its types work from the tarball", () =>
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

      // The library, and its private modules.
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

      // Its types, in a compiler of a user.
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

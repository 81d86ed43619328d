/** What a server loads that has no status server and no keys: nothing of HTTP, and nothing of keys. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import type { Metafile } from "esbuild"
import { build } from "esbuild"
import { root } from "../support/processes.ts"

const commands = ["server", "proxy", "run"].map((command) => `src/cli/commands/${command}.ts`)

const isHttp = (file: string) => /^(node:)?https?$/.test(file)
const isOfKeys = (file: string) => /^src\/(security\/Curve|zeromq\/(curve|zap))/.test(file)

describe("what a server loads", () => {
  let inputs: Metafile["inputs"]

  beforeAll(async () => {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: ["src/cli/program.ts"],
      bundle: true,
      platform: "node",
      format: "cjs",
      external: ["zeromq", "pg-native", "esbuild"],
      define: { "import.meta.url": "moduleUrl" },
      write: false,
      metafile: true
    })
    inputs = metafile.inputs
  })

  /** A module and all that is loaded with it. */
  const closure = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
    if (!seen.has(file)) {
      seen.add(file)
      for (const { kind, path } of inputs[file]?.imports ?? []) {
        if (kind !== "dynamic-import") {
          closure(path, seen)
        }
      }
    }
    return seen
  }

  const loaded = (command: string) => [...closure(command, new Set(closure("src/cli/program.ts")))]

  it("no module of keys without --keys, nor does a client", () => {
    for (const command of [...commands, "src/cli/commands/client.ts"]) {
      assert.deepStrictEqual(loaded(command).filter(isOfKeys), [], command)
    }
    assert.isNotEmpty(Object.keys(inputs).filter(isOfKeys))
  })

  it("no module of HTTP and no dashboard without --http", () => {
    for (const command of commands) {
      assert.isAbove(loaded(command).length, 100)
      assert.deepStrictEqual(
        loaded(command).filter((file) => isHttp(file) || file.startsWith("src/dashboard/")),
        [],
        command
      )
    }
    assert.isNotEmpty(loaded("src/cli/http.ts").filter(isHttp))
  })
})

/** The examples in the docstrings of public modules: whole files that compile against the built package. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"
import { root } from "./support/processes.ts"

const manifest: { readonly exports: Record<string, string> } = JSON.parse(
  fs.readFileSync(path.join(root, "package.json"), "utf8")
)

/** The sources of public modules. */
const modules = Object.entries(manifest.exports).filter(([name]) => /^\.\/[A-Z]/.test(name)).map(([, file]) =>
  file.replace(/^\.\/dist\/(.*)\.js$/, "src/$1.ts")
)

/** Examples by the name of the file that each would be, beside this test. */
const examples = new Map(
  modules.flatMap((module) =>
    [...fs.readFileSync(path.join(root, module), "utf8").matchAll(/\* @example\n([^]*?)\n \*(?: @|\/)/g)].map(
      ([, text], index): [string, string] => {
        const code = /^ \* ```ts\n([^]*)\n \* ```/.exec(text!)
        assert.isNotNull(code, `an example of ${module} is no block of TypeScript`)
        const file = path.join(import.meta.dirname, `${path.basename(module, ".ts")}-${index}.ts`)
        return [file, code![1]!.replaceAll(/^ \* ?/gm, "")]
      }
    )
  )
)

const compile = (): ReadonlyArray<string> => {
  const { config } = ts.readConfigFile(path.join(root, ".config/tsconfig.base.json"), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, composite: false, noEmit: true, declaration: false, declarationMap: false },
    root
  )
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (file) => examples.has(file) || fileExists(file)
  host.readFile = (file) => examples.get(file) ?? readFile(file)
  host.getSourceFile = (file, version) => {
    const text = host.readFile(file)
    return text === undefined ? undefined : ts.createSourceFile(file, text, version)
  }
  return ts.getPreEmitDiagnostics(ts.createProgram([...examples.keys()], options, host)).map(({ file, messageText }) =>
    `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
  )
}

describe("the examples of the API", () => {
  it("are there for what a user calls first", () => {
    const names = new Set([...examples.keys()].map((file) => path.basename(file).replace(/-.*/, "")))
    const first = ["BinaryStar", "BinaryStarClient", "BinaryStarRpc", "Proxy", "StatusServer", "WarmUp", "Zmq"]
    assert.deepStrictEqual(first.filter((name) => !names.has(name)), [])
  })

  it("compile", () => {
    assert.deepStrictEqual(compile(), [])
  })
})

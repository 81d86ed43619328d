/**
 * The bundled program, compiled. Compiling it takes two fifths of the start of a server. The build therefore keeps what V8 made of it, its
 * code cache, for the release of V8 that built it; with any other, V8 rejects it and compiles.
 *
 * Plain Node, and nothing else: everything that is loaded before the program delays its start.
 */
import * as fs from "node:fs"
import Module from "node:module"
import * as path from "node:path"
import process from "node:process"
import { constants, Script } from "node:vm"

const file = path.join(import.meta.dirname, "program.cjs")

/** Written by the build. The releases of Node with the same release of V8 share it. */
export const cacheFile = `${file}.${process.versions.v8.split("-")[0]}-${process.arch}.cache`

const readCache = (): Buffer | undefined => {
  try {
    return fs.readFileSync(cacheFile)
  } catch {
    return undefined
  }
}

/** Compiles the program, from its code cache if there is one. */
export const compile = (): Script => {
  const cachedData = readCache()
  // The program is ASCII, but for comments. V8 keeps it as one byte a character then.
  return new Script(Module.wrap(fs.readFileSync(file, "latin1")), {
    filename: file,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData })
  })
}

/** Runs the program. */
export const run = (script: Script): void => {
  script.runInThisContext()({}, Module.createRequire(file), {}, file, path.dirname(file))
}

/**
 * The bundled program, compiled. Compiling takes two fifths of the start of a server. The build therefore keeps V8's code cache of it. V8
 * rejects a cache of another release or of other options, and compiles; of the source it compares the length only, so that the build
 * removes the cache before it changes the program.
 *
 * Nothing but modules of Node: everything that is loaded before the program delays its start.
 */
import * as fs from "node:fs"
import Module from "node:module"
import * as path from "node:path"
import process from "node:process"
import { Script } from "node:vm"

const file = path.join(import.meta.dirname, "program.cjs")

/** Written by the build. */
export const cacheFile = `${file}.${process.version}-${process.platform}-${process.arch}.cache`

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
  return new Script(Module.wrap(fs.readFileSync(file, "latin1")), {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData })
  })
}

/** Runs the program. */
export const run = (script: Script): void => {
  script.runInThisContext()({}, Module.createRequire(file), {}, file, path.dirname(file))
}

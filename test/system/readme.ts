/** Code blocks of the documentation, to be run by tests; and temporary files. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export { block } from "../support/documents.ts"

/** A temporary folder. It is removed with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Writes a file into a temporary folder. */
export const temporaryFile = (name: string, content: string) =>
  Effect.map(temporaryFolder, (folder) => {
    const file = path.join(folder, name)
    fs.writeFileSync(file, content)
    return file
  })

/** Whether a program is installed. */
export const canRun = (program: string): boolean =>
  (process.env.PATH ?? "").split(path.delimiter).some((folder) => fs.existsSync(path.join(folder, program)))

/** Code blocks of README, to be run by tests; and temporary files. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { root } from "../support/processes.ts"

/** The only block of a language. */
export const block = (language: string): string => {
  const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
  const [found, another] = [...readme.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, "gm"))]
  if (found === undefined || another !== undefined) {
    throw new Error(`the README should have one block of ${language}`)
  }
  return found[1]!
}

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

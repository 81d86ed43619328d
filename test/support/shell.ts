/** A shell in which `bstar` is this program, as for an operator who copies a command from a page. */
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import * as assert from "node:assert"
import * as fs from "node:fs"
import * as path from "node:path"
import { directory } from "./keys.ts"
import type { Process } from "./processes.ts"
import { root, run } from "./processes.ts"
import { eventTimeout } from "./times.ts"

export interface Shell {
  /** Starts a command. */
  readonly start: (command: string) => Effect.Effect<Process, never, Scope.Scope>
  /** Runs a command to its end, which must be a success. Returns its standard output. */
  readonly succeed: (command: string) => Effect.Effect<string, unknown>
  /** Repeats a command until it succeeds: on a busy machine a server may stall meanwhile. */
  readonly untilSuccess: (command: string) => Effect.Effect<string, unknown>
}

/** A line that begins with "at " would be taken for one of a stack trace. */
const quoted = (output: string): string => output.replaceAll(/^/gm, "| ")

export const makeShell = (env: NodeJS.ProcessEnv = {}): Effect.Effect<Shell, never, Scope.Scope> =>
  Effect.map(directory, (folder) => {
    const program = `#!/bin/sh\nexec "${process.execPath}" "${path.join(root, "dist/bstar.js")}" "$@"\n`
    fs.writeFileSync(path.join(folder, "bstar"), program, { mode: 0o755 })
    const start = (command: string) =>
      run("sh", ["-c", command], { env: { ...env, PATH: `${folder}${path.delimiter}${process.env.PATH}` } })
    const ended = (command: string) =>
      Effect.scoped(Effect.flatMap(start(command), (process) =>
        Effect.map(process.exit, (exit) => ({
          exit,
          stdout: process.stdout(),
          output: process.stdout() + process.stderr()
        }))))
    return {
      start,
      succeed: (command) =>
        Effect.map(ended(command), ({ exit, output, stdout }) => {
          assert.deepStrictEqual(exit, { code: 0, signal: null }, `${command}\n${output}`)
          return stdout
        }),
      untilSuccess: (command) =>
        ended(command).pipe(
          Effect.filterOrFail(
            ({ exit }) => exit.code === 0,
            ({ output }) => new Error(`${command}\n${quoted(output)}`)
          ),
          Effect.retry(Schedule.recurUpTo(eventTimeout)),
          Effect.map(({ stdout }) => stdout)
        )
    }
  })

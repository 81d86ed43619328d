/**
 * `bstar run` as processes, and the records of the commands that it runs.
 */
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import * as assert from "node:assert"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Endpoints, Process, Role } from "./processes.ts"
import { bstar, other, root, startLine } from "./processes.ts"
import { eventTimeout } from "./times.ts"

/** A run of a command with its process group. Times are monotonic, in milliseconds. */
export interface CommandRun {
  readonly group: string
  readonly from: number
  /** When it last recorded that it was alive. */
  readonly to: number
  /** Whether it received SIGTERM. */
  readonly wasTerminated: boolean
}

/** The records of commands. */
export interface Log {
  readonly file: string
  readonly runs: () => ReadonlyArray<CommandRun>
  /** The same, and empties the file. A command that still runs is recorded again. */
  readonly take: () => ReadonlyArray<CommandRun>
  /** Waits until a number of commands have been started in all. Returns the last of them. */
  readonly started: (count: number) => Effect.Effect<CommandRun>
}

const parse = (text: string): ReadonlyArray<CommandRun> => {
  const runs = new Map<string, CommandRun>()
  for (const line of text.split("\n").slice(0, -1)) {
    const [what, group, nanos] = line.split(" ") as [string, string, string]
    const at = Number(nanos) / 1e6
    const { from, wasTerminated } = runs.get(group) ?? { from: at, wasTerminated: false }
    runs.set(group, { group, from, to: at, wasTerminated: wasTerminated || what === "terminated" })
  }
  return [...runs.values()]
}

/** Makes a file for records. It is removed with the scope. */
export const makeLog: Effect.Effect<Log, never, Scope.Scope> = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-run-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  const file = path.join(folder, "log")
  fs.writeFileSync(file, "")
  const runs = () => parse(fs.readFileSync(file, "utf8"))
  return {
    file,
    runs,
    take: () => {
      const taken = runs()
      fs.truncateSync(file)
      return taken
    },
    started: (count) =>
      Effect.sync(runs).pipe(
        Effect.repeat({ until: (runs) => runs.length >= count, schedule: Schedule.spaced("5 millis") }),
        Effect.flatMap(() => Effect.sync(() => runs()[count - 1]!)),
        Effect.timeout(eventTimeout),
        Effect.orDie
      )
  }
})

/** A command that records when it runs. `stubborn`: it ignores SIGTERM. `parent`: it has a stubborn child. */
export const child = (log: Log, ...traits: ReadonlyArray<"parent" | "stubborn">): ReadonlyArray<string> => [
  process.execPath,
  path.join(root, "test/support/commandProcess.mjs"),
  log.file,
  ...traits
]

/** The arguments of a server that runs a command. `peer` replaces the state endpoint of its peer. */
export const runArgs = (
  role: Role,
  at: Endpoints,
  heartbeat: string,
  peer = at[other(role)].state
): ReadonlyArray<string> => [
  "run",
  role === "primary" ? "-p" : "-b",
  "--state",
  at[role].state,
  "--peer",
  peer,
  "--heartbeat",
  heartbeat
]

/** Starts a server that runs a command. */
export const startRun = (
  role: Role,
  at: Endpoints,
  heartbeat: string,
  options: ReadonlyArray<string>,
  command: ReadonlyArray<string>
): Effect.Effect<Process, unknown, Scope.Scope> =>
  Effect.tap(
    bstar([...runArgs(role, at, heartbeat), ...options, "--", ...command]),
    (server) => server.waitForLine(startLine[role])
  )

/** The milliseconds between the end of all earlier runs and the start of each; negative if two runs overlap. */
export const gaps = (
  runs: ReadonlyArray<CommandRun>
): ReadonlyArray<{ readonly run: CommandRun; readonly millis: number }> => {
  const sorted = [...runs].sort((a, b) => a.from - b.from)
  return sorted.slice(1).map((run, i) => ({
    run,
    millis: run.from - Math.max(...sorted.slice(0, i + 1).map(({ to }) => to))
  }))
}

/** No command was alive after another one had started. */
export const assertOneAtATime = (runs: ReadonlyArray<CommandRun>): void =>
  assert.deepStrictEqual(gaps(runs).filter(({ millis }) => millis <= 0), [])

/**
 * `bstar run` as processes, and what the commands note that it starts.
 */
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import * as assert from "node:assert"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { bstar, other, root, startLine } from "../support/processes.ts"

/** A command that has run, with all that belongs to its process group. Times are monotonic, in milliseconds. */
export interface Life {
  readonly group: string
  readonly from: number
  /** When it last noted that it was alive. */
  readonly to: number
  /** Whether it was asked to end. */
  readonly wasAsked: boolean
}

/** What commands have noted. */
export interface Log {
  readonly file: string
  readonly lives: () => ReadonlyArray<Life>
  /** The same, which are forgotten then. Those that still run are seen again. */
  readonly take: () => ReadonlyArray<Life>
  /** Waits until so many commands have been started in all. */
  readonly started: (count: number) => Effect.Effect<Life>
}

const parse = (text: string): ReadonlyArray<Life> => {
  const lives = new Map<string, Life>()
  for (const line of text.split("\n").slice(0, -1)) {
    const [what, group, nanos] = line.split(" ") as [string, string, string]
    const at = Number(nanos) / 1e6
    const { from, wasAsked } = lives.get(group) ?? { from: at, wasAsked: false }
    lives.set(group, { group, from, to: at, wasAsked: wasAsked || what === "asked" })
  }
  return [...lives.values()]
}

/** A file that goes with the scope. */
export const makeLog: Effect.Effect<Log, never, Scope.Scope> = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-run-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  const file = path.join(folder, "log")
  fs.writeFileSync(file, "")
  const lives = () => parse(fs.readFileSync(file, "utf8"))
  return {
    file,
    lives,
    take: () => {
      const taken = lives()
      fs.truncateSync(file)
      return taken
    },
    started: (count) =>
      Effect.sync(lives).pipe(
        Effect.repeat({ until: (lives) => lives.length >= count, schedule: Schedule.spaced("5 millis") }),
        Effect.flatMap(() => Effect.sync(() => lives()[count - 1]!)),
        Effect.timeout("20 seconds"),
        Effect.orDie
      )
  }
})

/** A command that notes its life. `stubborn`: it ignores SIGTERM. `parent`: it has a stubborn child. */
export const child = (log: Log, ...traits: ReadonlyArray<"parent" | "stubborn">): ReadonlyArray<string> => [
  process.execPath,
  path.join(root, "test/system/child.mjs"),
  log.file,
  ...traits
]

/** The arguments of a server that runs a command. `peer` is where it finds its peer, if not directly. */
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

/** For how long, in milliseconds, nothing ran between one command and the next; less than nothing if both did. */
export const gaps = (lives: ReadonlyArray<Life>): ReadonlyArray<{ readonly life: Life; readonly millis: number }> => {
  const sorted = [...lives].sort((a, b) => a.from - b.from)
  return sorted.slice(1).map((life, i) => ({
    life,
    millis: life.from - Math.max(...sorted.slice(0, i + 1).map(({ to }) => to))
  }))
}

/** No command was alive when another had been started. */
export const assertOneAtATime = (lives: ReadonlyArray<Life>): void =>
  assert.deepStrictEqual(gaps(lives).filter(({ millis }) => millis <= 0), [])

/** Database servers that tests start: on free ports, in an empty temporary directory, without rights of root. */
import type { Scope } from "effect"
import { Data, Effect, Schedule } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { tied } from "./processes.ts"
import { eventTimeout } from "./times.ts"

/** A server of an engine. Its port and its data stay the same. */
export interface Engine {
  readonly port: number
  /** The process id of its first process. */
  readonly pid: () => number
  /** Stops all of its processes with SIGSTOP, and lets them go on. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Kills all of its processes with SIGKILL. */
  readonly kill: Effect.Effect<void>
  /** Starts it, and waits until it is ready. */
  readonly start: Effect.Effect<void, EngineError>
}

export class EngineError extends Data.TaggedError("EngineError")<{ readonly message: string }> {}

export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env?: NodeJS.ProcessEnv
  /** Succeeds when the server answers. */
  readonly isReady: Effect.Effect<void, unknown>
}

/** Where a server runs. */
export interface Host {
  /** The prefix of a command that runs there. */
  readonly enter: ReadonlyArray<string>
  /** Its address, also as seen from here. */
  readonly address: string
}

export const thisHost: Host = { enter: [], address: "127.0.0.1" }

/** Whether this process is root of a user namespace that has no other users. */
const isAlone = fs.existsSync("/proc/self/uid_map") &&
  /^\s*0\s+\d+\s+1\s*$/.test(fs.readFileSync("/proc/self/uid_map", "utf8"))

/** PostgreSQL does not run as root. */
const notAsRoot = isAlone ? ["unshare", "--user", "--map-user=1000", "--map-group=1000"] : []

/** The user that servers run as, where this process is root: one without rights. */
const unprivileged = (): { readonly uid?: number; readonly gid?: number } => {
  if (process.getuid?.() !== 0 || isAlone) {
    return {}
  }
  const users = fs.readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
  const user = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody")
  return { uid: Number(user![2]), gid: Number(user![3]) }
}

/** An empty directory of that user. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-engine-"))
    const { gid, uid } = unprivileged()
    if (uid !== undefined && gid !== undefined) {
      fs.chownSync(directory, uid, gid)
    }
    return directory
  }),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10 }))
)

/** Writes a file of that user. */
export const writeFile = (file: string, content: string | Buffer): void => {
  fs.writeFileSync(file, content, { mode: 0o600 })
  const { gid, uid } = unprivileged()
  if (uid !== undefined && gid !== undefined) {
    fs.chownSync(file, uid, gid)
  }
}

const open = (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  env: NodeJS.ProcessEnv = {},
  enter: Host["enter"] = []
) => {
  const [program, ...rest] = [...enter, ...notAsRoot, ...tied, command, ...args]
  const child = spawn(program!, rest, {
    cwd,
    env: { PATH: process.env["PATH"], LC_ALL: "C", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    ...unprivileged()
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-4000)
    })
  }
  const ended = once(child, "close").then(() => undefined, (error: unknown) => {
    output += String(error)
  })
  return { child, ended, output: () => output }
}

/** Runs a program to its end. */
export const runTool = (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string
): Effect.Effect<void, EngineError> =>
  Effect.promise(async () => {
    const { child, ended, output } = open(command, args, cwd)
    await ended
    return { code: child.exitCode, output: output() }
  }).pipe(
    Effect.filterOrFail(
      ({ code }) => code === 0,
      ({ output }) => new EngineError({ message: `${command} has failed: ${output}` })
    )
  )

const contentOf = (file: string): string => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

const namesIn = (directory: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(directory)
  } catch {
    return []
  }
}

/** The children of a process: a backend of PostgreSQL is in a process group of its own. */
const childrenOf = (pid: number): ReadonlyArray<number> =>
  namesIn("/proc").filter((name) => /^\d+$/.test(name)).map(Number)
    .filter((one) => Number(/^.*\) \S (\d+)/s.exec(contentOf(`/proc/${one}/stat`))?.[1]) === pid)

const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

const isAlive = (pid: number): boolean => /^.*\) [^Z]/s.test(contentOf(`/proc/${pid}/stat`))

/** On a busy machine threads go on until the one that has received SIGSTOP is scheduled. */
const isStopped = (pid: number): boolean =>
  namesIn(`/proc/${pid}/task`).every((thread) => /^.*\) [TtZX]/s.test(contentOf(`/proc/${pid}/task/${thread}/stat`)))

type Running = { readonly child: ChildProcess; readonly ended: Promise<void>; readonly output: () => string }

const killAll = ({ child, ended }: Running) =>
  Effect.promise(async () => {
    const all = [child.pid!, ...childrenOf(child.pid!)]
    all.forEach((pid) => signal(pid, "SIGKILL"))
    all.forEach((pid) => signal(pid, "SIGCONT"))
    await ended
    return all
  }).pipe(
    Effect.flatMap((all) =>
      Effect.repeat(Effect.sync(() => all.some(isAlive)), {
        until: (some) => !some,
        schedule: Schedule.spaced("5 millis")
      })
    ),
    Effect.asVoid
  )

/**
 * A server of an engine, which has been started. It is killed with the scope. Its first start is tried with other ports where one of
 * them has been taken meanwhile.
 */
export const startEngine = (
  directory: string,
  ports: Effect.Effect<ReadonlyArray<number>>,
  programOf: (ports: ReadonlyArray<number>) => Program,
  { enter } = thisHost
): Effect.Effect<Engine, EngineError, Scope.Scope> =>
  Effect.gen(function*() {
    let running: Running | undefined
    const kill = Effect.suspend(() => {
      const one = running
      running = undefined
      return one === undefined ? Effect.void : killAll(one)
    })
    yield* Effect.addFinalizer(() => kill)
    const start = (program: Program) =>
      Effect.suspend(() => {
        const one = running = open(program.command, program.args, directory, program.env, enter)
        const ended = Effect.flatMap(
          Effect.promise(() => one.ended),
          () => new EngineError({ message: `${program.command} has ended: ${one.output()}` })
        )
        return program.isReady.pipe(
          Effect.retry(Schedule.spaced("20 millis")),
          Effect.raceFirst(ended),
          Effect.timeoutFail({
            duration: eventTimeout,
            onTimeout: () => new EngineError({ message: `${program.command} is not ready: ${one.output()}` })
          }),
          Effect.mapError((error) => error as EngineError)
        )
      })
    const all = () => {
      const pid = running?.child.pid
      return pid === undefined ? [] : [pid, ...childrenOf(pid)]
    }
    const signalAll = (name: NodeJS.Signals) => Effect.sync(() => all().forEach((pid) => signal(pid, name)))
    const chosen = yield* Effect.retry(
      Effect.gen(function*() {
        const chosen = yield* ports
        yield* Effect.tapError(start(programOf(chosen)), () => kill)
        return chosen
      }),
      { times: 3 }
    )
    return {
      port: chosen[0]!,
      pid: () => running?.child.pid ?? 0,
      // Again and again: a child may have been started before its parent stood still.
      pause: Effect.asVoid(
        Effect.repeat(Effect.zipRight(signalAll("SIGSTOP"), Effect.sync(() => all().every(isStopped))), {
          until: (yes) => yes,
          schedule: Schedule.spaced("5 millis")
        })
      ),
      resume: signalAll("SIGCONT"),
      kill,
      start: Effect.suspend(() => start(programOf(chosen)))
    }
  })

/**
 * The engine of the witness as a process on its host: etcd or PostgreSQL of this system, in an empty folder.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { tied } from "../../support/processes.ts"

export const engineNames = ["etcd", "postgres"] as const

export type EngineName = typeof engineNames[number]

export interface Engine {
  /** What the servers are given as `--witness`. */
  readonly url: string
  /** Starts it, and waits until it serves. */
  readonly start: Effect.Effect<void>
  /** Sends a signal to all its processes. */
  readonly signal: (signal: "SIGSTOP" | "SIGCONT" | "SIGKILL") => Effect.Effect<void>
}

interface Program {
  /** Makes its files. */
  readonly init: ReadonlyArray<ReadonlyArray<string>>
  readonly run: ReadonlyArray<string>
  readonly isReady: RegExp
  readonly url: string
}

const newest = (folder: string): string | undefined =>
  fs.existsSync(folder)
    ? fs.readdirSync(folder).sort((a, b) => Number(b) - Number(a)).map((version) =>
      path.join(folder, version, "bin")
    )[0]
    : undefined

const postgresFolder = newest("/usr/lib/postgresql")

/** Whether this system has the engine. */
export const hasEngine = (name: EngineName): boolean =>
  name === "etcd" ? spawnSync("etcd", ["--version"]).status === 0 : postgresFolder !== undefined

/** PostgreSQL does not run as root, which this process is in its namespace. */
const notAsRoot = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]

const programs: {
  readonly [N in EngineName]: (folder: string, address: string, port: number, pair: string) => Program
} = {
  etcd: (folder, address, port, pair) => ({
    init: [],
    run: [
      "etcd",
      ...["--data-dir", folder, "--name", "witness"],
      ...["--listen-client-urls", `http://${address}:${port}`, "--advertise-client-urls", `http://${address}:${port}`],
      ...["--listen-peer-urls", `http://127.0.0.1:${port + 1}`],
      ...["--initial-advertise-peer-urls", `http://127.0.0.1:${port + 1}`],
      ...["--initial-cluster", `witness=http://127.0.0.1:${port + 1}`]
    ],
    isReady: /ready to serve client requests|serving insecure client requests/,
    url: `etcd://${address}:${port}/${pair}`
  }),
  postgres: (folder, address, port, pair) => {
    const data = path.join(folder, "data")
    const access = "echo host all all 10.77.0.0/24 trust"
    return {
      init: [
        [...notAsRoot, `${postgresFolder}/initdb`, "-D", data, "-A", "trust", "-U", "bstar", "--no-sync"],
        ["sh", "-c", `${access} >> ${data}/pg_hba.conf`]
      ],
      run: [
        ...[...notAsRoot, `${postgresFolder}/postgres`, "-D", data, "-k", folder],
        ...["-c", `listen_addresses=${address}`, "-c", `port=${port}`, "-c", "max_connections=50"]
      ],
      isReady: /ready to accept connections/,
      url: `postgres://bstar@${address}:${port}/postgres?pair=${pair}`
    }
  }
}

export interface Options {
  readonly name: EngineName
  /** The prefix of a command that runs on its host. */
  readonly enter: ReadonlyArray<string>
  readonly address: string
  readonly port: number
  /** The name of the pair in its record. */
  readonly pair: string
}

/** A process and all its descendants. Each process of PostgreSQL is a process group of its own. */
const family = (pid: number): ReadonlyArray<number> => {
  try {
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((text) =>
      text.trim()
    )
    return [pid, ...children.map(Number).flatMap(family)]
  } catch {
    return []
  }
}

const send = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

const command = ([program, ...args]: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.sync(() => {
    const { status, stderr } = spawnSync(program!, args)
    if (status !== 0) {
      throw new Error(`${program} ${args.join(" ")}: ${stderr}`)
    }
  })

/** Makes an engine, and starts it. */
export const makeEngine = ({ address, enter, name, pair, port }: Options): Effect.Effect<Engine, never, Scope.Scope> =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), `bstar-${name}-`))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
    )
    const { init, isReady, run, url } = programs[name](folder, address, port, pair)
    yield* Effect.forEach(init, command)
    let child: ChildProcess | undefined
    const signal = (signal: NodeJS.Signals) => {
      if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
        family(child.pid).forEach((pid) => send(pid, signal))
      }
    }
    const kill = Effect.promise(async () => {
      const ended = child && child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined
      signal("SIGKILL")
      await ended
    })
    const atExit = () => signal("SIGKILL")
    process.on("exit", atExit)
    yield* Effect.addFinalizer(() => Effect.zipRight(kill, Effect.sync(() => process.off("exit", atExit))))
    const start = Effect.promise(async () => {
      const [program, ...args] = [...tied, ...enter, ...run]
      const started = spawn(program!, args, { stdio: ["ignore", "ignore", "pipe"] })
      child = started
      let text = ""
      await new Promise<void>((resolve, reject) => {
        started.stderr.setEncoding("utf8").on("data", (more: string) => {
          text = (text + more).slice(-10_000)
          if (isReady.test(text)) {
            resolve()
          }
        })
        started.once("exit", () => reject(new Error(`${name} ended:\n${text}`)))
      })
    })
    yield* start
    return { url, start, signal: (name) => name === "SIGKILL" ? kill : Effect.sync(() => signal(name)) }
  })

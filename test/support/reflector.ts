/**
 * A network with a one-way delay as TCP sees it, where making a connection and being refused take their time, too. It needs
 * Linux with user and network namespaces, a TUN device and Python.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"

const unshare = ["unshare", "--user", "--map-root-user", "--net"]

const reflector = ["python3", path.join(import.meta.dirname, "reflector.py")]

/** Whether there can be such a network here. */
export const isAvailable = (): boolean =>
  process.platform === "linux" &&
  spawnSync(unshare[0]!, [...unshare.slice(1), ...reflector, "0"], { input: "" }).status === 0

/** Where programs listen, and where they connect to for the delay. */
export const addresses = { listen: "10.9.0.1", connect: "10.9.0.2" } as const

const start = (
  [program, ...args]: ReadonlyArray<string>,
  delayMillis: number
): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(program!, [...args, String(delayMillis)], { stdio: ["pipe", "pipe", "inherit"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    yield* Effect.promise(() => once(child.stdout, "data"))
    return child
  })

/** Makes a network of its own, and gives what to put before a command to run it there. */
export const make = (
  delayMillis: number
): Effect.Effect<readonly [string, ...ReadonlyArray<string>], never, Scope.Scope> =>
  Effect.map(
    start([...unshare, ...reflector], delayMillis),
    ({ pid }) => ["nsenter", `--target=${pid}`, "--user", "--net"]
  )

/** Makes it of the network namespace in which this process is root, and gives what changes its delay. */
export const makeHere = (
  delayMillis: number
): Effect.Effect<(delayMillis: number) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.map(
    start(reflector, delayMillis),
    (child) => (delayMillis) => Effect.sync(() => void child.stdin!.write(`${delayMillis}\n`))
  )

/**
 * A network with a one-way delay below TCP, so that connections and refusals are delayed, too. Needs Linux with user and network
 * namespaces, a TUN device and Python.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"

const unshare = ["unshare", "--user", "--map-root-user", "--net"]

const reflector = ["python3", path.join(import.meta.dirname, "reflector.py")]

/** Whether this system can have such a network. */
export const isAvailable = (): boolean =>
  process.platform === "linux" &&
  spawnSync(unshare[0]!, [...unshare.slice(1), ...reflector, "0"], { input: "" }).status === 0

/** The address to listen at, and the address to connect to with the delay. */
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

/** Makes a network namespace. Succeeds with the prefix of a command that runs in it. */
export const make = (
  delayMillis: number
): Effect.Effect<readonly [string, ...ReadonlyArray<string>], never, Scope.Scope> =>
  Effect.map(
    start([...unshare, ...reflector], delayMillis),
    ({ pid }) => ["nsenter", `--target=${pid}`, "--user", "--net"]
  )

/** Adds the delay to the network namespace of this process, which must be root in it. Succeeds with a function to change the delay. */
export const makeHere = (
  delayMillis: number
): Effect.Effect<(delayMillis: number) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.map(
    start(reflector, delayMillis),
    (child) => (delayMillis) => Effect.sync(() => void child.stdin!.write(`${delayMillis}\n`))
  )

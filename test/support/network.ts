/**
 * A network of hosts in Linux network namespaces. The first host is that of this process. Each direction between two hosts can be
 * cut or delayed.
 *
 * It needs no privilege if unprivileged user namespaces are allowed, and a TUN device and Python. Nothing of it remains when this
 * process ends, in whichever way: a namespace ends with its last process.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import * as path from "node:path"
import { tied } from "./processes.ts"

/** The one-way delay in milliseconds; a direction that is cut drops packets silently, as a broken cable does. */
export type Condition = number | "cut"

export interface Network<Host extends string> {
  readonly addresses: { readonly [H in Host]: string }
  /** The prefix of a command that runs on a host. */
  readonly enter: { readonly [H in Host]: ReadonlyArray<string> }
  /** The process id of the program between the hosts. */
  readonly pid: number
  /** Sets the condition of one direction. When this has ended, it holds. Packets on their way arrive. */
  readonly set: (from: Host, to: Host, condition: Condition) => Effect.Effect<void>
}

const variable = "BSTAR_TEST_NETWORK"

const unshare = ["unshare", "--user", "--map-root-user", "--net"]

const program = ["python3", path.join(import.meta.dirname, "switch.py")] as const

/** Whether this system allows such a network. */
export const isAvailable = (): boolean =>
  process.platform === "linux" &&
  spawnSync(unshare[0]!, [...unshare.slice(1), ...program, "a=10.77.0.1", "b=10.77.0.2"], { input: "" }).status === 0

/** Whether this program runs in a network namespace of its own. */
export const hasEntered = (): boolean => process.env[variable] !== undefined

/** Runs this program again in a network namespace and ends with it, unless it runs in one already. */
export const enterNetwork = async (): Promise<void> => {
  if (hasEntered()) {
    return
  }
  const [program, ...args] = [...unshare, ...tied, process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn(program!, args, { stdio: "inherit", env: { ...process.env, [variable]: "1" } })
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => child.kill(signal))
  }
  process.on("exit", () => child.kill("SIGTERM"))
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve))
  process.exit(code ?? 1)
}

/** The program between the hosts. It ends with this process, whose pipe is its standard input. */
const start = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(program[0], [program[1], ...args], { stdio: ["pipe", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Makes the network of this process, which must have entered one. Its addresses are 10.77.0.1 and the following. */
export const makeNetwork = <Host extends string>(
  hosts: readonly [Host, ...ReadonlyArray<Host>]
): Effect.Effect<Network<Host>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const record = <A>(value: (host: Host, index: number) => A) =>
      Object.fromEntries(hosts.map((host, index) => [host, value(host, index)])) as { readonly [H in Host]: A }
    const addresses = record((_, index) => `10.77.0.${index + 1}`)
    const child = yield* start(hosts.map((host) => `${host}=${addresses[host]}`))
    const waiting: Array<(line: string | undefined) => void> = []
    const answer = Effect.async<string>((resume) => {
      waiting.push((line) => resume(line === undefined ? Effect.dieMessage("the network ended") : Effect.succeed(line)))
    })
    child.on("exit", () => waiting.splice(0).forEach((end) => end(undefined)))
    let rest = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop()!
      lines.forEach((line) => waiting.shift()?.(line))
    })
    const namespaces = Object.fromEntries((yield* answer).split(" ").map((pair) => pair.split("=")))
    return {
      addresses,
      pid: child.pid!,
      enter: record((host, index) => index === 0 ? [] : ["nsenter", `--net=/proc/${child.pid}/fd/${namespaces[host]}`]),
      set: (from, to, condition) =>
        Effect.suspend(() => {
          child.stdin.write(`${from} ${to} ${condition}\n`)
          return answer
        }).pipe(Effect.asVoid, Effect.uninterruptible)
    }
  })

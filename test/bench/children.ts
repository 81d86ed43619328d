/**
 * The child processes of a benchmark. All of them end with it.
 */
import type { ChildProcess, Serializable } from "node:child_process"
import { fork, spawn } from "node:child_process"
import { once } from "node:events"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"

/** The path of a file of the benchmark. */
export const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The environment of the children: that of the benchmark must not configure its servers. */
export const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(BSTAR|NODE)_/.test(name))
)

const children = new Set<ChildProcess>()

process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")))

/** A child that ends by itself, or never starts, ends the benchmark. */
export const adopt = (child: ChildProcess, what: string): void => {
  const fail = (reason: unknown) => {
    if (children.delete(child)) {
      console.error(`${what} has ended: ${reason}`)
      process.exit(1)
    }
  }
  children.add(child)
  child.once("error", fail)
  child.once("exit", (code, signal) => fail(signal ?? `exit code ${code}`))
}

/** Ends a child on purpose. */
export const end = (child: ChildProcess, signal: NodeJS.Signals): void => {
  children.delete(child)
  child.kill(signal)
}

/** Kills a child and waits for its end. */
export const stop = async (child: ChildProcess): Promise<void> => {
  const ended = once(child, "exit")
  end(child, "SIGKILL")
  await ended
}

/** Ends every child and waits for its end. */
export const stopAll = async (): Promise<void> => {
  await Promise.all([...children].map(stop))
}

/** Runs a program to its end. Returns what it has printed. */
export const output = async (program: string, args: ReadonlyArray<string>): Promise<string> => {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] })
  children.add(child)
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, "exit")])
  children.delete(child)
  if (code !== 0) {
    throw new Error(`${program} ${args.join(" ")} has ended with ${code}`)
  }
  return printed
}

/** Starts a module that performs jobs: it receives each as a message, and replies with the result. */
export const forkModule = (module: string, args: ReadonlyArray<string>, what: string): ChildProcess => {
  const child = fork(file(module), args, {
    execArgv: ["--import", "tsx"],
    cwd: file("../.."),
    env,
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  adopt(child, what)
  return child
}

/** Passes a job to a child. Returns its result. */
export const perform = async (child: ChildProcess, job: Serializable): Promise<any> => {
  child.send(job)
  const [result] = await once(child, "message")
  return result
}

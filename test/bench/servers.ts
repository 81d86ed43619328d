/**
 * The processes of a benchmark: servers and the load. All of them are children of this one and end with it.
 */
import type { ChildProcess, StdioOptions } from "node:child_process"
import { fork, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { freePorts } from "../support/ports.ts"
import type { Abuse, CurveKeys, Echo, EchoResult, Flood, FloodResult } from "./load.ts"
import type { Job, Result } from "./rpcPeer.ts"

/** The two sides of a comparison. */
export type Name = "project" | "plain"

export interface Server {
  readonly pid: number
  readonly frontend: string
  /** The times of its start and of its first line. */
  readonly startedAt: number
  readonly firstLineAt: number
  readonly stop: () => Promise<void>
}

/** A server that measures its heap. */
export interface MeasuredServer extends Server {
  /** The bytes that it has allocated in V8's heap since the last call or its start. */
  readonly allocated: () => Promise<number>
}

export interface Load {
  readonly echo: (job: Omit<Echo, "kind">) => Promise<EchoResult>
  readonly flood: (job: Omit<Flood, "kind">) => Promise<FloodResult>
  readonly abuse: (job: Omit<Abuse, "kind">) => Promise<FloodResult>
  /** Ends the process, which would otherwise keep this one running. */
  readonly end: () => void
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const children = new Set<ChildProcess>()

process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")))

/** A child that ends by itself, or never starts, ends the benchmark. */
const adopt = (child: ChildProcess, what: string): void => {
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

const stop = async (child: ChildProcess): Promise<void> => {
  const ended = once(child, "exit")
  children.delete(child)
  child.kill("SIGKILL")
  await ended
}

/** Kills a server on purpose. */
export const kill = (server: Server): void => {
  const child = [...children].find(({ pid }) => pid === server.pid)!
  children.delete(child)
  child.kill("SIGKILL")
}

/** Ends every child and waits for its end. */
export const stopAll = async (): Promise<void> => {
  await Promise.all([...children].map(stop))
}

// The environment of the benchmark must not configure its servers.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(BSTAR|NODE)_/.test(name)))

const start = async (
  what: string,
  args: ReadonlyArray<string>,
  frontend: string,
  stdio: StdioOptions = ["ignore", "pipe", "inherit"]
): Promise<Server & { readonly child: ChildProcess }> => {
  const startedAt = performance.now()
  const child = spawn(process.execPath, args, { env, stdio })
  adopt(child, what)
  await once(child.stdout!, "data")
  const firstLineAt = performance.now()
  child.stdout!.resume()
  return { pid: child.pid!, frontend, startedAt, firstLineAt, stop: () => stop(child), child }
}

/** Starts the plain loop. */
export const startPlain = (frontend: string): Promise<Server> =>
  start("the plain loop", [file("plain.mjs"), frontend], frontend)

/** Makes key files for a pair and a client, in a directory that is removed at the end of this process. */
export const makeKeys = async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-bench-"))
  process.on("exit", () => fs.rmSync(directory, { recursive: true, force: true }))
  for (const args of [[], ["--client", "load"]]) {
    const child = spawn(process.execPath, [file("../../dist/bstar.js"), "keygen", directory, ...args], { env })
    const [code] = await once(child, "exit")
    if (code !== 0) {
      throw new Error(`bstar keygen has ended with ${code}`)
    }
  }
  const key = (name: string, kind: "public" | "secret") =>
    new RegExp(`${kind}-key = "(.*)"`).exec(fs.readFileSync(path.join(directory, name), "utf8"))![1]!
  const secretFile = "client-load/client.key_secret"
  const own = { curvePublicKey: key(secretFile, "public"), curveSecretKey: key(secretFile, "secret") }
  return {
    directory,
    /** The keys of a client of a server. */
    of: (role: "primary" | "backup"): CurveKeys => ({ ...own, curveServerKey: key(`${role}.key`, "public") })
  }
}

/** The endpoints of a member. */
export interface Endpoints {
  readonly frontend: string
  readonly state: string
  readonly peer: string
}

const memberArgs = (
  role: "primary" | "backup",
  { frontend, peer, state }: Endpoints,
  options: ReadonlyArray<string>
): ReadonlyArray<string> => [
  file("../../dist/bstar.js"),
  `--${role}`,
  ...["--frontend", frontend, "--state", state, "--peer", peer],
  ...options
]

/** Starts a member of a pair by its command line. */
export const startMember = (
  role: "primary" | "backup",
  endpoints: Endpoints,
  options: ReadonlyArray<string> = []
): Promise<Server> => start(`bstar --${role}`, memberArgs(role, endpoints, options), endpoints.frontend)

/** Starts the proxy of either side: the plain loop, or a primary without a peer. */
export const startProxy = async (name: Name, backend: string): Promise<Server> => {
  const [frontend, state, peer] = await freeEndpoints()
  return name === "plain"
    ? start("the plain proxy", [file("plainProxy.mjs"), frontend, backend], frontend)
    : start("bstar proxy --primary", [
      file("../../dist/bstar.js"),
      "proxy",
      "--primary",
      ...["--frontend", frontend, "--backend", backend, "--state", state, "--peer", peer]
    ], frontend)
}

/** Starts a worker of several proxies. */
export const startWorker = (backends: ReadonlyArray<string>): Promise<Server> =>
  start("a worker", [file("worker.mjs"), ...backends], "")

/** Starts the server of either side: the plain loop, or a primary without a peer. */
export const startServer = async (name: Name): Promise<Server> => {
  const [frontend, state, peer] = await freeEndpoints()
  return name === "plain" ? startPlain(frontend) : startMember("primary", { frontend, state, peer })
}

/** Starts the server of either side with a script that measures its heap. That of this project has the policy `hardened`. */
export const startMeasured = async (name: Name): Promise<MeasuredServer> => {
  const [frontend, state, peer] = await freeEndpoints()
  const args = name === "plain"
    ? [file("plain.mjs"), frontend]
    : memberArgs("primary", { frontend, state, peer }, ["--policy", "hardened"])
  const preload = ["--import", new URL("garbage.mjs", import.meta.url).href]
  const { child, ...server } = await start(`${name}, measured`, [...preload, ...args], frontend, [
    "ignore",
    "pipe",
    "inherit",
    "ipc"
  ])
  return {
    ...server,
    allocated: async () => {
      child.send("allocated")
      const [bytes] = await once(child, "message")
      return bytes
    }
  }
}

/** Starts the load. */
export const startLoad = (): Load => {
  const child = fork(file("load.ts"), [], { execArgv: ["--import", "tsx"], cwd: file("../.."), env })
  adopt(child, "the load")
  const run = async (job: Echo | Flood | Abuse) => {
    child.send(job)
    const [result] = await once(child, "message")
    return result
  }
  return {
    echo: (job) => run({ kind: "echo", ...job }),
    flood: (job) => run({ kind: "flood", ...job }),
    abuse: (job) => run({ kind: "abuse", ...job }),
    end: () => void child.kill()
  }
}

/** Starts the process that abuses the status server at a port, once for each call. */
export const startAbuse = (): (port: number) => Promise<void> => {
  const child = fork(file("abuse.ts"), [], { execArgv: ["--import", "tsx"], cwd: file("../.."), env })
  adopt(child, "the abuse")
  return async (port) => {
    child.send(port)
    await once(child, "message")
  }
}

/** Starts the plain loop, or a member whose handler is an Effect. */
export const startEffect = async (name: Name): Promise<Server> => {
  const [frontend, state, peer] = await freeEndpoints()
  return name === "plain"
    ? startPlain(frontend)
    : start("a member with an Effect", [file("effectServer.mjs"), frontend, state, peer], frontend)
}

type End = "plain" | "primary" | "backup"

const startRpcEnd = (end: "client" | "server", args: readonly [End, ...Array<string>]): ChildProcess => {
  const child = fork(file("rpcPeer.ts"), [end, ...args], {
    execArgv: ["--import", "tsx"],
    cwd: file("../.."),
    env,
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  adopt(child, `the ${end} of RPC`)
  return child
}

const startRpcClient = async (args: readonly [End, ...Array<string>]) => {
  const client = startRpcEnd("client", args)
  await once(client, "message")
  return async (job: Job): Promise<Result> => {
    client.send(job)
    const [result] = await once(client, "message")
    return result
  }
}

/** Starts an RPC server and its client. Returns a function that makes calls. */
export const startRpc = async (name: Name): Promise<(job: Job) => Promise<Result>> => {
  const [frontend, state, peer] = await freeEndpoints()
  const args = [name === "plain" ? "plain" : "primary", frontend, state, peer] as const
  startRpcEnd("server", args)
  await untilOpen(frontend)
  return startRpcClient(args)
}

/** Starts an RPC service on a pair, and its client. `call` makes calls, and `end` ends the primary. */
export const startRpcPair = async () => {
  const [primary, backup, primaryState, backupState] = await freeEndpoints()
  const active = startRpcEnd("server", ["primary", primary, primaryState, backupState])
  startRpcEnd("server", ["backup", backup, backupState, primaryState])
  await Promise.all([untilOpen(primary), untilOpen(backup)])
  return {
    call: await startRpcClient(["primary", primary, "", "", backup]),
    end: (signal: NodeJS.Signals) => {
      children.delete(active)
      active.kill(signal)
    }
  }
}

/** Free endpoints on this machine. */
export const freeEndpoints = async () =>
  (await freePorts(4)).map((port) => `tcp://127.0.0.1:${port}`) as [string, string, string, string]

/** Waits until an endpoint accepts connections. Returns the time. */
export const untilOpen = async (endpoint: string): Promise<number> => {
  const { hostname, port } = new URL(endpoint)
  while (true) {
    const socket = net.connect(Number(port), hostname)
    const isOpen = await once(socket, "connect").then(() => true, () => false)
    socket.destroy()
    if (isOpen) {
      return performance.now()
    }
    await sleep(2)
  }
}

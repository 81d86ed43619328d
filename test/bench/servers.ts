/**
 * Starts the servers of a benchmark, and the clients that are processes of their own.
 */
import type { ChildProcess, Serializable, StdioOptions } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePorts } from "../support/ports.ts"
import { adopt, end, endAndWait, env, file, forkModule, output, perform } from "./children.ts"
import type * as ClientPeer from "./clientPeer.ts"
import type { CurveKeys } from "./load.ts"
import type { Measured } from "./meter.ts"
import { native } from "./native/programs.ts"
import type * as RpcPeer from "./rpcPeer.ts"

/** The two sides of a comparison. */
export type Name = "project" | "plain"

export interface Server {
  readonly pid: number
  readonly frontend: string
  /** The times of its start and of its first line. */
  readonly startedAt: number
  readonly firstLineAt: number
  readonly stop: () => Promise<void>
  /** Sends it a signal that ends it, at once, and waits for its end. */
  readonly end: (signal: NodeJS.Signals) => Promise<void>
}

/** A server with a script that measures it. */
export interface MeasuredServer<A> extends Server {
  /** What it has measured since the last call or its start. */
  readonly measured: () => Promise<A>
}

const start = async (
  what: string,
  args: ReadonlyArray<string>,
  frontend: string,
  { program = process.execPath, stdio = ["ignore", "pipe", "inherit"] }: {
    readonly program?: string
    readonly stdio?: StdioOptions
  } = {}
): Promise<Server & { readonly child: ChildProcess }> => {
  const startedAt = performance.now()
  const child = spawn(program, args, { env, stdio })
  adopt(child, what)
  await once(child.stdout!, "data")
  const firstLineAt = performance.now()
  child.stdout!.resume()
  return {
    pid: child.pid!,
    frontend,
    startedAt,
    firstLineAt,
    stop: () => endAndWait(child, "SIGKILL"),
    end: (signal) => endAndWait(child, signal),
    child
  }
}

/** Starts the plain loop. */
export const startPlain = (frontend: string): Promise<Server> =>
  start("the plain loop", [file("plain.mjs"), frontend], frontend)

/** Makes key files for a pair and a client, in a directory that is removed at the end of this process. */
export const makeKeys = async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-bench-"))
  process.on("exit", () => fs.rmSync(directory, { recursive: true, force: true }))
  for (const args of [[], ["--client", "load"]]) {
    await output(process.execPath, [file("../../dist/bstar.js"), "keygen", directory, ...args])
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

/** Starts a server of the least pair. */
export const startLeastMember = (
  role: "active" | "passive",
  { frontend, peer, state }: Endpoints
): Promise<Server> => start(`the least ${role} server`, [file("leastPair.mjs"), role, frontend, state, peer], frontend)

/** Starts a pair. It is connected after three seconds. */
export const startPair = async (
  primaryOptions: ReadonlyArray<string> = [],
  backupOptions: ReadonlyArray<string> = primaryOptions
) => {
  const [frontend, state, otherFrontend, otherState] = await freeEndpoints()
  return {
    primary: await startMember("primary", { frontend, state, peer: otherState }, primaryOptions),
    backup: await startMember("backup", { frontend: otherFrontend, state: otherState, peer: state }, backupOptions),
    state
  }
}

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

/** Starts a worker of several proxies: native, or else in Node. */
export const startWorker = (backends: ReadonlyArray<string>): Promise<Server> => {
  const { programs } = native()
  return programs === undefined
    ? start("a worker", [file("worker.mjs"), ...backends], "")
    : start("a worker", backends, "", { program: programs.worker })
}

/** Starts an echo server that is the same for several clients: native, or else the plain loop. */
export const startEcho = async (): Promise<Server> => {
  const [frontend] = await freeEndpoints()
  const { programs } = native()
  return programs === undefined
    ? startPlain(frontend)
    : start("the echo server", [frontend], frontend, { program: programs.echo })
}

/** Starts the server of either side: the plain loop, or a primary without a peer. */
export const startServer = async (name: Name): Promise<Server> => {
  const [frontend, state, peer] = await freeEndpoints()
  return name === "plain" ? startPlain(frontend) : startMember("primary", { frontend, state, peer })
}

/** Starts the server of either side with a script that measures it. That of this project has the policy `hardened`. */
const startMeasured = async <A>(name: Name, script: string): Promise<MeasuredServer<A>> => {
  const [frontend, state, peer] = await freeEndpoints()
  const args = name === "plain"
    ? [file("plain.mjs"), frontend]
    : memberArgs("primary", { frontend, state, peer }, ["--policy", "hardened"])
  const preload = ["--import", new URL(script, import.meta.url).href]
  const { child, ...server } = await start(`${name} with ${script}`, [...preload, ...args], frontend, {
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  return { ...server, measured: () => perform(child, "measured") }
}

/** Starts a server that measures the bytes that it allocates in V8's heap. */
export const startWithGarbage = (name: Name) => startMeasured<number>(name, "garbage.mjs")

/** Starts the server of this project, which measures the garbage collections that stop it: the milliseconds of each. */
export const startWithPauses = () => startMeasured<ReadonlyArray<number>>("project", "pauses.mjs")

/** Starts the process that abuses the status server at a port, once for each call. */
export const startHttpAbuse = (): (port: number) => Promise<void> => {
  const child = forkModule("abuse.ts", [], "the abuse")
  return (port) => perform(child, port)
}

/** How a handler that is an Effect is written: with `Effect.fnUntraced`, or `Effect.gen`. */
export type Writing = "fn" | "gen"

/** Starts the plain loop, or a server whose handler is an Effect: a member, or the least that runs one for each request. */
export const startEffect = async (name: Name, writing: Writing, server: "member" | "loop"): Promise<Server> => {
  const [frontend, state, peer] = await freeEndpoints()
  return name === "plain"
    ? startPlain(frontend)
    : start("a server with an Effect", [file("effectServer.mjs"), server, writing, frontend, state, peer], frontend)
}

/** Starts a module that reports when it is ready. Returns what performs its jobs. */
const startPeer = async <J extends Serializable, R>(
  module: string,
  args: ReadonlyArray<string>,
  what: string
): Promise<(job: J) => Promise<R>> => {
  const peer = forkModule(module, args, what)
  await once(peer, "message")
  return (job) => perform(peer, job)
}

/** Starts a client of an echo server: that of this project, a plain DEALER, or one with the least around it. */
export const startClient = (name: ClientPeer.ClientName, endpoint: string) =>
  startPeer<ClientPeer.Job, Measured>("clientPeer.ts", [name, endpoint], `the client ${name}`)

type RpcArgs = readonly ["plain" | "primary" | "backup", ...Array<string>]

const startRpcServer = (args: RpcArgs): ChildProcess =>
  forkModule("rpcPeer.ts", ["server", ...args], "the server of RPC")

const startRpcClient = (args: RpcArgs) =>
  startPeer<RpcPeer.Job, RpcPeer.Result>("rpcPeer.ts", ["client", ...args], "the client of RPC")

/** Starts an RPC server and its client. Returns a function that makes calls. */
export const startRpc = async (name: Name): Promise<(job: RpcPeer.Job) => Promise<RpcPeer.Result>> => {
  const [frontend, state, peer] = await freeEndpoints()
  const args = [name === "plain" ? "plain" : "primary", frontend, state, peer] as const
  startRpcServer(args)
  await untilOpen(frontend)
  return startRpcClient(args)
}

/** Starts an RPC service on a pair, and its client. `call` makes calls, and `end` ends the primary. */
export const startRpcPair = async () => {
  const [primary, backup, primaryState, backupState] = await freeEndpoints()
  const active = startRpcServer(["primary", primary, primaryState, backupState])
  startRpcServer(["backup", backup, backupState, primaryState])
  await Promise.all([untilOpen(primary), untilOpen(backup)])
  return {
    call: await startRpcClient(["primary", primary, "", "", backup]),
    end: (signal: NodeJS.Signals) => end(active, signal)
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

/**
 * The command as a real process, and what stands around it: free ports, raw sockets, a peer of another make.
 */
import type { Duration, Scope } from "effect"
import { Data, Effect, Schedule } from "effect"
import { spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { once } from "node:events"
import * as net from "node:net"
import * as path from "node:path"
import * as zmq from "zeromq"

export const root = path.resolve(import.meta.dirname, "../..")

/** How long anything awaited may take on a machine that is busy with other things. */
const defaultPatience: Duration.DurationInput = "20 seconds"

class Awaited extends Data.TaggedError("Awaited")<{ readonly message: string }> {}

/** What has happened so far, in order, for those who wait for more. */
export interface Journal<A> {
  readonly entries: ReadonlyArray<A>
  readonly add: (entry: A) => void
  /** Waits for an entry with an index of `from` or above. */
  readonly find: (matches: (entry: A) => boolean, from?: number) => Effect.Effect<A, Awaited>
  /** Waits until there are so many entries more than now. */
  readonly more: (count: number) => Effect.Effect<ReadonlyArray<A>, Awaited>
}

const makeJournal = <A>(name: string, patience: Duration.DurationInput = defaultPatience): Journal<A> => {
  const entries: Array<A> = []
  const watchers = new Set<() => void>()
  const when = <B>(look: () => B | undefined) =>
    Effect.async<B>((resume) => {
      const watcher = () => {
        const seen = look()
        if (seen !== undefined) {
          watchers.delete(watcher)
          resume(Effect.succeed(seen))
        }
      }
      watchers.add(watcher)
      watcher()
      return Effect.sync(() => watchers.delete(watcher))
    }).pipe(Effect.timeoutFail({
      duration: patience,
      onTimeout: () => new Awaited({ message: `not seen in ${name}: ${entries.slice(-20).map(String).join("\n")}` })
    }))
  return {
    entries,
    add: (entry) => {
      entries.push(entry)
      watchers.forEach((watcher) => watcher())
    },
    find: (matches, from = 0) =>
      Effect.suspend(() => {
        let next = from
        return when(() => {
          while (next < entries.length) {
            const entry = entries[next++]!
            if (matches(entry)) {
              return entry
            }
          }
          return undefined
        })
      }),
    more: (count) =>
      Effect.suspend(() => {
        const from = entries.length
        return when(() => entries.length >= from + count ? entries.slice(from, from + count) : undefined)
      })
  }
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Process {
  readonly pid: number
  /** The complete lines of standard output so far, without what transitions were decided by. */
  readonly lines: ReadonlyArray<string>
  /** All of standard output, byte for byte. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Waits for a line of standard output with an index of `from` or above. Fails when the process ends without it. */
  readonly waitForLine: (pattern: string | RegExp, from?: number) => Effect.Effect<string, Awaited>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly exit: Effect.Effect<Exit, Awaited>
}

const environment = (extra: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("BSTAR_"))),
  ...extra
})

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** How long its end and its lines may be waited for. */
  readonly patience?: Duration.DurationInput
}

/** A line of a hardened server tells behind a transition what it was decided by, often in milliseconds. */
const evidence = / \((?:the peer reports|no heartbeat from the peer|the peer is down|this process did not run) .*\)$/

/** Starts a program. With the scope it is killed, if it has not ended by then. */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  { cwd = root, env = {}, patience = defaultPatience }: RunOptions = {}
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.gen(function*() {
    const command = [path.basename(program), ...args].join(" ")
    const { child, ended } = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(program, args, { cwd, env: environment(env), stdio: ["ignore", "pipe", "pipe"] })
        return { child, ended: once(child, "close").then(([code, signal]): Exit => ({ code, signal })) }
      }),
      ({ child, ended }) =>
        Effect.promise(() => {
          child.kill("SIGKILL")
          return ended
        })
    )
    let stdout = ""
    let stderr = ""
    let rest = ""
    const lines = makeJournal<string>(`the output of ${command}`, patience)
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      const [last = "", ...complete] = (rest + text).split("\n").reverse()
      rest = last
      complete.reverse().forEach((line) => lines.add(line.replace(evidence, "")))
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    const exit = Effect.promise(() => ended)
    return {
      pid: child.pid!,
      lines: lines.entries,
      stdout: () => stdout,
      stderr: () => stderr,
      waitForLine: (pattern, from) =>
        Effect.raceFirst(
          lines.find((line) => typeof pattern === "string" ? line === pattern : pattern.test(line), from),
          Effect.flatMap(
            exit,
            ({ code, signal }) =>
              new Awaited({ message: `${command} ended (${code ?? signal}) without ${pattern}\n${stdout}${stderr}` })
          )
        ),
      kill: (signal) => Effect.sync(() => void child.kill(signal)),
      exit: Effect.timeoutFail(exit, {
        duration: patience,
        onTimeout: () => new Awaited({ message: `${command} has not ended\n${stdout}${stderr}` })
      })
    }
  })

/** Starts `bstar`. */
export const bstar = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  run(process.execPath, [path.join(root, "dist/bstar.js"), ...args], { env })

const portsGiven = new Set<number>()

/**
 * Below those that the system gives to connections, which may connect a port to itself while no process listens there. Each of
 * the processes that run test files at the same time has its own.
 */
const portsEach = 2000
const firstPort = 12_000 + portsEach * (Number(process.env["VITEST_POOL_ID"] ?? 0) % 10)

const isFree = async (port: number): Promise<boolean> => {
  const server = net.createServer()
  const isListening = new Promise<boolean>((resolve) => {
    server.once("listening", () => resolve(true))
    server.once("error", () => resolve(false))
  })
  server.listen(port, "127.0.0.1")
  return await isListening && (await once(server.close(), "close"), true)
}

/** Ports of this machine that are free. No two calls in this process give the same one. */
const freePorts = async (count: number): Promise<Array<number>> => {
  const ports: Array<number> = []
  while (ports.length < count) {
    const port = randomInt(firstPort, firstPort + portsEach)
    if (!portsGiven.has(port) && await isFree(port)) {
      portsGiven.add(port)
      ports.push(port)
    }
  }
  return ports
}

export type Role = "primary" | "backup"

export const roles: ReadonlyArray<Role> = ["primary", "backup"]

export const other = (role: Role): Role => role === "primary" ? "backup" : "primary"

export type Endpoints = { readonly [R in Role]: { readonly frontend: string; readonly state: string } }

/** Endpoints for a pair, on ports that are free. */
export const freeEndpoints: Effect.Effect<Endpoints> = Effect.map(
  Effect.promise(() => freePorts(4)),
  (ports) => {
    const [a, b, c, d] = ports.map((port) => `tcp://127.0.0.1:${port}`) as [string, string, string, string]
    return { primary: { frontend: a, state: b }, backup: { frontend: c, state: d } }
  }
)

/** The arguments of a server. `peer` is where it finds its peer, if not directly. */
export const serverArgs = (
  role: Role,
  at: Endpoints,
  heartbeat: string,
  peer = at[other(role)].state
): ReadonlyArray<string> => [
  role === "primary" ? "-p" : "-b",
  "--frontend",
  at[role].frontend,
  "--state",
  at[role].state,
  "--peer",
  peer,
  "--heartbeat",
  heartbeat
]

export const startLine: { readonly [R in Role]: string } = {
  primary: "I: Primary active, waiting for backup (passive)",
  backup: "I: Backup passive, waiting for primary (active)"
}

/** What a backup logs when it refuses votes although it receives nothing from its primary. */
export const votesRefused = (primary: string): string =>
  `W: votes are rejected: no heartbeat from the primary at ${primary} for N s, waiting for it; ` +
  "start the primary, or bstar promote"

/** The text with a fixed length of silence, which depends on how busy the machine is. */
export const withoutSeconds = (text: string): string => text.replace(/ for \d+ s,/g, " for N s,")

/** A raw socket that is closed with the scope. */
export const socket = <S extends zmq.Socket>(open: () => S): Effect.Effect<S, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(open), (socket) => Effect.sync(() => socket.close()))

type Sending = zmq.Socket & { readonly send: (message: Array<Buffer | string>) => Promise<void> }
type Receiving = zmq.Socket & { readonly receive: () => Promise<Array<Buffer>> }

export const send = (socket: Sending, ...frames: Array<Buffer | string>): Effect.Effect<void> =>
  Effect.promise(() => socket.send(frames))

/** A message and the monotonic time in milliseconds when it came. */
export interface Received {
  readonly frames: ReadonlyArray<Buffer>
  readonly at: number
}

/** Notes what a socket receives from now on. */
export const receiving = (socket: Receiving): Journal<Received> => {
  const journal = makeJournal<Received>(`what a ${socket.constructor.name} received`)
  const loop = async () => {
    while (!socket.closed) {
      journal.add({ frames: await socket.receive(), at: performance.now() })
    }
  }
  loop().catch((error: unknown) => {
    if (!socket.closed) {
      throw error
    }
  })
  return journal
}

/** A client of another make. */
export const dealer = (frontend: string) =>
  Effect.gen(function*() {
    const client = yield* socket(() => new zmq.Dealer({ linger: 0 }))
    client.connect(frontend)
    return { ask: (...frames: Array<Buffer | string>) => send(client, ...frames), replies: receiving(client) }
  })

/** What a server publishes, from the first word that reaches us. */
export const publications = (state: string) =>
  Effect.map(socket(() => new zmq.Subscriber({ linger: 0 })), (subscriber) => {
    subscriber.connect(state)
    subscriber.subscribe()
    return receiving(subscriber)
  })

/** The number that a state has on the wire. */
export type Digit = "1" | "2" | "3" | "4"

/** A server of another make that speaks nothing but the wire format. It publishes when told to. */
export const foreignPeer = (role: Role, at: Endpoints) =>
  Effect.gen(function*() {
    // An XPUB is a PUB that hears who listens to it.
    const publisher = yield* socket(() => new zmq.XPublisher({ linger: 0, sendTimeout: 0 }))
    yield* Effect.promise(() => publisher.bind(at[role].state))
    const listeners = receiving(publisher)
    const heard = yield* publications(at[other(role)].state)
    const say = (...frames: Array<Buffer | string>) => send(publisher, ...frames)
    const subscribes = (change: 0 | 1) => ({ frames }: Received) => frames[0]?.[0] === change
    return {
      /** Waits until our server listens. */
      listened: listeners.find(subscribes(1)),
      /** Waits until our server has lost its connection, from now on, and then listens on another one. */
      listenedAgain: Effect.suspend(() => {
        const from = listeners.entries.length
        return Effect.zipRight(listeners.find(subscribes(0), from), listeners.find(subscribes(1), from))
      }),
      /** Publishes one message. */
      say,
      /** Publishes a state again and again; whoever wants silence interrupts it. */
      beat: (digit: Digit) => Effect.repeat(say(digit), Schedule.spaced("20 millis")),
      /** What our server publishes. */
      heard,
      /** Waits until our server publishes a state, from now on. */
      hear: (digit: Digit) =>
        Effect.suspend(() => heard.find(({ frames }) => String(frames[0]) === digit, heard.entries.length))
    }
  })

/**
 * The command `bstar` as a process, and what surrounds it: free ports, raw sockets, a foreign peer.
 */
import type { Duration, Scope } from "effect"
import { Data, Effect, Schedule } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import * as zmq from "zeromq"
import { freePorts } from "./ports.ts"
import { eventTimeout } from "./times.ts"

export const root = path.resolve(import.meta.dirname, "../..")

class EventTimeout extends Data.TaggedError("EventTimeout")<{ readonly message: string }> {}

/** Events so far, in order. Later events can be awaited. */
export interface Journal<A> {
  readonly entries: ReadonlyArray<A>
  readonly add: (entry: A) => void
  /** Waits for an entry with an index of `from` or above. */
  readonly find: (matches: (entry: A) => boolean, from?: number) => Effect.Effect<A, EventTimeout>
  /** Waits for a number of entries from now on. */
  readonly more: (count: number) => Effect.Effect<ReadonlyArray<A>, EventTimeout>
}

const makeJournal = <A>(name: string, timeout: Duration.DurationInput = eventTimeout): Journal<A> => {
  const entries: Array<A> = []
  const watchers = new Set<() => void>()
  const when = <B>(check: () => B | undefined) =>
    Effect.async<B>((resume) => {
      const watcher = () => {
        const found = check()
        if (found !== undefined) {
          watchers.delete(watcher)
          resume(Effect.succeed(found))
        }
      }
      watchers.add(watcher)
      watcher()
      return Effect.sync(() => watchers.delete(watcher))
    }).pipe(Effect.timeoutFail({
      duration: timeout,
      onTimeout: () =>
        new EventTimeout({ message: `not found in ${name}: ${entries.slice(-20).map(String).join("\n")}` })
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
  /** The complete lines of standard output so far, without the explanations of transitions. */
  readonly lines: ReadonlyArray<string>
  /** All of standard output, byte for byte. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Waits for a line of standard output with an index of `from` or above. Fails when the process ends without it. */
  readonly waitForLine: (pattern: string | RegExp, from?: number) => Effect.Effect<string, EventTimeout>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly exit: Effect.Effect<Exit, EventTimeout>
}

const environment = (extra: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("BSTAR_"))),
  ...extra
})

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** How long `exit` and `waitForLine` wait. */
  readonly timeout?: Duration.DurationInput
}

/** The explanation of a transition at the end of a line of a hardened server. It often contains milliseconds. */
const explanation = / \((?:the peer reports|no heartbeat from the peer|the peer is down|this process did not run) .*\)$/

/** Starts a program. It is killed when the scope closes. */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  { cwd = root, env = {}, timeout = eventTimeout }: RunOptions = {}
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.gen(function*() {
    const command = [path.basename(program), ...args].join(" ")
    const { child, ended } = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(program, args, { cwd, env: environment(env), stdio: ["ignore", "pipe", "pipe"] })
        return { child, ended: once(child, "close").then(([code, signal]): Exit => ({ code, signal })) }
      }),
      ({ child }) =>
        Effect.promise(async () => {
          const exited = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined
          child.kill("SIGKILL")
          await exited
          // A process that it has started may still hold the other ends of the pipes.
          child.stdout.destroy()
          child.stderr.destroy()
        })
    )
    let stdout = ""
    let stderr = ""
    let rest = ""
    const lines = makeJournal<string>(`the output of ${command}`, timeout)
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      const [last = "", ...complete] = (rest + text).split("\n").reverse()
      rest = last
      complete.reverse().forEach((line) => lines.add(line.replace(explanation, "")))
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
              new EventTimeout({
                message: `${command} ended (${code ?? signal}) without ${pattern}\n${stdout}${stderr}`
              })
          )
        ),
      kill: (signal) => Effect.sync(() => void child.kill(signal)),
      exit: Effect.timeoutFail(exit, {
        duration: timeout,
        onTimeout: () => new EventTimeout({ message: `${command} has not ended\n${stdout}${stderr}` })
      })
    }
  })

/** Starts `bstar`. */
export const bstar = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  run(process.execPath, [path.join(root, "dist/bstar.js"), ...args], { env })

/** The prefix of a command that ends even when this process is killed, if this system has `setpriv`. */
export const tied: ReadonlyArray<string> = spawnSync("setpriv", ["--pdeathsig=KILL", "true"]).status === 0
  ? ["setpriv", "--pdeathsig=KILL"]
  : []

export type Role = "primary" | "backup"

export const roles: ReadonlyArray<Role> = ["primary", "backup"]

export const other = (role: Role): Role => role === "primary" ? "backup" : "primary"

export type Endpoints = { readonly [R in Role]: { readonly frontend: string; readonly state: string } }

/** Endpoints for a pair, on free ports. */
export const freeEndpoints: Effect.Effect<Endpoints> = Effect.map(
  Effect.promise(() => freePorts(4)),
  (ports) => {
    const [a, b, c, d] = ports.map((port) => `tcp://127.0.0.1:${port}`) as [string, string, string, string]
    return { primary: { frontend: a, state: b }, backup: { frontend: c, state: d } }
  }
)

/** Free addresses for two status servers. */
export const freeAddresses: Effect.Effect<{ readonly [R in Role]: string }> = Effect.map(
  freeEndpoints,
  ({ backup, primary }) => ({ primary: addressOf(primary.frontend), backup: addressOf(backup.frontend) })
)

/** The host and the port of an endpoint. */
export const addressOf = (endpoint: string): string => endpoint.slice("tcp://".length)

/** The arguments of a server. `peer` replaces the state endpoint of its peer. */
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

/** What a backup logs when it rejects votes and has received nothing from its primary. */
export const votesRejected = (primary: string): string =>
  `W: votes are rejected: no heartbeat from the primary at ${primary} for N s, waiting for it; ` +
  "start the primary, or bstar promote"

/** The text with a fixed length of silence: the real one depends on the load of the machine. */
export const withoutSeconds = (text: string): string => text.replace(/ for \d+ s,/g, " for N s,")

/** A raw socket. It is closed with the scope. */
export const socket = <S extends zmq.Socket>(open: () => S): Effect.Effect<S, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(open), (socket) => Effect.sync(() => socket.close()))

type Sending = zmq.Socket & { readonly send: (message: Array<Buffer | string>) => Promise<void> }
type Receiving = zmq.Socket & { readonly receive: () => Promise<Array<Buffer>> }

export const send = (socket: Sending, ...frames: Array<Buffer | string>): Effect.Effect<void> =>
  Effect.promise(() => socket.send(frames))

/** A message, and the monotonic time in milliseconds when it was received. */
export interface Received {
  readonly frames: ReadonlyArray<Buffer>
  readonly at: number
}

/** Records the messages that a socket receives from now on. Defaults to all of them. */
export const receiving = (socket: Receiving, isWanted = (_: ReadonlyArray<Buffer>) => true): Journal<Received> => {
  const journal = makeJournal<Received>(`the messages of a ${socket.constructor.name}`)
  const loop = async () => {
    while (!socket.closed) {
      const frames = await socket.receive()
      if (isWanted(frames)) {
        journal.add({ frames, at: performance.now() })
      }
    }
  }
  loop().catch((error: unknown) => {
    if (!socket.closed) {
      throw error
    }
  })
  return journal
}

/** A foreign client: a raw DEALER. */
export const dealer = (frontend: string) =>
  Effect.gen(function*() {
    const client = yield* socket(() => new zmq.Dealer({ linger: 0 }))
    client.connect(frontend)
    return { request: (...frames: Array<Buffer | string>) => send(client, ...frames), replies: receiving(client) }
  })

/** Records everything that a server publishes. It publishes its state when this subscriber connects. */
const everything = (state: string, isWanted?: (frames: ReadonlyArray<Buffer>) => boolean) =>
  Effect.map(socket(() => new zmq.Subscriber({ linger: 0 })), (subscriber) => {
    subscriber.connect(state)
    subscriber.subscribe()
    return receiving(subscriber, isWanted)
  })

/** Records the states that a server publishes, without what it sends to its peer beside them. */
export const publications = (state: string) => everything(state, ([frame]) => frame?.length === 1)

/** The number that a state has on the wire. */
export type Digit = "1" | "2" | "3" | "4"

/** A foreign peer: it implements nothing but the wire format, and publishes only what a test publishes. */
export const foreignPeer = (role: Role, at: Endpoints) =>
  Effect.gen(function*() {
    // An XPUB is a PUB that receives subscriptions.
    const publisher = yield* socket(() => new zmq.XPublisher({ linger: 0, sendTimeout: 0 }))
    yield* Effect.promise(() => publisher.bind(at[role].state))
    const subscriptions = receiving(publisher)
    const received = yield* everything(at[other(role)].state)
    const publish = (...frames: Array<Buffer | string>) => send(publisher, ...frames)
    const heartbeats = (digit: Digit) => Effect.repeat(publish(digit), Schedule.spaced("20 millis"))
    const isChange = (change: 0 | 1) => ({ frames }: Received) => frames[0]?.[0] === change
    return {
      /** Waits until the server is subscribed. */
      subscribed: subscriptions.find(isChange(1)),
      /** Waits until the server has lost its connection, from now on, and has subscribed on a new one. */
      resubscribed: Effect.suspend(() => {
        const from = subscriptions.entries.length
        return Effect.zipRight(subscriptions.find(isChange(0), from), subscriptions.find(isChange(1), from))
      }),
      /** Publishes one message. */
      publish,
      /** Publishes a state every 20 milliseconds until it is interrupted. */
      heartbeats,
      /** Publishes a state until an effect ends. A server that reconnects, because it receives nothing, may miss a single heartbeat. */
      publishUntil: <A, E, R>(digit: Digit, effect: Effect.Effect<A, E, R>) =>
        Effect.raceFirst(effect, Effect.zipRight(heartbeats(digit), Effect.never)),
      /** The messages that the server publishes. */
      received,
      /** Waits until the server publishes a state, from now on. */
      receive: (digit: Digit) =>
        Effect.suspend(() => received.find(({ frames }) => String(frames[0]) === digit, received.entries.length))
    }
  })

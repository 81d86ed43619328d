/**
 * The two servers as processes that are restarted, and their log lines.
 */
import { Deferred, Effect, Fiber, Option, Stream, SubscriptionRef } from "effect"
import type { Scope } from "effect"
import * as path from "node:path"
import type { PolicyName } from "../../../src/protocol/Policies.ts"
import { runArgs } from "../../support/commands.ts"
import type { Links } from "../../support/links.ts"
import type { Endpoints, Process, Role } from "../../support/processes.ts"
import { freeEndpoints, root, run, serverArgs, tied } from "../../support/processes.ts"
import type { Network } from "./network.ts"

/** The state in the log lines of a server; `waiting` until its first heartbeat from the peer. */
export type State = "down" | "waiting" | "active" | "passive"

export type States = { readonly [R in Role]: State }

/** A log line of a server, with its own timestamp on the monotonic clock of this process. */
export interface Line {
  readonly role: Role
  readonly incarnation: number
  readonly at: number
  readonly text: string
}

/** The end of a server that the harness did not cause. */
export interface UnexpectedExit {
  readonly role: Role
  readonly incarnation: number
  readonly at: number
  readonly how: string
  readonly stderr: string
}

export interface Node {
  readonly role: Role
  /** The number of the current process, or of the last one. */
  readonly incarnation: () => number
  /** Its process id. */
  readonly pid: () => number
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Ends the process, and waits until the next one has started, `restartAfterMillis` after the end. */
  readonly end: (signal: "SIGKILL" | "SIGTERM", restartAfterMillis: number) => Effect.Effect<void>
}

export interface Pair {
  readonly at: Endpoints
  readonly nodes: { readonly [R in Role]: Node }
  readonly states: SubscriptionRef.SubscriptionRef<States>
  /** The log lines and the unexpected exits since the last call. */
  readonly takeLines: () => ReadonlyArray<Line>
  readonly takeExits: () => ReadonlyArray<UnexpectedExit>
}

export interface Options {
  readonly policy: PolicyName
  readonly heartbeat: string
  /** The file of the command. */
  readonly program: string
  /** The network of the servers. Defaults to this host. */
  readonly network: Network | undefined
  /** The links between the servers. Defaults to direct connections. */
  readonly links?: Links | undefined
  /** The directory of the key files. Defaults to no keys. */
  readonly keys?: string | undefined
  /** The command for `bstar run`. Defaults to servers that answer clients. */
  readonly command?: ReadonlyArray<string> | undefined
  /** More arguments of each server, before and after the others. */
  readonly before?: ReadonlyArray<string> | undefined
  readonly behind?: { readonly [R in Role]: ReadonlyArray<string> } | undefined
  readonly env?: NodeJS.ProcessEnv | undefined
}

export const program = path.join(root, "dist/bstar.js")

interface PlannedEnd {
  readonly signal: "SIGKILL" | "SIGTERM"
  readonly restartAfterMillis: number
  readonly restarted: Deferred.Deferred<void>
}

const stateAfter = (text: string, before: State): State =>
  /ready as active/.test(text)
    ? "active"
    : /ready as passive/.test(text)
    ? "passive"
    : /waiting for (primary|backup)|, rejoining/.test(text)
    ? "waiting"
    : before

interface Written {
  readonly message: unknown
  readonly timestamp: string
}

const parse = (line: string): { readonly at: number; readonly text: string } => {
  try {
    const { message, timestamp } = JSON.parse(line) as Written
    return { at: Date.parse(timestamp) - performance.timeOrigin, text: String(message) }
  } catch {
    return { at: performance.now(), text: line }
  }
}

/** The harness limits its waits itself. */
const noTimeout = "1 day"

export const makePair = (options: Options): Effect.Effect<Pair, never, Scope.Scope> =>
  Effect.gen(function*() {
    const at = options.network?.at ?? options.links?.at ?? (yield* freeEndpoints)
    const states = yield* SubscriptionRef.make<States>({ primary: "down", backup: "down" })
    let lines: Array<Line> = []
    let exits: Array<UnexpectedExit> = []
    const pair = {
      at,
      states,
      line: (line: Line) => lines.push(line),
      exit: (exit: UnexpectedExit) => exits.push(exit)
    }
    return {
      at,
      states,
      nodes: {
        primary: yield* makeNode("primary", options, pair),
        backup: yield* makeNode("backup", options, pair)
      },
      takeLines: () => {
        const taken = lines
        lines = []
        return taken
      },
      takeExits: () => {
        const taken = exits
        exits = []
        return taken
      }
    }
  })

interface Records {
  readonly at: Endpoints
  readonly states: SubscriptionRef.SubscriptionRef<States>
  readonly line: (line: Line) => void
  readonly exit: (exit: UnexpectedExit) => void
}

const makeNode = (
  role: Role,
  { before = [], behind, command: service, env = {}, heartbeat, keys, links, network, policy, program }: Options,
  pair: Records
): Effect.Effect<Node, never, Scope.Scope> =>
  Effect.gen(function*() {
    let incarnation = 0
    let process: Process | undefined
    let planned: PlannedEnd | undefined
    const started = yield* Deferred.make<void>()
    const [command, ...args] = [
      ...tied,
      ...network?.enter[role] ?? [],
      globalThis.process.execPath,
      program,
      ...before,
      ...(service === undefined ? serverArgs : runArgs)(role, pair.at, heartbeat, links?.peers[role]),
      ...["--policy", policy, "--log-format", "json"],
      ...keys === undefined ? [] : ["--keys", keys],
      ...behind?.[role] ?? [],
      ...service === undefined ? [] : ["--grace", "500 millis", "--", ...service]
    ] as [string, ...Array<string>]

    const enter = (state: (before: State) => State) =>
      SubscriptionRef.update(pair.states, (states) => ({ ...states, [role]: state(states[role]) }))

    const record = (written: string) => {
      const { at, text } = parse(written)
      pair.line({ role, incarnation, at, text })
      return enter((before) => stateAfter(text, before))
    }

    /** Records all lines of a process, until it ends. */
    const read = (process: Process) =>
      Effect.gen(function*() {
        let next = 0
        yield* process.waitForLine(/^/, 0).pipe(
          Effect.flatMap(() =>
            Effect.suspend(() => Effect.zipRight(record(process.lines[next++]!), process.waitForLine(/^/, next))).pipe(
              Effect.forever
            )
          ),
          Effect.ignore
        )
        yield* Effect.forEach(process.lines.slice(next), record, { discard: true })
      })

    const runOnce = Effect.gen(function*() {
      process = yield* run(command, args, { env, timeout: noTimeout })
      incarnation++
      const before = planned
      planned = undefined
      yield* enter(() => "waiting")
      yield* Deferred.succeed(before?.restarted ?? started, undefined)
      yield* read(process)
      const { code, signal } = yield* Effect.orDie(process.exit)
      yield* enter(() => "down")
      if (!wasPlanned(planned, code, signal)) {
        pair.exit({
          role,
          incarnation,
          at: performance.now(),
          how: signal ?? `exit code ${code}`,
          stderr: process.stderr()
        })
      }
    }).pipe(Effect.scoped)

    const supervisor = yield* runOnce.pipe(
      Effect.zipRight(Effect.suspend(() => Effect.sleep(planned?.restartAfterMillis ?? 0))),
      Effect.forever,
      Effect.forkScoped
    )
    yield* killAtExit(() => process)
    yield* Effect.raceFirst(Deferred.await(started), Fiber.join(supervisor))

    const signal = (signal: NodeJS.Signals) => Effect.suspend(() => process?.kill(signal) ?? Effect.void)
    return {
      role,
      incarnation: () => incarnation,
      pid: () => process!.pid,
      signal,
      end: (by, restartAfterMillis) =>
        Effect.gen(function*() {
          const restarted = yield* Deferred.make<void>()
          planned = { signal: by, restartAfterMillis, restarted }
          yield* signal(by)
          yield* Deferred.await(restarted)
        })
    }
  })

const wasPlanned = (planned: PlannedEnd | undefined, code: number | null, signal: NodeJS.Signals | null): boolean =>
  planned !== undefined && (planned.signal === "SIGKILL" ? signal === "SIGKILL" : code === 0)

/** The scope is not closed when this process ends by `process.exit` or an uncaught error. */
const killAtExit = (process: () => Process | undefined) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const kill = () => Effect.runSync(process()?.kill("SIGKILL") ?? Effect.void)
      globalThis.process.on("exit", kill)
      return kill
    }),
    (kill) => Effect.sync(() => globalThis.process.off("exit", kill))
  )

const isWhole = ({ backup, primary }: States): boolean =>
  (primary === "active" && backup === "passive") || (primary === "passive" && backup === "active")

/** Waits until one server is active and the other passive, for `calmMillis`. Returns false after the time limit. */
export const whole = (pair: Pair, calmMillis: number, limitMillis: number): Effect.Effect<boolean> =>
  pair.states.changes.pipe(
    Stream.debounce(calmMillis),
    Stream.filter(isWhole),
    Stream.runHead,
    Effect.timeoutOption(limitMillis),
    Effect.map((found) => Option.isSome(Option.flatten(found)))
  )

/** Waits until a server of a starting pair is active, and its peer passive if `isPaired`. */
export const newlyActive = (pair: Pair, isPaired: boolean, limitMillis: number): Effect.Effect<Option.Option<Role>> =>
  pair.states.changes.pipe(
    Stream.filter((states) => isWhole(states) || (!isPaired && Object.values(states).includes("active"))),
    Stream.runHead,
    Effect.timeoutOption(limitMillis),
    Effect.map((found) => Option.map(Option.flatten(found), activeOf))
  )

/** The server whose log lines report that it is active. */
export const activeOf = ({ primary }: States): Role => primary === "active" ? "primary" : "backup"

/**
 * The two servers as processes that end and come back, and what they say of themselves.
 */
import { Deferred, Effect, Fiber, Option, Stream, SubscriptionRef } from "effect"
import type { Scope } from "effect"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import type { Links } from "../../support/links.ts"
import type { Endpoints, Process, Role } from "../../support/processes.ts"
import { freeEndpoints, root, run, serverArgs } from "../../support/processes.ts"
import { runArgs } from "../../support/commands.ts"
import type { Network } from "./network.ts"

/** What a server says that it is; `waiting` for the first word from its peer. */
export type State = "down" | "waiting" | "active" | "passive"

export type States = { readonly [R in Role]: State }

/** A line that a server wrote, with the time that it wrote itself, on this process's monotonic clock. */
export interface Line {
  readonly role: Role
  readonly incarnation: number
  readonly at: number
  readonly text: string
}

/** The end of a server that nobody asked for. */
export interface UnaskedExit {
  readonly role: Role
  readonly incarnation: number
  readonly at: number
  readonly how: string
  readonly stderr: string
}

export interface Node {
  readonly role: Role
  /** The number of the process that runs now, or ran last. */
  readonly incarnation: () => number
  /** Its number to the system. */
  readonly pid: () => number
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Ends the process, and waits until the next one has been started, which is so long after the end. */
  readonly end: (signal: "SIGKILL" | "SIGTERM", restartAfterMillis: number) => Effect.Effect<void>
}

export interface Pair {
  readonly at: Endpoints
  readonly nodes: { readonly [R in Role]: Node }
  readonly states: SubscriptionRef.SubscriptionRef<States>
  /** What has been written, and who has ended, since this was last asked for. */
  readonly takeLines: () => ReadonlyArray<Line>
  readonly takeExits: () => ReadonlyArray<UnaskedExit>
}

export interface Options {
  readonly policy: "hardened" | "classic"
  readonly heartbeat: string
  /** The file of the command. */
  readonly program: string
  /** Where the servers run, if not on this host. */
  readonly network: Network | undefined
  /** What is between the servers, if they do not find each other directly. */
  readonly links?: Links | undefined
  /** The directory of the key files, if there are keys. */
  readonly keys?: string | undefined
  /** What `bstar run` is to run. Without it the servers answer clients. */
  readonly command?: ReadonlyArray<string> | undefined
  /** What stands before and behind the other arguments of each server. */
  readonly before?: ReadonlyArray<string> | undefined
  readonly behind?: { readonly [R in Role]: ReadonlyArray<string> } | undefined
  readonly env?: NodeJS.ProcessEnv | undefined
}

export const program = path.join(root, "dist/bstar.js")

interface Asked {
  readonly signal: "SIGKILL" | "SIGTERM"
  readonly restartAfterMillis: number
  readonly restarted: Deferred.Deferred<void>
}

const stateAfter = (text: string, before: State): State =>
  /ready as active/.test(text)
    ? "active"
    : /ready as passive/.test(text)
    ? "passive"
    : /waiting for (primary|backup)/.test(text)
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

/** A process that lives as long as the harness. Its waits are limited by those who wait. */
const forever = "1 day"

export const makePair = (options: Options): Effect.Effect<Pair, never, Scope.Scope> =>
  Effect.gen(function*() {
    const at = options.network?.at ?? options.links?.at ?? (yield* freeEndpoints)
    const states = yield* SubscriptionRef.make<States>({ primary: "down", backup: "down" })
    let lines: Array<Line> = []
    let exits: Array<UnaskedExit> = []
    const pair = { at, states, line: (line: Line) => lines.push(line), exit: (exit: UnaskedExit) => exits.push(exit) }
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

interface Noting {
  readonly at: Endpoints
  readonly states: SubscriptionRef.SubscriptionRef<States>
  readonly line: (line: Line) => void
  readonly exit: (exit: UnaskedExit) => void
}

const makeNode = (
  role: Role,
  { before = [], behind, command: service, env = {}, heartbeat, keys, links, network, policy, program }: Options,
  pair: Noting
): Effect.Effect<Node, never, Scope.Scope> =>
  Effect.gen(function*() {
    let incarnation = 0
    let process: Process | undefined
    let asked: Asked | undefined
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

    const note = (written: string) => {
      const { at, text } = parse(written)
      pair.line({ role, incarnation, at, text })
      return enter((before) => stateAfter(text, before))
    }

    /** Notes all that it writes, until it ends. */
    const read = (process: Process) =>
      Effect.gen(function*() {
        let next = 0
        yield* process.waitForLine(/^/, 0).pipe(
          Effect.flatMap(() =>
            Effect.suspend(() => Effect.zipRight(note(process.lines[next++]!), process.waitForLine(/^/, next))).pipe(
              Effect.forever
            )
          ),
          Effect.ignore
        )
        yield* Effect.forEach(process.lines.slice(next), note, { discard: true })
      })

    const live = Effect.gen(function*() {
      process = yield* run(command, args, { env, timeout: forever })
      incarnation++
      const before = asked
      asked = undefined
      yield* enter(() => "waiting")
      yield* Deferred.succeed(before?.restarted ?? started, undefined)
      yield* read(process)
      const { code, signal } = yield* Effect.orDie(process.exit)
      yield* enter(() => "down")
      if (!wasTerminated(asked, code, signal)) {
        pair.exit({
          role,
          incarnation,
          at: performance.now(),
          how: signal ?? `exit code ${code}`,
          stderr: process.stderr()
        })
      }
    }).pipe(Effect.scoped)

    const supervisor = yield* live.pipe(
      Effect.zipRight(Effect.suspend(() => Effect.sleep(asked?.restartAfterMillis ?? 0))),
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
          asked = { signal: by, restartAfterMillis, restarted }
          yield* signal(by)
          yield* Deferred.await(restarted)
        })
    }
  })

const wasTerminated = (asked: Asked | undefined, code: number | null, signal: NodeJS.Signals | null): boolean =>
  asked !== undefined && (asked.signal === "SIGKILL" ? signal === "SIGKILL" : code === 0)

/** Where there is a way for it, the servers end even when this process is killed. */
const tied = spawnSync("setpriv", ["--pdeathsig=KILL", "true"]).status === 0 ? ["setpriv", "--pdeathsig=KILL"] : []

/** A scope is not closed when this process ends with `process.exit` or of an error that nobody caught. */
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

/** Waits until one is active, the other passive, and nothing has changed about it for some time. Tells whether it came to that. */
export const whole = (pair: Pair, calmMillis: number, limitMillis: number): Effect.Effect<boolean> =>
  pair.states.changes.pipe(
    Stream.debounce(calmMillis),
    Stream.filter(isWhole),
    Stream.runHead,
    Effect.timeoutOption(limitMillis),
    Effect.map((found) => Option.isSome(Option.flatten(found)))
  )

/** Waits until one of a pair that is starting is active, and knows the other one as passive if it must be paired. */
export const newlyActive = (pair: Pair, isPaired: boolean, limitMillis: number): Effect.Effect<Option.Option<Role>> =>
  pair.states.changes.pipe(
    Stream.filter((states) => isWhole(states) || (!isPaired && Object.values(states).includes("active"))),
    Stream.runHead,
    Effect.timeoutOption(limitMillis),
    Effect.map((found) => Option.map(Option.flatten(found), activeOf))
  )

/** The one that says that it is active. */
export const activeOf = ({ primary }: States): Role => primary === "active" ? "primary" : "backup"

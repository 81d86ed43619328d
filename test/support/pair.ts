/**
 * Servers as processes, pairs of them, and clients that send requests all the time.
 */
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import * as assert from "node:assert"
import type { PolicyName } from "../../src/protocol/Policies.ts"
import type { Endpoints, Journal, Process, Received, Role } from "./processes.ts"
import { bstar, dealer, serverArgs, startLine } from "./processes.ts"

export const readyAsActive = /ready as active$/
export const readyAsPassive = /ready as passive$/
export const stalled = /stalled/

export type Pair = { readonly [R in Role]: Process }

export interface ServerOptions {
  /** Defaults to `hardened`. */
  readonly policy?: PolicyName
  /** The state endpoint of the peer, if it is not that of `Endpoints`. */
  readonly peer?: string | undefined
  readonly args?: ReadonlyArray<string>
  readonly env?: NodeJS.ProcessEnv
}

/** Starts a server. It has written its first line. */
export const start = (
  role: Role,
  at: Endpoints,
  heartbeatMillis: number,
  { args = [], env = {}, peer, policy = "hardened" }: ServerOptions = {}
): Effect.Effect<Process, unknown, Scope.Scope> =>
  Effect.tap(
    bstar([...serverArgs(role, at, `${heartbeatMillis} millis`, peer), "--policy", policy, ...args], env),
    (server) => server.waitForLine(startLine[role])
  )

/** Starts both servers, the backup first. The primary is active and the backup passive. */
export const startPair = (
  at: Endpoints,
  heartbeatMillis: number,
  options: (role: Role) => ServerOptions = () => ({})
): Effect.Effect<Pair, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const backup = yield* start("backup", at, heartbeatMillis, options("backup"))
    const primary = yield* start("primary", at, heartbeatMillis, options("primary"))
    yield* primary.waitForLine(readyAsActive)
    yield* backup.waitForLine(readyAsPassive)
    return { primary, backup }
  })

export const kill = (server: Process): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    yield* server.kill("SIGKILL")
    assert.deepStrictEqual(yield* server.exit, { code: null, signal: "SIGKILL" })
  })

/** Sends a request every 10 ms until the scope closes, and records the replies. */
export const requests = (frontend: string): Effect.Effect<Journal<Received>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { replies, request } = yield* dealer(frontend)
    yield* Effect.forkScoped(Effect.repeat(request("request"), Schedule.spaced("10 millis")))
    return replies
  })

/** Sends requests until one is answered. */
export const untilAnswered = (frontend: string): Effect.Effect<void, unknown> =>
  Effect.scoped(Effect.flatMap(requests(frontend), (replies) => Effect.asVoid(replies.find(() => true))))

/** No line of a server matches. */
export const assertNoLine = (server: Process, pattern: RegExp): void =>
  assert.deepStrictEqual(server.lines.filter((line) => pattern.test(line)), [])

/** The lines match the patterns in this order. Other lines may be between them: a busy machine adds lines about stalls. */
export const assertLinesInOrder = (server: Process, ...patterns: ReadonlyArray<RegExp | string>): void => {
  let next = 0
  for (const pattern of patterns) {
    const matches = (line: string) => typeof pattern === "string" ? line === pattern : pattern.test(line)
    const found = server.lines.findIndex((line, i) => i >= next && matches(line))
    assert.notStrictEqual(found, -1, `no ${pattern} from line ${next} in\n${server.lines.join("\n")}`)
    next = found + 1
  }
}

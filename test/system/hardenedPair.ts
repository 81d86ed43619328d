/**
 * A hardened pair of processes, and clients that send requests to it all the time.
 */
import type { Scope } from "effect"
import { Data, Effect, Schedule } from "effect"
import * as assert from "node:assert"
import type { Endpoints, Journal, Process, Received, Role } from "../support/processes.ts"
import { bstar, dealer, serverArgs, startLine } from "../support/processes.ts"

/** How long a busy machine may take for what takes milliseconds, on top of what a test allows in heartbeats. */
export const graceMillis = 1000

export const readyAsActive = /ready as active$/
export const readyAsPassive = /ready as passive$/
export const stalled = /stalled/

/** Starts a server. It has written its first line. */
export const start = (
  role: Role,
  at: Endpoints,
  heartbeatMillis: number,
  ...more: ReadonlyArray<string>
): Effect.Effect<Process, unknown, Scope.Scope> =>
  Effect.tap(
    bstar([...serverArgs(role, at, `${heartbeatMillis} millis`), "--policy", "hardened", ...more]),
    (server) => server.waitForLine(startLine[role])
  )

/** Starts both servers, the backup first, and waits until the primary is active and the backup passive. */
export const startPair = (
  at: Endpoints,
  heartbeatMillis: number,
  ...more: ReadonlyArray<string>
): Effect.Effect<{ readonly [R in Role]: Process }, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const backup = yield* start("backup", at, heartbeatMillis, ...more)
    const primary = yield* start("primary", at, heartbeatMillis, ...more)
    yield* primary.waitForLine(readyAsActive)
    yield* backup.waitForLine(readyAsPassive)
    return { primary, backup }
  })

export const kill = (server: Process): Effect.Effect<void, unknown> =>
  Effect.zipRight(server.kill("SIGKILL"), Effect.asVoid(server.exit))

/** Sends a request every 10 ms until the scope ends, and records the replies. */
export const requests = (frontend: string): Effect.Effect<Journal<Received>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { ask, replies } = yield* dealer(frontend)
    yield* Effect.forkScoped(Effect.repeat(ask("request"), Schedule.spaced("10 millis")))
    return replies
  })

class TooLate extends Data.TaggedError("TooLate")<{ readonly message: string }> {}

/** Fails unless it ends in time. */
export const within = (millis: number, what: string) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.timeoutFail(self, {
    duration: millis,
    onTimeout: () => new TooLate({ message: `${what}: not within ${millis} ms` })
  })

/** No line of a server matches. */
export const assertNoLine = (server: Process, pattern: RegExp): void =>
  assert.deepStrictEqual(server.lines.filter((line) => pattern.test(line)), [])

/**
 * A pair and its clients, as they are, in one thread, in virtual time, over a network in memory, with faults from a seed. The same
 * seed gives the same run, to the last message.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { PolicyName } from "../../protocol/Policies.ts"
import * as Clients from "./clients.ts"
import * as Faults from "./faults.ts"
import type { Regime, Report } from "./Report.ts"
import * as Run from "./run.ts"
import * as Servers from "./servers.ts"

/**
 * The options of a run, which is named by its seed.
 *
 * @category models
 */
export interface Options {
  readonly seed: number
  readonly regime: Regime
  readonly policy: PolicyName
  /** The time of faults in heartbeats. Defaults to `10`. */
  readonly heartbeats?: number | undefined
  /** Whether to keep the history as lines. Defaults to `false`. */
  readonly keepLines?: boolean | undefined
}

/** After two heartbeats a takeover follows with the next vote; vote and answer take up to half a heartbeat each. */
const graceMillis = 3 * Run.heartbeatMillis

/** Long enough for everything of a run to end. */
const endMillis = 60_000

/**
 * Makes one run.
 *
 * @category constructors
 */
export const run = async (options: Options): Promise<Report> => {
  const { heartbeats = 10, keepLines = false, regime, seed } = options
  const run = Run.make({ ...options, keepLines })
  const { history, time } = run
  const clients = Clients.start(run)
  const end = heartbeats * Run.heartbeatMillis
  await disturb(run, end)
  makeWhole(run)
  await time.runUntil(end + graceMillis, () => history.check())
  history.enforce()
  const { answers } = history
  await time.runUntil(end + 2 * graceMillis, () => history.check())
  if (history.answers === answers) {
    history.violate("NoService", `no answer from ${graceMillis} to ${2 * graceMillis} ms after all faults were over`)
  }
  const report: Report = {
    seed,
    regime,
    violations: [...history.violations],
    answers: history.answers,
    takeOvers: history.takeOvers,
    faults: run.faults,
    dual: { count: history.dual.count, afterWholeMillis: Math.max(0, history.dual.lastAt - end) },
    fingerprint: history.fingerprint,
    lines: [...history.lines]
  }
  await release(run, clients, end + 3 * graceMillis + endMillis)
  return report
}

/** Starts the servers, and injects faults until `end`. */
const disturb = async (run: Run.Run, end: number): Promise<void> => {
  const { history, servers, time } = run
  servers.forEach((server) => time.after(Run.upTo(run, 3), () => Servers.start(run, server)))
  for (let at = Run.upTo(run, 4); at < end; at += Run.upTo(run, 4)) {
    time.after(at, () => Faults.inject(run))
  }
  if (run.regime === "bounded") {
    history.enforce()
  }
  await time.runUntil(end, () => history.check())
}

/** Ends all faults: both servers run, nothing is cut, and no old message is under way. */
const makeWhole = (run: Run.Run): void => {
  const { conditions, history, network, servers } = run
  run.isWhole = true
  if (conditions.isFaulty) {
    conditions.isFaulty = false
    conditions.cut.clear()
    network.clear()
  }
  for (const server of servers) {
    server.running?.process.resume()
    history.onPause(server.role, false)
    Servers.start(run, server)
  }
  history.note("whole")
}

/** Ends everything, so that a process can make a million runs. */
const release = async (
  run: Run.Run,
  clients: ReadonlyArray<Fiber.Fiber<unknown, unknown>>,
  until: number
): Promise<void> => {
  const { scheduler } = run.outside
  run.isWhole = false
  for (const { running } of run.servers) {
    running?.kill()
  }
  clients.forEach((client) => Effect.runFork(Fiber.interrupt(client), { scheduler }))
  await run.time.runUntil(until, () => {})
}

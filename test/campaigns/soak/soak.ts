/**
 * A pair under load for a long time: users, failovers and abuse together, and samples of both servers.
 */
import { Effect, FastCheck, Schedule, SubscriptionRef } from "effect"
import type { Scope } from "effect"
import * as path from "node:path"
import * as proc from "../../bench/proc.ts"
import type { Role } from "../../support/processes.ts"
import { freeEndpoints, other, roles } from "../../support/processes.ts"
import { percentile } from "../chaos/history.ts"
import type { Pair, UnexpectedExit } from "../chaos/nodes.ts"
import { activeOf, makePair, whole } from "../chaos/nodes.ts"
import { makeUsers } from "../chaos/users.ts"
import { attack, carryOut } from "../fuzz/attacks.ts"
import { givesBack } from "../fuzz/campaign.ts"
import * as Zmtp from "../fuzz/zmtp.ts"

export interface Options {
  readonly minutes: number
  readonly seed: number
  readonly users: number
  /** The time between two disturbances, and between two attacks. */
  readonly disturbMillis: number
  readonly attackMillis: number
}

/** Memory in MiB, of it what is in use after a garbage collection, open files and fibers of a server at one time. */
export interface Usage {
  readonly incarnation: number
  readonly memory: number
  readonly live: number
  readonly files: number
  readonly fibers: number
}

/** The figures of one part of the run. */
export interface Sample {
  readonly seconds: number
  readonly servers: { readonly [R in Role]: Usage }
  readonly answers: number
  /** Of the users' requests, in milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly slowest: number
}

export interface Result {
  readonly samples: ReadonlyArray<Sample>
  readonly answers: number
  /** Requests with a wrong answer, and requests without an answer. */
  readonly wrong: ReadonlyArray<string>
  readonly lost: ReadonlyArray<string>
  readonly exits: ReadonlyArray<UnexpectedExit>
  readonly disturbances: { readonly [kind: string]: number }
  readonly attacks: number
  readonly isWhole: boolean
}

const heartbeatMillis = 250

/** Longer than two heartbeats. */
const stopMillis = 800

const limitMillis = 60_000

/** The largest number of samples. */
const samples = 120

const server = path.join(import.meta.dirname, "server.mjs")

type Http = { readonly [R in Role]: number }

const start = Effect.gen(function*() {
  const more = yield* freeEndpoints
  const http: Http = { primary: Zmtp.portOf(more.primary.state), backup: Zmtp.portOf(more.backup.state) }
  const behind = (role: Role) => ["--http", String(http[role]), "--peer-http", `127.0.0.1:${http[other(role)]}`]
  const pair = yield* makePair({
    policy: "hardened",
    heartbeat: `${heartbeatMillis} millis`,
    program: server,
    network: undefined,
    env: givesBack,
    behind: { primary: behind("primary"), backup: behind("backup") }
  })
  yield* whole(pair, 2 * heartbeatMillis, limitMillis)
  return { pair, http }
})

const send = (port: number, path: string, init: RequestInit = {}): Effect.Effect<string> =>
  Effect.promise(() =>
    fetch(`http://127.0.0.1:${port}${path}`, { ...init, signal: AbortSignal.timeout(5000) }).then(
      (response) => response.text(),
      () => ""
    )
  )

/** The sum of a metric. */
const totalOf = (name: string, metrics: string): number => {
  const found = [...metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))]
  return found.length === 0 ? NaN : found.reduce((sum, [, value]) => sum + Number(value), 0)
}

const usageOf = (pair: Pair, http: Http, role: Role): Effect.Effect<Usage> =>
  Effect.map(send(http[role], "/metrics"), (metrics) => {
    const node = pair.nodes[role]
    return {
      incarnation: node.incarnation(),
      memory: ifRunning(() => proc.residentMebibytes(node.pid())),
      files: ifRunning(() => proc.openFiles(node.pid())),
      live: totalOf("soak_live_mebibytes", metrics),
      fibers: totalOf("effect_fiber_active", metrics)
    }
  })

const ifRunning = (figure: () => number): number => {
  try {
    return figure()
  } catch {
    return NaN
  }
}

/** The primary is never killed, so that its memory can be measured from beginning to end. */
const kinds = ["switchover", "stop the active server", "switchover", "kill the backup", "stop the backup"] as const

const disturb = (pair: Pair, http: Http, kind: typeof kinds[number]) =>
  Effect.gen(function*() {
    const active = activeOf(yield* SubscriptionRef.get(pair.states))
    const stop = (role: Role) =>
      Effect.acquireUseRelease(
        pair.nodes[role].signal("SIGSTOP"),
        () => Effect.sleep(stopMillis),
        () => pair.nodes[role].signal("SIGCONT")
      )
    switch (kind) {
      case "switchover":
        yield* send(http[active], "/switchover", {
          method: "POST",
          headers: { authorization: "Bearer soak", "content-type": "application/json" },
          body: JSON.stringify({ reason: "soak" })
        })
        return
      case "stop the active server":
        return yield* stop(active)
      case "stop the backup":
        return yield* stop("backup")
      case "kill the backup":
        return yield* pair.nodes.backup.end("SIGKILL", 300)
    }
  })

export const play = (options: Options, report: (sample: Sample) => void = () => {}): Effect.Effect<Result> =>
  Effect.gen(function*() {
    const { http, pair } = yield* start
    const users = yield* makeUsers(pair, options.users)
    const wrong: Array<string> = []
    const lost: Array<string> = []
    const disturbances: { [kind: string]: number } = {}
    let attacks = 0
    let answers = 0

    const fail = forkForever(
      Effect.suspend(() => {
        const kind = kinds[Object.values(disturbances).reduce((sum, count) => sum + count, 0) % kinds.length]!
        disturbances[kind] = (disturbances[kind] ?? 0) + 1
        return disturb(pair, http, kind)
      }),
      options.disturbMillis
    )
    const abuse = forkForever(
      Effect.suspend(() => {
        const seed = options.seed + attacks++
        const role = roles[seed % 2]!
        const [drawn] = FastCheck.sample(attack(100), { seed, numRuns: 1 })
        const at = { ...pair.at[role], backend: pair.at[role].frontend, http: `http://127.0.0.1:${http[role]}` }
        return Effect.scoped(Effect.zipRight(carryOut(drawn!, at), Effect.sleep(options.attackMillis)))
      }),
      options.attackMillis
    )
    yield* fail
    yield* abuse

    const taken: Array<Sample> = []
    const began = performance.now()
    const period = Math.max(1000, options.minutes * 60_000 / samples)
    const takeSample = Effect.gen(function*() {
      const [primary, backup] = yield* Effect.all([usageOf(pair, http, "primary"), usageOf(pair, http, "backup")])
      const { requests } = users.take()
      for (const { fault } of requests) {
        if (fault !== undefined) {
          ;(fault.includes(" failed: ") ? lost : wrong).push(fault)
        }
      }
      const latencies = requests.map(({ end, start }) => end - start)
      answers += requests.filter(({ fault }) => fault === undefined).length
      const sample: Sample = {
        seconds: (performance.now() - began) / 1000,
        servers: { primary, backup },
        answers: requests.length,
        p50: percentile(latencies, 0.5),
        p99: percentile(latencies, 0.99),
        slowest: percentile(latencies, 1)
      }
      taken.push(sample)
      pair.takeLines()
      report(sample)
    })
    yield* Effect.repeat(
      takeSample,
      Schedule.intersect(
        Schedule.fixed(period),
        Schedule.recurUntil(() => performance.now() - began > options.minutes * 60_000)
      )
    )
    return {
      samples: taken,
      answers,
      wrong,
      lost,
      exits: pair.takeExits(),
      disturbances,
      attacks,
      isWhole: yield* whole(pair, 2 * heartbeatMillis, limitMillis)
    }
  }).pipe(Effect.scoped)

const forkForever = (effect: Effect.Effect<void>, millis: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(millis), effect))))

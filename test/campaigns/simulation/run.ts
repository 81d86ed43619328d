/**
 * `npm run simulate`: pairs in virtual time over a network in memory, each run made from its seed.
 */
import { fork } from "node:child_process"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { policies, type PolicyName, policyNames } from "../../../src/protocol/Policies.ts"
import * as CoreSimulation from "../../../src/verify/simulation/CoreSimulation.ts"
import * as CoreWitness from "../../../src/verify/simulation/CoreWitness.ts"
import type { Regime, Report } from "../../../src/verify/simulation/Report.ts"
import { run } from "../../../src/verify/simulation/Simulation.ts"
import { makeSummary, regimes, type Summary, table } from "./summary.ts"

const usage = `Usage: npm run simulate -- [--runs N] [--seed S] [--regime bounded|wild|both] [--policy ${
  policyNames.join("|")
}] [--heartbeats N] [--workers N] [--core] [--trace]

  --runs N        the number of runs of each regime; 1000 by default
  --seed S        the seed of the first run; the others count on; 1 by default
  --regime R      bounded, wild or both, the default
  --policy P      the policy; hardened by default; witnessed only with --core
  --heartbeats N  the time of faults in each run; 10 by default
  --workers N     the number of processes; one for each core by default
  --core          the core and its data plane in a plain loop, instead of whole servers: a hundred times as many runs
  --trace         prints every event of a single run`

/** The part of one worker: every `of`-th run. */
interface Part {
  readonly seed: number
  readonly runs: number
  readonly regimes: ReadonlyArray<Regime>
  readonly policy: PolicyName
  readonly heartbeats: number | undefined
  readonly isCore: boolean
  readonly worker: number
  readonly of: number
}

/** The number of runs of the core that are reported at once. */
const coreBatch = 200

type Run = Pick<Part, "policy" | "heartbeats" | "isCore"> & { readonly seed: number; readonly regime: Regime }

/** A pair of cores with a witness, whose network promises nothing in any regime. */
const runWitnessed = (
  options: { readonly seed: number; readonly heartbeats: number | undefined; readonly keepLines: boolean },
  regime: Regime
): Report => {
  const { violation, ...report } = CoreWitness.run(options)
  return {
    ...report,
    regime,
    violations: violation === undefined ? [] : [violation],
    dual: { count: 0, afterWholeMillis: 0 }
  }
}

const runOne = ({ isCore, policy, ...options }: Run, keepLines = false): Report | Promise<Report> =>
  isCore && policy === "witnessed"
    ? runWitnessed({ seed: options.seed, heartbeats: options.heartbeats, keepLines }, options.regime)
    : isCore
    ? CoreSimulation.run({ ...options, policy: policies[policy], keepLines })
    : run({ ...options, policy, keepLines })

const work = async (part: Part, done: (reports: ReadonlyArray<Report>) => void) => {
  const { heartbeats, isCore, policy } = part
  let reports: Array<Report> = []
  for (let i = part.worker; i < part.runs; i += part.of) {
    for (const regime of part.regimes) {
      reports.push(await runOne({ seed: part.seed + i, regime, policy, heartbeats, isCore }))
    }
    if (!isCore || reports.length >= coreBatch || i + part.of >= part.runs) {
      done(reports)
      reports = []
    }
  }
}

const fail = (message: string): never => {
  process.stderr.write(`${message}\n${usage}\n`)
  process.exit(64)
}

const wholeNumber = (name: string, given: string): number =>
  /^[0-9]{1,9}$/.test(given) ? Number(given) : fail(`--${name}: expected a number, got "${given}"`)

const oneOf = <A extends string>(name: string, given: string, all: ReadonlyArray<A>): A =>
  all.find((one) => one === given) ?? fail(`--${name}: expected ${all.join(" or ")}, got "${given}"`)

const main = async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "1000" },
      seed: { type: "string", default: "1" },
      regime: { type: "string", default: "both" },
      policy: { type: "string", default: "hardened" },
      heartbeats: { type: "string" },
      workers: { type: "string", default: String(availableParallelism()) },
      core: { type: "boolean", default: false },
      trace: { type: "boolean", default: false }
    }
  })
  const runs = wholeNumber("runs", values.runs)
  const seed = wholeNumber("seed", values.seed)
  const workers = Math.max(1, Math.min(runs, wholeNumber("workers", values.workers)))
  const heartbeats = values.heartbeats === undefined ? undefined : wholeNumber("heartbeats", values.heartbeats)
  const policy = oneOf("policy", values.policy, policyNames)
  const regime = oneOf("regime", values.regime, [...regimes, "both"])
  const chosen = regimes.filter((one) => regime === one || regime === "both")
  const isCore = values.core
  if (policy === "witnessed" && !isCore) {
    fail("--policy witnessed needs --core")
  }
  if (values.trace) {
    for (const one of chosen) {
      const { lines, violations } = await runOne({ seed, regime: one, policy, heartbeats, isCore }, true)
      process.stdout.write(`${one}\n${lines.map((line) => `  ${line}`).join("\n")}\n`)
      process.exitCode = violations.length > 0 ? 1 : process.exitCode
    }
    return
  }

  const summary = makeSummary()
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const progress = setInterval(() => process.stderr.write(`${bar(summary, runs * chosen.length, seconds())}\r`), 1000)
  await Promise.all(
    Array.from({ length: workers }, (_, worker) => {
      const part: Part = { seed, runs, regimes: chosen, policy, heartbeats, isCore, worker, of: workers }
      const child = fork(import.meta.filename, [JSON.stringify(part)], { env: { ...process.env, BSTAR_WORKER: "1" } })
      return new Promise<void>((resolve, reject) => {
        child.on("message", (reports) => (reports as ReadonlyArray<Report>).forEach(summary.add))
        child.on("exit", (code) => code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`)))
      })
    })
  )
  clearInterval(progress)
  process.stderr.write(`${bar(summary, runs * chosen.length, seconds())}\n`)
  process.stdout.write(`${table(summary, { policy, seed, seconds: seconds(), workers })}\n`)
  const [first] = summary.violating
  if (isCore && first !== undefined) {
    const { lines } = await runOne({ seed: first.seed, regime: first.regime, policy, heartbeats, isCore }, true)
    process.stdout.write(`${lines.map((line) => `  ${line}`).join("\n")}\n`)
  }
  process.exitCode = summary.violating.length > 0 ? 1 : 0
}

const bar = ({ runs }: Summary, of: number, seconds: number): string => {
  const full = Math.round((30 * runs) / of)
  return `[${"#".repeat(full)}${".".repeat(30 - full)}] ${runs} of ${of}, ${(runs / seconds).toFixed(1)} a second`
}

if (process.env["BSTAR_WORKER"] === "1") {
  await work(JSON.parse(process.argv[2]!) as Part, (reports) => process.send!(reports))
  process.disconnect()
} else {
  await main()
}

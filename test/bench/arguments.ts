/**
 * The command line of the benchmark.
 */
import { parseArgs } from "node:util"
import { quickOptions, quickScenarios } from "./goals.ts"
import { scenarios } from "./scenarios/index.ts"
import type { Options } from "./scenarios/turns.ts"

export const usage = `Usage: npm run bench -- [SCENARIO ...] [options]

Scenarios: ${Object.keys(scenarios).join(", ")}. Default: all.

  --rounds N       how often everything is measured (default 5)
  --seconds S      how long each measurement takes (default 1.5)
  --requests N     how many requests memory and pauses are watched for (default 1000000)
  --quick          in one minute: short measurements, the goals, and the distribution of latencies
  --compare FILE   compare with an earlier run, the output of --json: exit code 2 if a figure is worse
  --json           print one JSON object instead of a table`

export interface Arguments {
  readonly names: ReadonlyArray<string>
  readonly options: Options
  readonly quick: boolean
  /** The file with an earlier run. */
  readonly compare: string | undefined
  readonly json: boolean
}

const defaults: Options = { rounds: 5, seconds: 1.5, warmUpSeconds: 2, requests: 1_000_000 }

/** Parses a command line. Throws an error with a text for its user. Returns nothing if help is asked for. */
export const parse = (args: ReadonlyArray<string>): Arguments | undefined => {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      seconds: { type: "string" },
      requests: { type: "string" },
      quick: { type: "boolean", default: false },
      compare: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) {
    return undefined
  }
  const { compare, json, quick } = values
  const unknown = positionals.find((name) => !Object.hasOwn(scenarios, name))
  if (unknown !== undefined) {
    throw new Error(`there is no scenario ${unknown}`)
  }
  const preset = quick ? quickOptions : defaults
  const positive = (name: "rounds" | "seconds" | "requests", isValid: (n: number) => boolean) => {
    const value = Number(values[name] ?? preset[name])
    if (!isValid(value) || value <= 0) {
      throw new Error(`--${name} ${values[name]} is not a number that makes sense`)
    }
    return value
  }
  const all = quick ? quickScenarios : Object.keys(scenarios)
  return {
    names: positionals.length === 0 ? all : positionals,
    options: {
      rounds: positive("rounds", Number.isSafeInteger),
      seconds: positive("seconds", Number.isFinite),
      warmUpSeconds: preset.warmUpSeconds,
      requests: positive("requests", Number.isSafeInteger)
    },
    quick,
    compare,
    json
  }
}

/**
 * The benchmark: `npm run bench -- [SCENARIO ...] [--rounds N] [--seconds S] [--requests N] [--json]`. See README.md.
 */
import * as os from "node:os"
import { parseArgs } from "node:util"
import { version as zeromqVersion } from "zeromq"
import type { Row } from "./figures.ts"
import { tableHead, tableLine } from "./figures.ts"
import type { Options } from "./scenarios.ts"
import { scenarios } from "./scenarios.ts"
import { stopAll } from "./servers.ts"

const usage = `Usage: npm run bench -- [SCENARIO ...] [options]

Scenarios: ${Object.keys(scenarios).join(", ")}. Default: all.

  --rounds N     how often everything is measured (default 5)
  --seconds S    how long each measurement takes (default 1.5)
  --requests N   how many requests the memory is watched for (default 1000000)
  --json         print one JSON object instead of a table`

interface Arguments extends Options {
  readonly names: ReadonlyArray<string>
  readonly json: boolean
}

const parse = (): Arguments => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "1.5" },
      requests: { type: "string", default: "1000000" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) {
    console.log(usage)
    process.exit(0)
  }
  const positive = (name: "rounds" | "seconds" | "requests", isValid: (n: number) => boolean) => {
    const value = Number(values[name])
    if (!isValid(value) || value <= 0) {
      throw new Error(`--${name} ${values[name]} is not a number that makes sense`)
    }
    return value
  }
  const unknown = positionals.find((name) => !Object.hasOwn(scenarios, name))
  if (unknown !== undefined) {
    throw new Error(`there is no scenario ${unknown}`)
  }
  return {
    rounds: positive("rounds", Number.isSafeInteger),
    seconds: positive("seconds", Number.isFinite),
    requests: positive("requests", Number.isSafeInteger),
    names: positionals.length === 0 ? Object.keys(scenarios) : positionals,
    json: values.json
  }
}

const parseOrExit = (): Arguments => {
  try {
    return parse()
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`)
    return process.exit(64)
  }
}

const cpus = os.cpus()
const machine = {
  cpus: cpus.length,
  cpu: cpus[0]?.model ?? "unknown",
  memoryGibibytes: Math.round(os.totalmem() / 2 ** 30),
  system: `${os.type()} ${os.release()} ${os.arch()}`,
  node: process.version,
  libzmq: zeromqVersion,
  // The load of this machine by other programs.
  loadAverage: Number(os.loadavg()[0]!.toFixed(2))
}

const { json, names, ...options } = parseOrExit()

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => process.exit(128 + os.constants.signals[signal]))
}

if (!json) {
  console.log(
    `${machine.cpus} x ${machine.cpu}, ${machine.memoryGibibytes} GiB, ${machine.system}, ` +
      `node ${machine.node}, libzmq ${machine.libzmq}\n` +
      `load average ${machine.loadAverage} before; ` +
      `${options.rounds} rounds of ${options.seconds} s\n\n${tableHead}`
  )
}

const results: { [name: string]: ReadonlyArray<Row> } = {}
try {
  for (const name of names) {
    const rows = await scenarios[name]!(options)
    results[name] = rows
    await stopAll()
    if (!json) {
      console.log([`\n${name}`, ...rows.map(tableLine)].join("\n"))
    }
  }
  if (json) {
    console.log(JSON.stringify({ machine, options, results }))
  }
} catch (error) {
  console.error(error)
  process.exit(1)
}

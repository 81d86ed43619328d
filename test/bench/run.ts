/**
 * The benchmark: `npm run bench -- [SCENARIO ...] [options]`. See README.md.
 */
import * as os from "node:os"
import { version as zeromqVersion } from "zeromq"
import { parse, usage } from "./arguments.ts"
import { stopAll } from "./children.ts"
import { changeLines, compare, readRun } from "./compare.ts"
import type { Row } from "./figures.ts"
import { tableHead, tableLine } from "./figures.ts"
import { judge, verdictLines } from "./goals.ts"
import { plot } from "./histogram.ts"
import { native } from "./native/programs.ts"
import { scenarios } from "./scenarios/index.ts"

/** Ends the process if the command line makes no sense. */
const orExit = <A>(work: () => A, hint: string): A => {
  try {
    return work()
  } catch (error) {
    console.error((error as Error).message + hint)
    return process.exit(64)
  }
}

const args = orExit(() => parse(process.argv.slice(2)), `\n\n${usage}`)
if (args === undefined) {
  console.log(usage)
  process.exit(0)
}
const { compare: earlierFile, json, names, options, quick } = args
const earlier = orExit(() => earlierFile === undefined ? undefined : readRun(earlierFile, names), "")

const describeLoad = (): string => {
  const built = native()
  return built.programs === undefined
    ? `written in Node, which limits the requests a second (${built.reason})`
    : "native"
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
  loadAverage: Number(os.loadavg()[0]!.toFixed(2)),
  load: describeLoad()
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => process.exit(128 + os.constants.signals[signal]))
}

if (!json) {
  console.log(
    `${machine.cpus} x ${machine.cpu}, ${machine.memoryGibibytes} GiB, ${machine.system}, ` +
      `node ${machine.node}, libzmq ${machine.libzmq}\n` +
      `load: ${machine.load}; load average ${machine.loadAverage} before; ` +
      `${options.rounds} rounds of ${options.seconds} s\n\n${tableHead}`
  )
}

const printRows = (name: string, rows: ReadonlyArray<Row>) => {
  const distributions = rows.flatMap(({ distribution }) =>
    distribution === undefined ? [] : ["", ...plot(distribution.project, distribution.plain)]
  )
  console.log([`\n${name}`, ...rows.map(tableLine), ...distributions].join("\n"))
}

const results: { [name: string]: ReadonlyArray<Row> } = {}
try {
  for (const name of names) {
    const rows = await scenarios[name]!(options)
    results[name] = rows
    await stopAll()
    if (!json) {
      printRows(name, rows)
    }
  }
  const verdicts = quick ? judge(results) : undefined
  const changes = earlier && compare(earlier.results, results)
  if (json) {
    console.log(JSON.stringify({ machine, options, results, goals: verdicts, comparison: changes }))
  } else {
    const goals = verdicts ? verdictLines(verdicts) : []
    const comparison = earlier && changes ? changeLines(earlier, changes) : []
    goals.concat(comparison).forEach((line) => console.log(line))
  }
  process.exitCode = changes?.some(({ isWorse }) => isWorse) ? 2 : 0
} catch (error) {
  console.error(error)
  process.exit(1)
}

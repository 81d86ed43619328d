/**
 * Chaos with a witness: `npm run chaos:witness -- --rounds N [--seed S] ...`. See README.md.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Duration, Effect, Layer, Logger, Option } from "effect"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { BinaryStar } from "../../../src/index.ts"
import { enterNetwork, isAvailable } from "../../support/network.ts"
import { program } from "../chaos/nodes.ts"
import type { Options, Round } from "./campaign.ts"
import { play } from "./campaign.ts"
import * as Commands from "./commands.ts"
import { cost } from "./cost.ts"
import { kinds } from "./disturbances.ts"
import { engineNames, missing } from "./engines.ts"
import type { Measured, Measurement } from "./measurements.ts"
import { cutLink, failover, isolated, lone } from "./measurements.ts"
import {
  formatFindings,
  json,
  jsonOfCommands,
  machine,
  progress,
  text,
  textOfCommands,
  textOfMeasured
} from "./report.ts"

/** The measurements, with their rounds and heartbeats. */
const measurements: {
  readonly [name: string]: { readonly measure: Measurement; readonly rounds: string; readonly heartbeat: string }
} = {
  failover: { measure: failover, rounds: "20", heartbeat: "1 second" },
  cut: { measure: cutLink, rounds: "10", heartbeat: "1 second" },
  isolation: { measure: isolated, rounds: "200", heartbeat: "200 millis" },
  lone: { measure: lone, rounds: "10", heartbeat: "1 second" },
  cost: { measure: cost, rounds: "12", heartbeat: "1 second" }
}

const usage = `Usage: npm run chaos:witness -- [options]

  --rounds N            number of rounds (default 20)
  --seed S              seed of the random numbers (default: a new one)
  --from N              number of the first round, to repeat a round (default 1)
  --witness ENGINE      ${engineNames.join(", ")}, or none: the policy hardened (default etcd)
  --kinds K,K           of ${kinds.join(", ")} (default: all)
  --most N              the most disturbances at once (default 3)
  --heartbeat DURATION  of both servers (default "200 millis")
  --users N             clients of this library (default 2)
  --command             a command under bstar run instead of servers that answer; --users is ignored
  --program FILE        the command (default dist/bstar.js)
  --measure NAME        a measurement instead of chaos: ${Object.keys(measurements).join(", ")}; with --witness,
                        --rounds, --heartbeat and --program, which have other defaults
  --json                print one JSON object

Exit code 1 if two answered, none answered for more than two heartbeats and a second while two of the three could talk, a
request was lost, or a server ended by itself or was not whole again in time. Without a witness, two answering is no fault
in a round with a disturbance of a link. With --command: if two commands ran at once, none ran in the end, or a server ended
by itself or was not whole again in time. Skipped with exit code 0 where this system has no network namespaces or no engine.`

const fail = (message: string): never => {
  throw new Error(message)
}

const oneOf = <A extends string>(name: string, given: string, all: ReadonlyArray<A>): A =>
  all.find((a) => a === given) ?? fail(`--${name} ${given}: expected one of ${all.join(", ")}`)

const wholeNumber = (name: string, given: string, least: number): number =>
  /^\d+$/.test(given) && Number(given) >= least
    ? Number(given)
    : fail(`--${name} ${given} is not a number from ${least}`)

const parse = () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      from: { type: "string", default: "1" },
      witness: { type: "string", default: "etcd" },
      kinds: { type: "string", default: kinds.join(",") },
      most: { type: "string", default: "3" },
      heartbeat: { type: "string" },
      users: { type: "string", default: "2" },
      command: { type: "boolean", default: false },
      program: { type: "string", default: program },
      measure: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) {
    process.stdout.write(`${usage}\n`)
    process.exit(0)
  }
  const measurement = values.measure === undefined
    ? undefined
    : measurements[oneOf("measure", values.measure, Object.keys(measurements))]!
  const givenHeartbeat = values.heartbeat ?? measurement?.heartbeat ?? "200 millis"
  const heartbeat = Duration.decodeUnknown(givenHeartbeat)
  return {
    rounds: wholeNumber("rounds", values.rounds ?? measurement?.rounds ?? "20", 1),
    seed: wholeNumber("seed", values.seed, 0),
    from: wholeNumber("from", values.from, 1),
    engine: oneOf("witness", values.witness, [...engineNames, "none"]),
    kinds: values.kinds.split(",").map((kind) => oneOf("kinds", kind, kinds)),
    most: wholeNumber("most", values.most, 1),
    heartbeatMillis: Duration.toMillis(
      Option.getOrElse(heartbeat, () => fail(`--heartbeat ${givenHeartbeat} is not a duration`))
    ),
    users: wholeNumber("users", values.users, 0),
    program: path.resolve(values.program),
    isCommand: values.command,
    measure: measurement?.measure,
    json: values.json
  }
}

interface Arguments extends Options {
  readonly isCommand: boolean
  readonly measure: Measurement | undefined
  readonly json: boolean
}

const parseOrExit = (): Arguments => {
  try {
    return parse()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}\n`)
    return process.exit(64)
  }
}

const options = parseOrExit()
const engine = options.engine === "none" ? "etcd" : options.engine
const problem = isAvailable() ? missing[engine] : "this system has no network namespaces, TUN device or Python"
if (problem !== undefined) {
  process.stderr.write(`skipped: ${problem}\n`)
  process.exit(0)
}
if (options.measure !== cost) {
  await enterNetwork()
}

/** Plays rounds, and reports each, and all in the end. */
const playing = <R extends Round | Commands.Round>(
  play: (options: Options, report: (round: R) => Effect.Effect<void>) => Effect.Effect<ReadonlyArray<R>>,
  reportOf: (options: Options, rounds: ReadonlyArray<R>) => string
) =>
  Effect.gen(function*() {
    const done: Array<R> = []
    const rounds = yield* play(options, (round) =>
      Effect.sync(() => {
        done.push(round)
        process.stderr.write(`${formatFindings(options, round)}${progress(options, done)}`)
      }))
    yield* Console.log(reportOf(options, rounds))
    process.exitCode = rounds.some(({ findings }) => findings.some(({ isFault }) => isFault)) ? 1 : 0
  })

const chaos = playing(play, options.json ? json : text)

const commands = playing(Commands.play, options.json ? jsonOfCommands : textOfCommands)

const measuring = (measure: Measurement) =>
  Effect.gen(function*() {
    const lines: ReadonlyArray<Measured> = yield* measure(
      options,
      (line) => Effect.sync(() => void process.stderr.write(`${line}\n`))
    )
    yield* Console.log(
      options.json
        ? JSON.stringify({ options, machine: machine(), measured: lines })
        : textOfMeasured(options, lines)
    )
  })

const scenario = options.measure !== undefined ? measuring(options.measure) : options.isCommand ? commands : chaos

scenario.pipe(
  // Without a logger, errors would not be printed.
  Effect.tapErrorCause((cause) => Console.error(Cause.pretty(cause))),
  Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)

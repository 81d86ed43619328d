/**
 * Chaos: `npm run chaos -- --rounds N [--seed S] ...`. Two servers as processes that are killed, stopped and terminated at random,
 * and clients that record all answers. See README.md.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Duration, Effect, Layer, Logger, Option } from "effect"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { BinaryStar } from "../../../src/index.ts"
import { enterNetwork, hasEntered, isAvailable } from "../../support/network.ts"
import * as Reflector from "../../support/reflector.ts"
import type { Options, Round } from "./campaign.ts"
import { play } from "./campaign.ts"
import * as Commands from "./commands.ts"
import { isOfNetwork, kinds, leastDelayHeartbeatMillis, targets } from "./disturbances.ts"
import * as First from "./firstHeartbeats.ts"
import { program } from "./nodes.ts"
import { keysOf, linkKinds } from "./parts.ts"
import {
  formatCommands,
  formatFindings,
  formatFirst,
  json,
  progress,
  text,
  textOfCommands,
  textOfFirst
} from "./report.ts"

const ofProcesses = kinds.filter((kind) => !isOfNetwork(kind))

const usage = `Usage: npm run chaos -- [options]

  --rounds N            number of disturbances (default 20)
  --seed S              seed of the random numbers (default: a new one)
  --from N              number of the first round, to repeat a round (default 1)
  --kinds K,K           of ${kinds.join(", ")} (default: ${ofProcesses.join(", ")})
  --target T            active, passive or both (default: any)
  --policy P            hardened or classic (default hardened)
  --heartbeat DURATION  of both servers (default "100 millis", with --delays "400 millis", with --first "1 second")
  --delays FROM-TO      one-way delay of the link between the servers in heartbeats, drawn for each round, such as
                        0.05-0.45; "off" for no delay (default off)
  --link L              cause of the delay: network, a network namespace of this process, or relay, in user space
                        (default: network if this system allows it)
  --keys K              on, off, or half: the first half of the rounds without keys, the second with (default off)
  --users N             clients of this library (default 4)
  --observers on|off    clients that send requests to each server all the time (default on)
  --command             a command under bstar run instead of servers that answer: kill, term, stop and early;
                        --policy, --users and --observers are ignored
  --first               kill -9 of the primary of a new pair at a random time in the first two heartbeats after it became
                        active; all options but --rounds, --seed, --from and --heartbeat are ignored
  --program FILE        the command (default dist/bstar.js)
  --json                print one JSON object

cut: a server is cut off from all hosts, or with the target both the servers from each other, for 0.1 to 5 s. Dual answers
until they are connected again are reported but are no fault. delay: the same, so short that no heartbeat is late by more
than two heartbeats.

Exit code 1 if with the policy hardened there were dual answers, no answer for more than three heartbeats although a server
had to answer, a lost request, an unexpected exit, or a pair that was not whole again in time; with --command if two
commands ran at once or none ran in the end; with --first if a backup did not answer within three heartbeats.`

interface Arguments extends Options {
  readonly scenario: "servers" | "command" | "first"
  readonly json: boolean
}

const fail = (message: string): never => {
  throw new Error(message)
}

const oneOf = <A extends string>(name: string, given: string, all: ReadonlyArray<A>): A =>
  all.find((a) => a === given) ?? fail(`--${name} ${given}: expected one of ${all.join(", ")}`)

const wholeNumber = (name: string, given: string, least: number): number =>
  /^\d+$/.test(given) && Number(given) >= least
    ? Number(given)
    : fail(`--${name} ${given} is not a number from ${least}`)

const delaysOf = (given: string): Options["delays"] => {
  if (given === "off") {
    return undefined
  }
  const [, from, to] = /^([\d.]+)-([\d.]+)$/.exec(given) ?? fail(`--delays ${given} is not like 0.05-0.45`)
  return [Number(from), Number(to)]
}

const linkOf = (given: string | undefined, delays: Options["delays"]): Options["link"] => {
  const link = given === undefined ? undefined : oneOf("link", given, linkKinds)
  if (delays === undefined || link === "relay") {
    return "relay"
  }
  const canReflect = hasEntered() || Reflector.isAvailable()
  return canReflect ? "network" : link === undefined ? "relay" : fail("--link network: this system does not allow it")
}

const parse = (): Arguments => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "20" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      from: { type: "string", default: "1" },
      kinds: { type: "string", default: ofProcesses.join(",") },
      target: { type: "string" },
      policy: { type: "string", default: "hardened" },
      heartbeat: { type: "string" },
      delays: { type: "string", default: "off" },
      link: { type: "string" },
      keys: { type: "string", default: "off" },
      users: { type: "string", default: "4" },
      observers: { type: "string", default: "on" },
      program: { type: "string", default: program },
      command: { type: "boolean", default: false },
      first: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) {
    process.stdout.write(`${usage}\n`)
    process.exit(0)
  }
  const delays = delaysOf(values.delays)
  const given = values.heartbeat ?? (values.first ? "1 second" : delays ? "400 millis" : "100 millis")
  const heartbeat = Duration.decodeUnknown(given)
  const kindsOf = values.command ? ofProcesses : kinds
  return {
    rounds: wholeNumber("rounds", values.rounds, 1),
    seed: wholeNumber("seed", values.seed, 0),
    from: wholeNumber("from", values.from, 1),
    kinds: values.kinds.split(",").map((kind) => oneOf("kinds", kind, kindsOf)),
    target: values.target === undefined ? undefined : oneOf("target", values.target, targets),
    policy: oneOf("policy", values.policy, ["hardened", "classic"]),
    heartbeatMillis: Duration.toMillis(
      Option.getOrElse(heartbeat, () => fail(`--heartbeat ${given} is not a duration`))
    ),
    delays,
    link: linkOf(values.link, delays),
    keys: oneOf("keys", values.keys, keysOf),
    users: wholeNumber("users", values.users, 0),
    observers: oneOf("observers", values.observers, ["on", "off"]) === "on",
    program: path.resolve(values.program),
    scenario: values.first ? "first" : values.command ? "command" : "servers",
    json: values.json
  }
}

const parseOrExit = (): Arguments => {
  try {
    return parse()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}\n`)
    return process.exit(64)
  }
}

/** Removes the kinds that this system does not allow. */
const withinReach = (options: Arguments): Arguments => {
  const { delays, heartbeatMillis, kinds } = options
  if (delays !== undefined && kinds.some(isOfNetwork)) {
    process.stderr.write("skipped: cut, delay (--delays relays the link, which they would not cut)\n")
    return withinReach({ ...options, kinds: kinds.filter((kind) => !isOfNetwork(kind)) })
  }
  const skipped = kinds.some(isOfNetwork) && !isAvailable()
    ? kinds.filter(isOfNetwork)
    : kinds.filter((kind) => kind === "delay" && heartbeatMillis < leastDelayHeartbeatMillis)
  const left = kinds.filter((kind) => !skipped.includes(kind))
  if (skipped.length > 0) {
    process.stderr.write(
      `skipped: ${skipped.join(", ")} (cut and delay need unprivileged user and network namespaces, ` +
        `delay also a heartbeat of ${leastDelayHeartbeatMillis} ms or more)\n`
    )
  }
  if (left.length === 0) {
    process.exit(0)
  }
  return { ...options, kinds: left }
}

const options = withinReach(parseOrExit())
if (options.kinds.some(isOfNetwork) || (options.link === "network")) {
  await enterNetwork()
}

const servers = Effect.gen(function*() {
  const done: Array<Round> = []
  const rounds = yield* play(options, (round) =>
    Effect.sync(() => {
      done.push(round)
      process.stderr.write(`${formatFindings(options, round)}${progress(options, done)}`)
    }))
  yield* Console.log(options.json ? json(options, rounds) : text(options, rounds))
  const isFaulty = options.policy === "hardened" &&
    rounds.some(({ findings }) => findings.some(({ isFault }) => isFault))
  process.exitCode = isFaulty ? 1 : 0
})

const commands = Effect.gen(function*() {
  const rounds = yield* Commands.play(
    options,
    (round) => Effect.sync(() => process.stderr.write(formatCommands(options, round)))
  )
  yield* Console.log(options.json ? JSON.stringify({ options, rounds }) : textOfCommands(options, rounds))
  process.exitCode = rounds.some(({ faults }) => faults.length > 0) ? 1 : 0
})

const first = Effect.gen(function*() {
  const rounds = yield* First.play(
    options,
    (round) => Effect.sync(() => process.stderr.write(formatFirst(options, round)))
  )
  yield* Console.log(options.json ? JSON.stringify({ options, rounds }) : textOfFirst(options, rounds))
  process.exitCode = rounds.some(({ isInTime }) => !isInTime) ? 1 : 0
})

const scenarios = { servers, command: commands, first }

scenarios[options.scenario].pipe(
  // Without a logger, errors would not be printed.
  Effect.tapErrorCause((cause) => Console.error(Cause.pretty(cause))),
  Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)

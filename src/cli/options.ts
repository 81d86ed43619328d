/**
 * What can be said on the command line, in one place. Most can also come from the environment.
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as BinaryStarClient from "../BinaryStarClient.ts"
import * as BinaryStarConfig from "../BinaryStarConfig.ts"
import { policyNames } from "../Fsm.ts"
import * as LazyPirate from "../LazyPirate.ts"

const text = (name: string, variable: string, description: string): Options.Options<Option.Option<string>> =>
  Options.text(name).pipe(
    Options.withFallbackConfig(Config.string(variable)),
    Options.optional,
    Options.withDescription(`${description} Environment: ${variable}.`)
  )

/** One of a few words. The library's own `Options.choice` refuses others without naming the option. */
const choice = <Word extends string>(name: string, words: ReadonlyArray<Word>, variable: string, fallback: Word) =>
  Options.text(name).pipe(
    Options.withPseudoName(words.join(" | ")),
    Options.withFallbackConfig(Config.string(variable)),
    Options.withDefault(fallback as string),
    Options.mapEffect((given) => {
      const word = words.find((word) => word === given)
      return word === undefined
        ? refuse(`--${name} (${variable}): expected ${words.join(" or ")}, got "${given}"`)
        : Effect.succeed(word)
    })
  )

const refuse = (message: string) => Effect.fail(ValidationError.invalidValue(HelpDoc.p(message)))

const { backup, primary } = BinaryStarConfig.defaults

export const logFormat = choice("log-format", ["plain", "json", "pretty"], "BSTAR_LOG_FORMAT", "plain").pipe(
  Options.withDescription("How lines are written; plain, the default, is the Guide's. Environment: BSTAR_LOG_FORMAT.")
)

export const server = {
  primary: Options.boolean("primary", { aliases: ["p"] }).pipe(Options.withDescription("Run the primary server.")),
  backup: Options.boolean("backup", { aliases: ["b"] }).pipe(Options.withDescription("Run the backup server.")),
  frontend: text(
    "frontend",
    "BSTAR_FRONTEND",
    `Where clients connect (bound). Default: ${primary.frontend} with -p, ${backup.frontend} with -b.`
  ),
  state: text(
    "state",
    "BSTAR_STATE",
    `Where this server publishes its state (bound). Default: ${primary.state} with -p, ${backup.state} with -b.`
  ),
  peer: text(
    "peer",
    "BSTAR_PEER",
    `Where the other server publishes its state (connected). Default: ${primary.peer} with -p, ${backup.peer} with -b.`
  ),
  heartbeat: text(
    "heartbeat",
    "BSTAR_HEARTBEAT",
    `Time between two heartbeats, such as "250 millis"; the same on both servers. Default: ${primary.heartbeat}.`
  ),
  policy: choice("policy", policyNames, "BSTAR_POLICY", "classic").pipe(
    Options.withDescription(
      "The rules: classic, the default, is the Guide's; hardened is for production. Environment: BSTAR_POLICY."
    )
  ),
  crashDetection: choice("crash-detection", ["policy", "on", "off"], "BSTAR_CRASH_DETECTION", "policy").pipe(
    Options.withDescription(
      "Whether the peer counts as dead as soon as connections to it are refused. " +
        "Default: policy, which is on with hardened and off with classic. Environment: BSTAR_CRASH_DETECTION."
    )
  ),
  drain: text(
    "drain",
    "BSTAR_DRAIN",
    `How long a server that is asked to stop may take to answer what it has accepted. Default: ${primary.drain}.`
  ),
  logFormat
}

export const client = {
  server: Options.text("server").pipe(
    Options.repeated,
    Options.withDescription(
      `A server's frontend; give it twice, in the order to try. Default: ${
        BinaryStarClient.defaults.servers.join(", ")
      }. ` +
        "Environment: BSTAR_SERVERS, separated by commas."
    )
  ),
  timeout: text(
    "timeout",
    "BSTAR_TIMEOUT",
    `How long a request may take in all; with --legacy, how long to wait before the other server is asked. ` +
      `Default: ${BinaryStarClient.defaults.timeout}; with --legacy ${LazyPirate.defaults.timeout}.`
  ),
  settle: text(
    "settle",
    "BSTAR_SETTLE",
    `With --legacy: how long to wait before the other server is connected. Default: ${LazyPirate.defaults.settle}.`
  ),
  legacy: Options.boolean("legacy").pipe(
    Options.withDescription("Behave like the Guide's Lazy Pirate client: one server at a time, failover in seconds.")
  ),
  patience: text(
    "patience",
    "BSTAR_PATIENCE",
    `How long a server that has been answering may take before it is asked the same again. ` +
      `Default: ${BinaryStarClient.defaults.patience}.`
  ),
  interval: text(
    "interval",
    "BSTAR_INTERVAL",
    "How long to wait between a reply and the next request. Default: 1 second."
  ),
  count: text("count", "BSTAR_COUNT", "How many requests to send. Default: no end.").pipe(
    Options.mapEffect(Option.match({
      onNone: () => Effect.succeed(Number.POSITIVE_INFINITY),
      onSome: (given) =>
        /^[1-9][0-9]{0,14}$/.test(given)
          ? Effect.succeed(Number(given))
          : refuse(`--count (BSTAR_COUNT): expected a number of requests, got "${given}"`)
    }))
  ),
  logFormat
}

export const fsm = {
  format: choice("format", ["table", "mermaid", "json"], "BSTAR_FORMAT", "table").pipe(
    Options.withDescription("How to write the state machine. Default: table. Environment: BSTAR_FORMAT.")
  ),
  policy: server.policy
}

const budget = (name: string, fallback: number, description: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("number"),
    Options.withDefault(String(fallback)),
    Options.mapEffect((given) =>
      /^[0-9]{1,3}$/.test(given)
        ? Effect.succeed(Number(given))
        : refuse(`--${name}: expected a small number, got "${given}"`)
    ),
    Options.withDescription(`${description} Default: ${fallback}.`)
  )

export const verify = {
  policy: choice("policy", policyNames, "BSTAR_POLICY", "hardened").pipe(
    Options.withDescription("Whose rules. Default: hardened. Environment: BSTAR_POLICY.")
  ),
  kills: budget("kills", 2, "How often a process is killed at most."),
  stops: budget("stops", 1, "How often a server is stopped in good order at most."),
  pauses: budget("pauses", 1, "How often a process stands still at most."),
  cuts: budget("cuts", 0, "How often the link is cut at most."),
  delay: budget("delay", 1, "How long a word is under way at most, in halves of a heartbeat."),
  format: choice("format", ["text", "json"], "BSTAR_VERIFY_FORMAT", "text").pipe(
    Options.withDescription("How to write the result. Default: text. Environment: BSTAR_VERIFY_FORMAT.")
  )
}

/** What the parsers above give. */
export type Parsed<O extends { readonly [K in string]: Options.Options<unknown> }> = {
  readonly [K in keyof O]: O[K] extends Options.Options<infer A> ? A : never
}

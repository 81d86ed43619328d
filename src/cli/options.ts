/**
 * What can be said on the command line, in one place. Every option can also come from the environment.
 */
import * as Options from "@effect/cli/Options"
import * as Config from "effect/Config"
import type * as Option from "effect/Option"
import * as BinaryStarClient from "../BinaryStarClient.ts"
import * as BinaryStarConfig from "../BinaryStarConfig.ts"
import { policyNames } from "../Fsm.ts"

const text = (name: string, variable: string, description: string): Options.Options<Option.Option<string>> =>
  Options.text(name).pipe(
    Options.withFallbackConfig(Config.string(variable)),
    Options.optional,
    Options.withDescription(`${description} Environment: ${variable}.`)
  )

const { backup, primary } = BinaryStarConfig.defaults

export const logFormat = Options.choice("log-format", ["plain", "json", "pretty"]).pipe(
  Options.withFallbackConfig(Config.literal("plain", "json", "pretty")("BSTAR_LOG_FORMAT")),
  Options.withDefault("plain"),
  Options.withDescription("How lines are written; plain is the Guide's. Environment: BSTAR_LOG_FORMAT.")
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
  policy: Options.choice("policy", policyNames).pipe(
    Options.withFallbackConfig(Config.literal(...policyNames)("BSTAR_POLICY")),
    Options.withDefault("classic"),
    Options.withDescription("The rules of the pair; the same on both servers. Environment: BSTAR_POLICY.")
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
    `How long to wait for a reply. Default: ${BinaryStarClient.defaults.timeout}.`
  ),
  settle: text(
    "settle",
    "BSTAR_SETTLE",
    `How long to wait before the other server is asked. Default: ${BinaryStarClient.defaults.settle}.`
  ),
  interval: text(
    "interval",
    "BSTAR_INTERVAL",
    "How long to wait between a reply and the next request. Default: 1 second."
  ),
  count: Options.integer("count").pipe(
    Options.withFallbackConfig(Config.integer("BSTAR_COUNT")),
    Options.optional,
    Options.withDescription("How many requests to send. Default: no end. Environment: BSTAR_COUNT.")
  ),
  logFormat
}

export const fsm = {
  format: Options.choice("format", ["table", "mermaid", "json"]).pipe(
    Options.withDefault("table"),
    Options.withDescription("How to write the state machine.")
  ),
  policy: server.policy
}

/** What the parsers above give. */
export type Parsed<O extends { readonly [K in string]: Options.Options<unknown> }> = {
  readonly [K in keyof O]: O[K] extends Options.Options<infer A> ? A : never
}

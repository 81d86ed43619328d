/**
 * The command `bstar`: what can be typed, and which file does it. A command's code is loaded when it runs.
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { version } from "../internal/Version.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { CommandLine } from "./commandLine.ts"
import { scan } from "./commandLine.ts"
import * as options from "./options.ts"
import * as secrets from "./secrets.ts"

export const usage = "Usage: bstar { -p | -b } [options]   (bstar --help tells the rest)"

const load = <M>(module: () => Promise<M>): Effect.Effect<M> => Effect.promise(module)

const client = Command.make(
  "client",
  options.client,
  (parsed) => Effect.flatMap(load(() => import("./commands/client.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription("Ask a pair for the numbers 1, 2, 3 ..., as the Guide's client does.")
)

const keygen = Command.make(
  "keygen",
  {
    ...options.keygen,
    directory: Args.text({ name: "DIR" }).pipe(Args.withDescription("Where the key files are, or come to be."))
  },
  (parsed) => Effect.flatMap(load(() => import("./commands/keygen.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription(
    "Make key files for --keys: for both servers of a pair, or for one client or worker more. None is overwritten."
  )
)

const fsm = Command.make(
  "fsm",
  options.fsm,
  (parsed) => Effect.flatMap(load(() => import("./commands/fsm.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription("Print the state machine, derived from the code that runs.")
)

const verify = Command.make(
  "verify",
  options.verify,
  (parsed) => Effect.flatMap(load(() => import("./commands/verify.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription(
    "Explore every state that a pair can reach, and print how a property is violated, if one is."
  )
)

const demo = Command.make("demo", {}, () => Effect.flatMap(load(() => import("./commands/demo.ts")), ({ run }) => run))
  .pipe(
    Command.withDescription("Start a pair and a client on this machine, kill each server in turn, and watch.")
  )

const check = Command.make(
  "check",
  options.configCheck,
  (parsed) => Effect.flatMap(load(() => import("./commands/config.ts")), ({ check }) => check(parsed))
).pipe(
  Command.withDescription(
    "Print what a server would be configured with and where each value comes from, or all that is wrong. " +
      "Without -p and -b for both servers."
  )
)

const config = Command.make("config").pipe(
  Command.withDescription("Look at the configuration: bstar config check."),
  Command.withSubcommands([check])
)

const status = Command.make(
  "status",
  {
    ...options.status,
    interval: Args.text({ name: "interval" }).pipe(
      Args.optional,
      Args.withDescription(`With --watch: how long to wait in between, such as "5 seconds".`)
    )
  },
  (parsed) => Effect.flatMap(load(() => import("./commands/status.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription(
    "Tell how both servers of a pair are. Exit code: 0 healthy, 1 degraded, 2 nobody is active, 3 both are."
  )
)

const history = Command.make(
  "history",
  options.history,
  (parsed) => Effect.flatMap(load(() => import("./commands/history.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription("Tell the transitions of both servers, the newest last.")
)

const doctor = Command.make(
  "doctor",
  options.doctor,
  (parsed) => Effect.flatMap(load(() => import("./commands/doctor.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription("Look for what is wrong with a pair, and tell what to do about it.")
)

const control = load(() => import("./commands/control.ts"))

const switchover = Command.make(
  "switchover",
  options.reasoned,
  (parsed) => Effect.flatMap(control, ({ switchover }) => switchover(parsed))
).pipe(
  Command.withDescription("Have the active server hand over to its peer, and wait until that is done.")
)

const pause = Command.make(
  "pause",
  options.reasoned,
  (parsed) => Effect.flatMap(control, ({ pause }) => pause(parsed))
).pipe(
  Command.withDescription("No server takes over by itself any more: for maintenance.")
)

const resume = Command.make(
  "resume",
  options.resume,
  (parsed) => Effect.flatMap(control, ({ resume }) => resume(parsed))
).pipe(
  Command.withDescription("The end of a pause.")
)

const promote = Command.make(
  "promote",
  options.reasoned,
  (parsed) => Effect.flatMap(control, ({ promote }) => promote(parsed))
).pipe(
  Command.withDescription("Make a server active whose peer is gone: your word for a backup that is alone.")
)

const roleOf = (parsed: { readonly primary: boolean; readonly backup: boolean }) =>
  Effect.gen(function*() {
    const word = parsed.primary || parsed.backup
      ? Option.none()
      : yield* Effect.orDie(Config.option(Config.string("BSTAR_ROLE")))
    if (Option.isSome(word) && word.value !== "primary" && word.value !== "backup") {
      const message = `expected "primary" or "backup", got ${JSON.stringify(word.value)}`
      return yield* new InvalidConfig({ issues: [{ field: "BSTAR_ROLE", message }] })
    }
    const isPrimary = parsed.primary || Option.contains(word, "primary")
    const isBackup = parsed.backup || Option.contains(word, "backup")
    if (isPrimary === isBackup) {
      return yield* Effect.fail(ValidationError.invalidArgument(HelpDoc.p("exactly one of -p and -b is needed")))
    }
    return isPrimary ? "primary" : "backup"
  })

const proxy = Command.make("proxy", options.proxy, (parsed) =>
  Effect.gen(function*() {
    const role = yield* roleOf(parsed)
    const { run } = yield* load(() => import("./commands/proxy.ts"))
    return yield* run(role, parsed)
  })).pipe(
    Command.withDescription("A server of a pair that hands requests on to workers in any language: REP sockets.")
  )

const runCommand = Command.make(
  "run",
  {
    ...options.run,
    command: Args.atLeast(Args.text({ name: "command" }), 1).pipe(
      Args.withDescription("The command and its arguments, after --.")
    )
  },
  ({ command, ...parsed }) =>
    Effect.gen(function*() {
      const role = yield* roleOf(parsed)
      const { run } = yield* load(() => import("./commands/run.ts"))
      yield* run(role, parsed, command)
    })
).pipe(
  Command.withDescription("Run a command on the active server of a pair, and never on both: bstar run -p -- command.")
)

const root = Command.make("bstar", options.server, (parsed) =>
  Effect.gen(function*() {
    const role = yield* roleOf(parsed)
    const { run } = yield* load(() => import("./commands/server.ts"))
    return yield* run(role, parsed)
  })).pipe(
    Command.withDescription("A server of a Binary Star pair: -p is the primary, -b the backup."),
    Command.withSubcommands([
      client,
      proxy,
      runCommand,
      keygen,
      config,
      fsm,
      verify,
      demo,
      status,
      history,
      doctor,
      switchover,
      pause,
      resume,
      promote
    ])
  )

const parse = Command.run(root, { name: "bstar", version })

const nothing = ConfigProvider.fromMap(new Map())

/** The commands that read a configuration file; that of a server has no name. */
const readers: ReadonlyArray<string | undefined> = [undefined, "client", "proxy", "run"]

/** Below the environment, what the file has to say to the command that is going to run. */
const fileOf = (commandLine: CommandLine) =>
  Effect.gen(function*() {
    const variable = yield* Effect.orDie(Config.option(Config.string("BSTAR_CONFIG")))
    const name = commandLine.config ?? Option.getOrUndefined(variable)
    if (name === undefined || commandLine.asksAboutItself || !readers.includes(commandLine.command)) {
      return nothing
    }
    const { provider } = yield* load(() => import("./configFile.ts"))
    return yield* provider(name, commandLine)
  })

export const run = (argv: ReadonlyArray<string>) => {
  const commandLine = scan(argv.slice(2))
  return commandLine.command === "config"
    // The parser would stop at the first thing in the environment that is wrong. The command looks there itself.
    ? Effect.withConfigProvider(parse(argv), nothing)
    : Effect.flatMap(
      fileOf(commandLine),
      (file) =>
        Effect.configProviderWith((environment) =>
          Effect.withConfigProvider(parse(argv), ConfigProvider.orElse(environment, () => file))
        )
    ).pipe(Effect.withConfigProvider(secrets.take()))
}

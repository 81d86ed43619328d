/** The command line of `bstar`: its commands, and the file that runs each. The code of a command is loaded when it runs. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import process from "node:process"
import { version } from "../internal/Version.ts"
import type * as Settings from "../settings/Settings.ts"
import * as configuration from "./configuration.ts"
import { unknownVariables } from "./environment.ts"
import * as options from "./options.ts"
import { Output } from "./output.ts"
import { parse } from "./parse.ts"
import * as secrets from "./secrets.ts"
import * as syntax from "./syntax.ts"
import { printable } from "./text.ts"
import { UsageError } from "./usageError.ts"

const load = <M>(module: () => Promise<M>): Effect.Effect<M> => Effect.promise(module)

/** A command: its syntax, and what it does with what was typed. */
const command = <E, R>(
  syntax: syntax.Syntax,
  run: (typed: options.Typed, operands: ReadonlyArray<string>) => Effect.Effect<void, E, R>
) => ({ ...syntax, run })

/** The syntax of a command that has options and nothing else. */
type Tool = Omit<syntax.Syntax, "name" | "settings"> & { readonly name?: string }

/** A command that has options and nothing else. */
const tool = <const C extends Settings.Command, E, R>(
  settings: C,
  help: Tool,
  run: (values: Settings.Values<C>) => Effect.Effect<void, E, R>
) =>
  command(
    { name: settings, ...help, settings: [settings] },
    (typed) => Effect.flatMap(configuration.of(settings, typed), run)
  )

/** The values for a server of a pair, which drops its output rather than waits for it. */
const valuesOf = <C extends "server" | "proxy" | "run">(command: C, typed: options.Typed) =>
  Effect.zipRight(Effect.flatMap(Output, ({ neverWait }) => neverWait), configuration.ofServer(command, typed))

const root = command(
  {
    name: "",
    group: "Serve",
    summary: "A primary and a backup server, of which one answers and the other takes over.",
    short: "A server of a pair",
    settings: ["server"],
    examples: [
      ["bstar demo", "watch a pair on this machine fail over"],
      ["bstar init pair", "make the configuration and keys of a pair of your own"],
      ["bstar -p --policy hardened", "start a primary; with -b its backup; then: bstar client"]
    ]
  },
  (typed) =>
    Effect.gen(function*() {
      const values = yield* valuesOf("server", typed)
      const { run } = yield* load(() => import("./commands/server.ts"))
      yield* run(values)
    })
)

const run_ = command(
  {
    name: "run",
    group: "Serve",
    summary: "Run a command on the active server of a pair, and never on both.",
    short: "Run a command on the active server of a pair, and never on both",
    settings: ["run"],
    operand: { name: "COMMAND ...", help: "The command and its arguments.", isRest: true },
    examples: [["bstar run -p --peer tcp://b.example:5004 -- ./worker --all", "on a.example"]]
  },
  (typed, operands) =>
    Effect.gen(function*() {
      const values = yield* valuesOf("run", typed)
      const { run } = yield* load(() => import("./commands/run.ts"))
      yield* run(values, operands as [string, ...Array<string>])
    })
)

const proxy = command(
  {
    name: "proxy",
    group: "Serve",
    summary: "A server of a pair that forwards requests to workers in any language: REP sockets.",
    short: "A server that forwards requests to workers in any language",
    settings: ["proxy"],
    examples: [["bstar proxy -p --backend 'tcp://*:5005'", "workers connect to port 5005"]]
  },
  (typed) =>
    Effect.gen(function*() {
      const values = yield* valuesOf("proxy", typed)
      const { run } = yield* load(() => import("./commands/proxy.ts"))
      yield* run(values)
    })
)

const client = command(
  {
    name: "client",
    group: "Connect",
    summary: "Send a pair the numbers 1, 2, 3 ..., as the Guide's client does.",
    short: "Send a pair the numbers 1, 2, 3 ... and print its replies",
    settings: ["client", "legacy"],
    examples: [
      ["bstar client --count 1", "one request to the pair on this machine"],
      ["bstar client --server tcp://a:5001 --server tcp://b:5002", "a pair on two machines"]
    ]
  },
  (typed) =>
    Effect.gen(function*() {
      const values = yield* configuration.ofClient(typed)
      const { run } = yield* load(() => import("./commands/client.ts"))
      yield* run(values)
    })
)

const status = command(
  {
    name: "status",
    group: "Operate",
    summary:
      "Print the status of both servers of a pair. Exit code: 0 healthy, 1 degraded, 2 none is active, 3 both are.",
    short: "Print the status of both servers; the exit code tells the health",
    settings: ["status"],
    operand: { name: "INTERVAL", help: `With --watch: the time between two reports, such as "5s".`, isOptional: true },
    examples: [["bstar status --http a:5011 --http b:5012 --watch", "until Ctrl-C"]]
  },
  (typed, [interval]) =>
    Effect.gen(function*() {
      const values = yield* configuration.of("status", typed)
      const { run } = yield* load(() => import("./commands/status.ts"))
      yield* run({ ...values, interval })
    })
)

const history = tool(
  "history",
  {
    group: "Operate",
    summary: "Print the transitions of both servers, the newest last.",
    short: "Print the transitions of both servers",
    examples: []
  },
  (values) => Effect.flatMap(load(() => import("./commands/history.ts")), ({ run }) => run(values))
)

const doctor = tool(
  "doctor",
  {
    group: "Operate",
    summary: "Find what is wrong with a pair, and print what to do about it.",
    short: "Find what is wrong with a pair, and print what to do about it",
    examples: [["bstar doctor --http a:5011 --http b:5012", "examine both servers"]]
  },
  (values) => Effect.flatMap(load(() => import("./commands/doctor.ts")), ({ run }) => run(values))
)

const control = load(() => import("./commands/control.ts"))

const switchover = tool(
  "switchover",
  {
    group: "Operate",
    summary: "Have the active server hand over to its peer, and wait until that is done.",
    short: "Have the active server hand over to its peer",
    examples: [[
      `bstar switchover --http a:5011 --http b:5012 --token-file token --reason "new kernel"`,
      "loses no request"
    ]]
  },
  (values) => Effect.flatMap(control, ({ switchover }) => switchover(values))
)

const pause = tool(
  "pause",
  {
    group: "Operate",
    summary: "Stop both servers from taking over by themselves, for maintenance.",
    short: "Stop both servers from taking over by themselves, for maintenance",
    examples: []
  },
  (values) => Effect.flatMap(control, ({ pause }) => pause(values))
)

const resume = tool(
  "resume",
  { group: "Operate", summary: "End a pause.", short: "End a pause", examples: [] },
  (values) => Effect.flatMap(control, ({ resume }) => resume(values))
)

const promote = tool(
  "promote",
  {
    group: "Operate",
    summary: "Make a server active whose peer is lost, without a client's vote.",
    short: "Make a server active whose peer is lost, without a client's vote",
    examples: []
  },
  (values) => Effect.flatMap(control, ({ promote }) => promote(values))
)

const init = command(
  {
    name: "init",
    group: "Set up",
    summary:
      "Write the files of a pair: pair.toml, keys, a token, and a unit of systemd for each server; and print the next steps. " +
      "Nothing is overwritten.",
    short: "Write the configuration, keys and systemd units of a pair",
    settings: [],
    operand: {
      name: "DIR",
      help: "The directory of the files, by default this one.",
      isOptional: true,
      path: "directory"
    },
    examples: [["bstar init pair", "in a new directory"]]
  },
  (_, [directory = "."]) => Effect.flatMap(load(() => import("./commands/init.ts")), ({ run }) => run(directory))
)

const keygen = command(
  {
    name: "keygen",
    group: "Set up",
    summary:
      "Make key files for --keys: for both servers of a pair, or for one more client or worker. None is overwritten.",
    short: "Make the key files of servers, clients and workers",
    settings: ["keygen"],
    operand: { name: "DIR", help: "The directory of the key files; it need not exist.", path: "directory" },
    examples: [["bstar keygen keys --client ann", "a key for one more client"]]
  },
  (typed, [directory]) =>
    Effect.gen(function*() {
      const values = yield* configuration.of("keygen", typed)
      const { run } = yield* load(() => import("./commands/keygen.ts"))
      yield* run(values, directory!)
    })
)

const check = command(
  {
    name: "config check",
    group: "Set up",
    summary:
      "Print the values that a server would use and where each comes from, or all that is wrong. Without -p and -b for " +
      "both servers.",
    short: "Print the values of a server and where each is from, or what is wrong",
    settings: ["check", "server", "proxy", "run"],
    examples: [["bstar config check --config pair.toml", "before a restart"]]
  },
  (typed) => Effect.flatMap(load(() => import("./commands/config.ts")), ({ check }) => check(typed))
)

const witnessStatus = tool(
  "witnessStatus",
  {
    name: "witness status",
    group: "Set up",
    summary:
      "Print whether the witness answers, how soon, and the record of the pair. Exit code: 0 it answers, 1 it does not.",
    short: "Print whether the third party of a pair answers, and its record",
    examples: []
  },
  (values) => Effect.flatMap(load(() => import("./commands/witness.ts")), ({ status }) => status(values))
)

const witnessInit = tool(
  "witnessInit",
  {
    name: "witness init",
    group: "Set up",
    summary: "Prepare the witness: create the table in a database, and find out whether the record may be written.",
    short: "Prepare the third party: a table in a database",
    examples: []
  },
  (values) => Effect.flatMap(load(() => import("./commands/witness.ts")), ({ init }) => init(values))
)

const demo = command(
  {
    name: "demo",
    group: "Understand",
    summary: "Start a pair and a client on this machine, kill each server in turn, and watch.",
    short: "Start a pair and a client on this machine, and watch it fail over",
    settings: [],
    flags: { dashboard: "Run the pair until Ctrl-C, with its dashboards to look at." },
    examples: [["bstar demo --dashboard", "prints the addresses of the dashboards"]]
  },
  ({ dashboard }) => Effect.flatMap(load(() => import("./commands/demo.ts")), ({ run }) => run(dashboard === true))
)

const fsm = tool(
  "fsm",
  {
    group: "Understand",
    summary: "Print the state machine, derived from the code that runs.",
    short: "Print the state machine, derived from the code that runs",
    examples: [["bstar fsm --policy classic --format mermaid", "the Guide's, as a diagram"]]
  },
  (values) => Effect.flatMap(load(() => import("./commands/fsm.ts")), ({ run }) => run(values))
)

const verify = tool(
  "verify",
  {
    group: "Understand",
    summary: "Explore every state that a pair can reach, and print how a property is violated, if one is.",
    short: "Explore every state that a pair can reach, and check its properties",
    examples: [["bstar verify --pauses 2", "with two pauses of a process"]]
  },
  (values) => Effect.flatMap(load(() => import("./commands/verify.ts")), ({ run }) => run(values))
)

const completions = command(
  {
    name: "completions",
    group: "Set up",
    summary: "Print a script by which a shell completes commands, options, values and files.",
    short: "Print the completions of a shell: source <(bstar completions bash)",
    settings: [],
    operand: { name: "SHELL", help: "bash, zsh or fish.", values: syntax.shells },
    examples: [
      ["source <(bstar completions bash)", "in ~/.bashrc; for zsh in ~/.zshrc, after compinit"],
      ["bstar completions fish > ~/.config/fish/completions/bstar.fish", "for fish"]
    ]
  },
  (_, [shell]): Effect.Effect<void> =>
    Effect.flatMap(
      load(() => import("./completions.ts")),
      ({ script }) => Console.log(script(shell as syntax.Shell, commands))
    )
)

/** All commands, each group in the order of the help. */
export const commands = [
  root,
  run_,
  proxy,
  client,
  status,
  history,
  doctor,
  switchover,
  pause,
  resume,
  promote,
  init,
  keygen,
  check,
  witnessStatus,
  witnessInit,
  completions,
  demo,
  fsm,
  verify
]

const printHelp = (command: syntax.Syntax, isAll: boolean) =>
  Effect.gen(function*() {
    const [{ help }, { paintOf }] = yield* load(() => Promise.all([import("./help.ts"), import("./paint.ts")]))
    yield* Console.log(help(command, commands, isAll, yield* paintOf))
  })

const parsed = (args: ReadonlyArray<string>) =>
  Effect.try({
    try: () => parse(commands, args),
    catch: (error) => {
      if (error instanceof UsageError) {
        return error
      }
      throw error
    }
  })

const warnOfVariables = Effect.suspend(() => {
  const warning = unknownVariables(Object.keys(process.env))
  return warning === undefined ? Effect.void : Console.error(`W: ${printable(warning)}`)
})

type Run = ReturnType<typeof commands[number]["run"]>

/** Runs a command. An error of its command line has its usage. */
const runCommand = (
  { run, ...syntax_ }: typeof commands[number],
  args: ReadonlyArray<string>,
  operands: ReadonlyArray<string>
) =>
  Effect.mapError(
    options.run(
      syntax_,
      args,
      (typed): Effect.Effect<void, Effect.Effect.Error<Run>, Effect.Effect.Context<Run>> => run(typed, operands)
    ),
    (error) =>
      error instanceof UsageError && error.usage === undefined
        ? new UsageError({ message: error.message, usage: syntax.usage(syntax_) })
        : error
  )

/** Runs a command line. */
const runLine = (args: ReadonlyArray<string>) =>
  Effect.flatMap(parsed(args), (invocation) => {
    switch (invocation._tag) {
      case "Version":
        return Console.log(version)
      case "Help":
        return printHelp(invocation.command, invocation.isAll)
      case "Run": {
        const { args, command, logLevel, operands } = invocation
        return Effect.zipRight(warnOfVariables, runCommand(command, args, operands)).pipe(
          logLevel === undefined
            ? (effect) => effect
            : Logger.withMinimumLogLevel(LogLevel.fromLiteral(syntax.logLevels[logLevel]))
        )
      }
    }
  })

export const run = (argv: ReadonlyArray<string>) =>
  Effect.suspend(() => Effect.withConfigProvider(runLine(argv.slice(2)), secrets.take()))

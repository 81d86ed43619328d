/** The command line of `bstar`: its commands, and the file that runs each. The code of a command is loaded when it runs. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { version } from "../internal/Version.ts"
import type * as Settings from "../settings/Settings.ts"
import * as configuration from "./configuration.ts"
import * as options from "./options.ts"
import { Output } from "./output.ts"
import * as secrets from "./secrets.ts"

export const usage = "Usage: bstar { -p | -b } [options]   (bstar --help explains all of them)"

const load = <M>(module: () => Promise<M>): Effect.Effect<M> => Effect.promise(module)

/** A command that has options and nothing else. */
const tool = <const C extends Settings.Command, E, R>(
  name: C,
  description: string,
  run: (values: Settings.Values<C>) => Effect.Effect<void, E, R>,
  typedName: string = name
) =>
  Command.make(
    typedName,
    { typed: options.of(name) },
    ({ typed }) => Effect.flatMap(configuration.of(name, typed), run)
  )
    .pipe(
      Command.withDescription(description)
    )

/** The values for a server of a pair, which drops its output rather than waits for it. */
const valuesOf = <C extends "server" | "proxy" | "run">(command: C, typed: options.Typed) =>
  Effect.zipRight(Effect.flatMap(Output, ({ neverWait }) => neverWait), configuration.ofServer(command, typed))

const client = Command.make(
  "client",
  { typed: options.of("client", "legacy") },
  ({ typed }) =>
    Effect.gen(function*() {
      const values = yield* configuration.ofClient(typed)
      const { run } = yield* load(() => import("./commands/client.ts"))
      yield* run(values)
    })
).pipe(
  Command.withDescription("Send a pair the numbers 1, 2, 3 ..., as the Guide's client does.")
)

const keygen = Command.make(
  "keygen",
  {
    typed: options.of("keygen"),
    directory: Args.text({ name: "DIR" }).pipe(
      Args.withDescription("The directory of the key files; it need not exist.")
    )
  },
  ({ directory, typed }) =>
    Effect.gen(function*() {
      const values = yield* configuration.of("keygen", typed)
      const { run } = yield* load(() => import("./commands/keygen.ts"))
      yield* run(values, directory)
    })
).pipe(
  Command.withDescription(
    "Make key files for --keys: for both servers of a pair, or for one more client or worker. None is overwritten."
  )
)

const fsm = tool(
  "fsm",
  "Print the state machine, derived from the code that runs.",
  (values) => Effect.flatMap(load(() => import("./commands/fsm.ts")), ({ run }) => run(values))
)

const verify = tool(
  "verify",
  "Explore every state that a pair can reach, and print how a property is violated, if one is.",
  (values) => Effect.flatMap(load(() => import("./commands/verify.ts")), ({ run }) => run(values))
)

const demo = Command.make("demo", {}, () => Effect.flatMap(load(() => import("./commands/demo.ts")), ({ run }) => run))
  .pipe(
    Command.withDescription("Start a pair and a client on this machine, kill each server in turn, and watch.")
  )

const check = Command.make(
  "check",
  { typed: options.of("check", "server", "proxy", "run") },
  ({ typed }) => Effect.flatMap(load(() => import("./commands/config.ts")), ({ check }) => check(typed))
).pipe(
  Command.withDescription(
    "Print the values that a server would use and where each comes from, or all that is wrong. " +
      "Without -p and -b for both servers."
  )
)

const config = Command.make("config").pipe(
  Command.withDescription("Check the configuration: bstar config check."),
  Command.withSubcommands([check])
)

const status = Command.make(
  "status",
  {
    typed: options.of("status"),
    interval: Args.text({ name: "interval" }).pipe(
      Args.optional,
      Args.withDescription(`With --watch: the time between two reports, such as "5s".`)
    )
  },
  ({ interval, typed }) =>
    Effect.gen(function*() {
      const values = yield* configuration.of("status", typed)
      const { run } = yield* load(() => import("./commands/status.ts"))
      yield* run({ ...values, interval })
    })
).pipe(
  Command.withDescription(
    "Print the status of both servers of a pair. Exit code: 0 healthy, 1 degraded, 2 none is active, 3 both are."
  )
)

const history = tool(
  "history",
  "Print the transitions of both servers, the newest last.",
  (values) => Effect.flatMap(load(() => import("./commands/history.ts")), ({ run }) => run(values))
)

const doctor = tool(
  "doctor",
  "Find what is wrong with a pair, and print what to do about it.",
  (values) => Effect.flatMap(load(() => import("./commands/doctor.ts")), ({ run }) => run(values))
)

const control = load(() => import("./commands/control.ts"))

const switchover = tool(
  "switchover",
  "Have the active server hand over to its peer, and wait until that is done.",
  (values) => Effect.flatMap(control, ({ switchover }) => switchover(values))
)

const pause = tool(
  "pause",
  "Stop both servers from taking over by themselves, for maintenance.",
  (values) => Effect.flatMap(control, ({ pause }) => pause(values))
)

const resume = tool("resume", "End a pause.", (values) => Effect.flatMap(control, ({ resume }) => resume(values)))

const promote = tool(
  "promote",
  "Make a server active whose peer is lost, without a client's vote.",
  (values) => Effect.flatMap(control, ({ promote }) => promote(values))
)

const witnessStatus = tool(
  "witnessStatus",
  "Print whether the witness answers, how soon, and the record of the pair. Exit code: 0 it answers, 1 it does not.",
  (values) => Effect.flatMap(load(() => import("./commands/witness.ts")), ({ status }) => status(values)),
  "status"
)

const witnessInit = tool(
  "witnessInit",
  "Prepare the witness: create the table in a database, and find out whether the record may be written.",
  (values) => Effect.flatMap(load(() => import("./commands/witness.ts")), ({ init }) => init(values)),
  "init"
)

const witness = Command.make("witness").pipe(
  Command.withDescription("Check or prepare the third party of a pair: bstar witness status, bstar witness init."),
  Command.withSubcommands([witnessStatus, witnessInit])
)

const proxy = Command.make("proxy", { typed: options.of("proxy") }, ({ typed }) =>
  Effect.gen(function*() {
    const values = yield* valuesOf("proxy", typed)
    const { run } = yield* load(() => import("./commands/proxy.ts"))
    return yield* run(values)
  })).pipe(
    Command.withDescription("A server of a pair that forwards requests to workers in any language: REP sockets.")
  )

const runCommand = Command.make(
  "run",
  {
    typed: options.of("run"),
    command: Args.atLeast(Args.text({ name: "command" }), 1).pipe(
      Args.withDescription("The command and its arguments, after --.")
    )
  },
  ({ command, typed }) =>
    Effect.gen(function*() {
      const values = yield* valuesOf("run", typed)
      const { run } = yield* load(() => import("./commands/run.ts"))
      yield* run(values, command)
    })
).pipe(
  Command.withDescription("Run a command on the active server of a pair, and never on both: bstar run -p -- command.")
)

const root = Command.make("bstar", { typed: options.of("server") }, ({ typed }) =>
  Effect.gen(function*() {
    const values = yield* valuesOf("server", typed)
    const { run } = yield* load(() => import("./commands/server.ts"))
    return yield* run(values)
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
      promote,
      witness
    ])
  )

const parse = Command.run(root, { name: "bstar", version })

export const run = (argv: ReadonlyArray<string>) =>
  Effect.suspend(() => Effect.withConfigProvider(parse(argv), secrets.take()))

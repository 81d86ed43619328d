/**
 * The command `bstar`: what can be typed, and which file does it. A command's code is loaded when it runs.
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import { version } from "../internal/version.ts"
import * as options from "./options.ts"

export const usage = "Usage: bstar { -p | -b } [options]   (bstar --help tells the rest)"

const load = <M>(module: () => Promise<M>): Effect.Effect<M> => Effect.promise(module)

const client = Command.make(
  "client",
  options.client,
  (parsed) => Effect.flatMap(load(() => import("./client.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription("Ask a pair for the numbers 1, 2, 3 ..., as the Guide's client does.")
)

const fsm = Command.make(
  "fsm",
  options.fsm,
  (parsed) => Effect.flatMap(load(() => import("./fsm.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription("Print the state machine, derived from the code that runs.")
)

const verify = Command.make(
  "verify",
  options.verify,
  (parsed) => Effect.flatMap(load(() => import("./verify.ts")), ({ run }) => run(parsed))
).pipe(
  Command.withDescription(
    "Explore every state that a pair can come to and tell how its promises can be broken, if they can."
  )
)

const demo = Command.make("demo", {}, () => Effect.flatMap(load(() => import("./demo.ts")), ({ run }) => run)).pipe(
  Command.withDescription("Start a pair and a client on this machine, kill each server in turn, and watch.")
)

const roleOf = (parsed: { readonly primary: boolean; readonly backup: boolean }) =>
  parsed.primary === parsed.backup
    ? Effect.fail(ValidationError.invalidArgument(HelpDoc.p("exactly one of -p and -b is needed")))
    : Effect.succeed(parsed.primary ? "primary" as const : "backup" as const)

const proxy = Command.make("proxy", options.proxy, (parsed) =>
  Effect.gen(function*() {
    const role = yield* roleOf(parsed)
    const { run } = yield* load(() => import("./proxy.ts"))
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
      const { run } = yield* load(() => import("./run.ts"))
      yield* run(role, parsed, command)
    })
).pipe(
  Command.withDescription("Run a command on the active server of a pair, and never on both: bstar run -p -- command.")
)

const root = Command.make("bstar", options.server, (parsed) =>
  Effect.gen(function*() {
    const role = yield* roleOf(parsed)
    const { run } = yield* load(() => import("./server.ts"))
    return yield* run(role, parsed)
  })).pipe(
    Command.withDescription("A server of a Binary Star pair: -p is the primary, -b the backup."),
    Command.withSubcommands([client, proxy, runCommand, fsm, verify, demo])
  )

export const run = Command.run(root, { name: "bstar", version })

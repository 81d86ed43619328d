/**
 * `--on-active`, `--on-passive`, `--on-stop`: hooks that are commands of a shell.
 */
import * as NodeCommandExecutor from "@effect/platform-node/NodeCommandExecutor"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { BinaryStar } from "../BinaryStar.ts"
import type { InvalidConfig } from "../BinaryStarError.ts"
import { environmentOf } from "../service/environment.ts"
import * as Hooks from "../service/Hooks.ts"
import type { hooks, Parsed } from "./options.ts"

class HookFailed extends Data.TaggedError("HookFailed")<{ readonly message: string }> {}

/** How long a hook that has taken its time may take to end. */
const grace: Duration.DurationInput = "1 second"

/** Asks a hook's process group to end, and makes it. */
const end = (child: CommandExecutor.Process) =>
  child.kill("SIGTERM").pipe(
    Effect.interruptible,
    Effect.timeoutOption(grace),
    Effect.filterOrElse(Option.isSome, () => child.kill("SIGKILL")),
    Effect.ignore
  )

const linesOf = <E>(bytes: Stream.Stream<Uint8Array, E>) => Stream.splitLines(Stream.decodeText(bytes))

/** A hook that runs a command. It is told what has happened by its environment, and by JSON on its standard input. */
const shell =
  (hook: string, command: string): Hooks.Hook<BinaryStar | CommandExecutor.CommandExecutor> => (transition) =>
    Effect.gen(function*() {
      const { role } = yield* BinaryStar
      const { cause, from, say, to } = transition
      const at = DateTime.formatIso(yield* DateTime.now)
      const executor = yield* CommandExecutor.CommandExecutor
      const child = yield* Command.make("sh", "-c", command).pipe(
        Command.env({ ...environmentOf(role, transition), BSTAR_NODE_HOOK: hook }),
        Command.feed(JSON.stringify({ hook, role, from, to, cause, reason: say, at })),
        executor.start,
        Effect.tap((child) =>
          Effect.addFinalizer(() =>
            Effect.flatMap(
              Effect.orElseSucceed(child.isRunning, () => false),
              (runs) => runs ? end(child) : Effect.void
            )
          )
        )
      )
      yield* Stream.merge(linesOf(child.stdout), linesOf(child.stderr)).pipe(
        Stream.runForEach((line) => Effect.logInfo(`${hook}: ${line}`))
      )
      const code = yield* child.exitCode
      if (code !== 0) {
        return yield* new HookFailed({ message: `${command}: exit code ${code}` })
      }
    }).pipe(Effect.scoped)

/** The hooks that were given. */
export const layer = (parsed: Parsed<typeof hooks>): Layer.Layer<never, InvalidConfig, BinaryStar> => {
  const hook = (name: string, command: Option.Option<string>) =>
    Option.getOrUndefined(Option.map(command, (command) => shell(name, command)))
  return Hooks.layer({
    onActive: hook("on-active", parsed.onActive),
    onPassive: hook("on-passive", parsed.onPassive),
    onStop: hook("on-stop", parsed.onStop),
    timeout: Option.getOrUndefined(parsed.hookTimeout) as Duration.DurationInput | undefined
  }).pipe(Layer.provide(NodeCommandExecutor.layer), Layer.provide(NodeFileSystem.layer))
}

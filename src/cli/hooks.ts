/**
 * `--on-active`, `--on-passive`, `--on-stop`: hooks that are commands of a shell.
 *
 * The command executor of `@effect/platform` is not used: it loses the output of a command that ends within some milliseconds.
 */
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import * as process from "node:process"
import type { Readable } from "node:stream"
import { environmentOf } from "../command/Environment.ts"
import * as Hooks from "../command/Hooks.ts"
import { mayRun, signalGroup } from "../command/ProcessGroup.ts"
import { withStreams } from "../internal/Spawned.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import * as Term from "../protocol/Term.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Values } from "../settings/Settings.ts"

class HookFailed extends Data.TaggedError("HookFailed")<{ readonly message: string }> {}

/** How long the remaining processes of a hook may take to end after SIGTERM, before SIGKILL. */
const grace: Duration.DurationInput = "1 second"

/** How long the last lines of a hook are awaited: a process that it leaves in the background may keep its output open. */
const lastLines: Duration.DurationInput = "100 millis"

/** A longer line is written as several. */
const maxLineLength = 8192

/** Lines of a hook. Its output is paused until they are logged. */
interface Lines {
  readonly lines: ReadonlyArray<string>
  readonly resume: () => void
}

interface Shell {
  readonly lines: Mailbox.ReadonlyMailbox<Lines>
  /** The last line of its standard error so far. */
  readonly lastError: () => string | undefined
  readonly end: Effect.Effect<{ readonly code: number | null; readonly signal: string | null }, HookFailed>
}

/** Reads lines, as many as have arrived at a time. */
const readLines = (input: Readable, offer: (lines: Lines) => void) => {
  let rest = ""
  const resume = () => void input.resume()
  input.setEncoding("utf8")
  input.on("data", (text: string) => {
    const lines = (rest + text).split(/\r?\n/).flatMap((line) =>
      line.length > maxLineLength ? line.match(cuts)! : [line]
    )
    rest = lines.pop()!
    input.pause()
    offer({ lines, resume })
  })
  input.on("end", () => rest === "" ? undefined : offer({ lines: [rest], resume }))
}

const cuts = new RegExp(`.{1,${maxLineLength}}`, "gs")

/** Starts a command in a process group of its own. The rest of the group ends with the scope. */
const start = (
  command: string,
  env: { readonly [name: string]: string },
  input: string
): Effect.Effect<Shell, never, Scope.Scope> =>
  Effect.gen(function*() {
    const lines = yield* Mailbox.make<Lines>()
    let lastError: string | undefined
    const end = yield* Deferred.make<Effect.Effect.Success<Shell["end"]>, HookFailed>()
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = withStreams(
          spawn("sh", ["-c", command], { detached: true, env: { ...process.env, ...env }, stdio: "pipe" })
        )
        readLines(child.stdout, (some) => lines.unsafeOffer(some))
        readLines(child.stderr, (some) => {
          lastError = some.lines.filter((line) => line.trim() !== "").at(-1) ?? lastError
          lines.unsafeOffer(some)
        })
        // A command need not read its input.
        child.stdin.on("error", () => {})
        child.stdin.end(input)
        child.on("error", ({ message }) => Deferred.unsafeDone(end, Effect.fail(new HookFailed({ message }))))
        child.on("exit", (code, signal) => Deferred.unsafeDone(end, Effect.succeed({ code, signal })))
        child.on("close", () => lines.unsafeDone(Exit.void))
        return child
      }),
      ({ pid, stderr, stdout }) =>
        Effect.gen(function*() {
          if (pid !== undefined && mayRun(pid)) {
            signalGroup(pid, "SIGTERM")
            yield* Effect.sync(() => mayRun(pid)).pipe(
              Effect.repeat({ while: (runs) => runs, schedule: Schedule.spaced("10 millis") }),
              Effect.interruptible,
              Effect.timeoutOption(grace)
            )
            signalGroup(pid, "SIGKILL")
          }
          stdout.destroy()
          stderr.destroy()
        })
    )
    return { lines, lastError: () => lastError, end: Deferred.await(end) }
  })

/** A hook that runs a command. It receives the transition in its environment, and as JSON on its standard input. */
const shell = (hook: string, command: string): Hooks.Hook<BinaryStar> => (transition) =>
  Effect.gen(function*() {
    const { role } = yield* BinaryStar
    const { cause, from, message, term, to } = transition
    const at = DateTime.formatIso(yield* DateTime.now)
    const { end, lastError, lines } = yield* start(
      command,
      { ...environmentOf(role, transition), BSTAR_NODE_HOOK: hook },
      `${
        JSON.stringify({
          hook,
          role,
          from,
          to,
          cause,
          reason: message,
          term: term === undefined ? null : Term.toToken(term),
          at
        })
      }\n`
    )
    const writing = yield* Effect.fork(
      Stream.runForEach(Mailbox.toStream(lines), ({ lines, resume }) =>
        Effect.zipRight(
          Effect.forEach(lines, (line) => Effect.logInfo(`${hook}: ${line}`), { discard: true }),
          Effect.sync(resume)
        ))
    )
    const { code, signal } = yield* end
    yield* Effect.timeoutOption(Fiber.join(writing), lastLines)
    if (code !== 0) {
      const error = lastError()
      return yield* new HookFailed({
        message: `${command}: ${code === null ? `ended by ${signal}` : `exit code ${code}`}${
          error === undefined ? "" : `: ${error}`
        }`
      })
    }
  }).pipe(Effect.scoped)

/** The hooks that were given. */
export const layer = (
  values: Pick<Values<"server">, "hookTimeout" | "onActive" | "onPassive" | "onStop">
): Layer.Layer<never, InvalidConfig, BinaryStar> => {
  const hook = (name: string, command: string | undefined) => command === undefined ? undefined : shell(name, command)
  return Hooks.layer({
    onActive: hook("on-active", values.onActive),
    onPassive: hook("on-passive", values.onPassive),
    onStop: hook("on-stop", values.onStop),
    timeout: values.hookTimeout
  })
}

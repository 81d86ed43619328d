/** Runs `bstar`: arguments, platform, output, exit codes. */
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import process from "node:process"
import * as BinaryStar from "../member/BinaryStar.ts"
import { MemberError } from "../member/MemberError.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as bstar from "./bstar.ts"
import { linesOf } from "./logging.ts"
import * as Output from "./output.ts"
import { runMain } from "./runMain.ts"
import { printable } from "./text.ts"

/** Errors that have the exit code, and whose message is written already. */
const isEnding = (error: unknown): error is { readonly code: number } =>
  (Predicate.isTagged(error, "CommandEnded") || Predicate.isTagged(error, "EndedWith")) &&
  Predicate.hasProperty(error, "code")

/**
 * 0 done or stopped by a signal, 1 anything else, 3 dual actives, 4 dual passives, 5 a broken promise was found, 64 a command line
 * that cannot be parsed, 78 an invalid value; the code of the command that has ended `bstar run`; of `bstar status`: 0 healthy,
 * 1 degraded, 2 none is active, 3 both are; of `bstar witness status`: 0 it answers, 1 it does not.
 */
const exitCodeOf = (error: unknown): number => {
  if (error instanceof MemberError) {
    return error.reason === "DualActive" ? 3 : 4
  }
  if (isEnding(error)) {
    return error.code
  }
  if (Predicate.isTagged(error, "ViolationsFound")) {
    return 5
  }
  if (
    Predicate.isTagged(error, "UsageError") || Predicate.isTagged(error, "TooLarge") ||
    ValidationError.isValidationError(error)
  ) {
    return 64
  }
  return error instanceof InvalidConfig || ConfigError.isConfigError(error) ? 78 : 1
}

const exitCode = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)
    ? 0
    : exitCodeOf(Option.getOrUndefined(Cause.failureOption(exit.cause)))

/** A password does not belong into a URL, but may be in one. */
const withoutPasswords = (text: string): string => text.replaceAll(/(:\/\/[^\s/@:]*):.*?@/g, "$1:...@")

const complain = (message: string) => Console.error(`E: ${printable(message)}`)

/** Writes an error. Fatal verdicts, and errors of the library of the command line, are written already. */
const reportError = (error: Effect.Effect.Error<ReturnType<typeof bstar.run>>): Effect.Effect<void> => {
  if (error._tag === "UsageError") {
    return Effect.zipRight(complain(withoutPasswords(error.message)), Console.error(error.usage))
  }
  if (error._tag === "MemberError" || isEnding(error) || ValidationError.isValidationError(error)) {
    return Effect.void
  }
  return error._tag === "InvalidConfig"
    ? Effect.forEach(error.issues, ({ field, message }) => complain(field === "" ? message : `${field}: ${message}`), {
      discard: true
    })
    : complain("message" in error ? error.message : String(error))
}

const report = (cause: Cause.Cause<Effect.Effect.Error<ReturnType<typeof bstar.run>>>): Effect.Effect<void> =>
  Cause.isInterruptedOnly(cause)
    ? Effect.void
    : Option.match(Cause.failureOption(cause), {
      onNone: () => Console.error(`E: ${linesOf(cause)}`),
      onSome: reportError
    })

/** A closed pipe is no error. Any other failed write is one, even if the command has succeeded. */
const endWith =
  (close: Output.Streams["close"]) => (exit: Exit.Exit<unknown, unknown>, onExit: (code: number) => void) =>
    close(Exit.isInterrupted(exit), (failure) => {
      const code = exitCode(exit)
      if (failure === undefined || failure.error.code === "EPIPE") {
        return onExit(code)
      }
      globalThis.console.error(`E: cannot write to ${failure.stream}: ${failure.error.message}`)
      close(true, () => onExit(code === 0 ? 1 : code))
    })

/** Runs the command line of this process. */
export const main = (): void => {
  const { close, output } = Output.install()
  bstar.run(process.argv).pipe(
    Effect.tapErrorCause(report),
    Effect.provideService(Output.Output, output),
    Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer, BinaryStar.layerScheduler)),
    runMain({
      teardown: endWith(close),
      disableErrorReporting: true,
      disablePrettyLogger: true
    })
  )
}

#!/usr/bin/env node
/**
 * The program: arguments, platform, exit codes. Nothing else.
 */
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
import * as bstar from "./cli/bstar.ts"
import { isMember, scan } from "./cli/commandLine.ts"
import { linesOf } from "./cli/logging.ts"
import * as Output from "./cli/output.ts"
import { runMain } from "./cli/runMain.ts"
import { printable } from "./cli/text.ts"
import * as BinaryStar from "./member/BinaryStar.ts"
import { MemberError } from "./member/MemberError.ts"
import type { ConfigIssue } from "./settings/InvalidConfig.ts"
import { InvalidConfig } from "./settings/InvalidConfig.ts"

/** Those that say with which exit code to end, and nothing else. */
const isEnding = (error: unknown): error is { readonly code: number } =>
  (Predicate.isTagged(error, "CommandEnded") || Predicate.isTagged(error, "EndedWith")) &&
  Predicate.hasProperty(error, "code")

/**
 * 0 done or stopped by a signal, 1 anything else, 3 dual actives, 4 dual passives, 5 a broken promise was found, 64 wrong
 * usage, 78 wrong configuration; that of the command whose end has ended `bstar run`; what `bstar status` says of a pair: 0
 * healthy, 1 degraded, 2 nobody is active, 3 both are.
 */
const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) {
    return 0
  }
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  return error instanceof MemberError
    ? error.reason === "DualActive" ? 3 : 4
    : isEnding(error)
    ? error.code
    : Predicate.isTagged(error, "ViolationsFound")
    ? 5
    : ValidationError.isValidationError(error) || Predicate.isTagged(error, "TooLarge")
    ? 64
    : error instanceof InvalidConfig || ConfigError.isConfigError(error)
    ? 78
    : 1
}

const sentence = ({ field, message }: ConfigIssue): string => field === "" ? message : `${field}: ${message}`

const complain = (message: string) => Console.error(`E: ${printable(message)}`)

/** What the command line parser and a fatal verdict had to say is on the screen already. */
const report = (cause: Cause.Cause<Effect.Effect.Error<ReturnType<typeof bstar.run>>>): Effect.Effect<void> =>
  Cause.isInterruptedOnly(cause)
    ? Effect.void
    : Option.match(Cause.failureOption(cause), {
      onNone: () => Console.error(`E: ${linesOf(cause)}`),
      onSome: (error) =>
        ValidationError.isValidationError(error)
          ? Console.error(`bstar ${printable(process.argv.slice(2).join(" "))}\n${bstar.usage}`)
          : error._tag === "MemberError" || isEnding(error)
          ? Effect.void
          : error._tag === "InvalidConfig"
          ? Effect.forEach(error.issues, (issue) => complain(sentence(issue)), { discard: true })
          : complain("message" in error ? error.message : String(error))
    })

const isServer = isMember(scan(process.argv.slice(2)))
const { close, output } = Output.install(isServer ? "server" : "command")

/** How long, in milliseconds, the last lines of what is to end now may take. */
const lastLinesMillis = 500

/** A closed pipe is no error. Any other failed write is one, even if the command has succeeded. */
const end = (exit: Exit.Exit<unknown, unknown>, onExit: (code: number) => void) =>
  close(isServer || Exit.isInterrupted(exit) ? lastLinesMillis : undefined, (failure) => {
    const code = exitCode(exit)
    if (failure === undefined || failure.error.code === "EPIPE") {
      return onExit(code)
    }
    globalThis.console.error(`E: cannot write to ${failure.stream}: ${failure.error.message}`)
    close(lastLinesMillis, () => onExit(code === 0 ? 1 : code))
  })

Effect.suspend(() => bstar.run(process.argv)).pipe(
  Effect.tapErrorCause(report),
  Effect.provideService(Output.Output, output),
  Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer, BinaryStar.layerScheduler)),
  runMain({
    teardown: end,
    disableErrorReporting: true,
    disablePrettyLogger: true
  })
)

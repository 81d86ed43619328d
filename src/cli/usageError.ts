/** The error of a command line that cannot be parsed. */
import * as Data from "effect/Data"

export class UsageError extends Data.TaggedError("UsageError")<{
  readonly message: string
  /** The usage of the command, which is known where the error is reported. */
  readonly usage?: string
}> {}

/** The role is neither an option nor in the environment or a file, or it is not clear. */
export const noRole = new UsageError({
  message: "give either -p, for the primary server of the pair, or -b, for its backup"
})

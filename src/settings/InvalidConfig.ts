/** A configuration that is not valid. */
import * as Data from "effect/Data"

/**
 * One value of a configuration that was refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConfigIssue {
  readonly field: string
  readonly message: string
}

/**
 * A configuration was refused. `issues` holds every wrong field, not only the first.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidConfig extends Data.TaggedError("InvalidConfig")<{
  readonly issues: ReadonlyArray<ConfigIssue>
}> {
  override get message(): string {
    return this.issues.map(({ field, message }) => field === "" ? message : `${field}: ${message}`).join("; ")
  }
}

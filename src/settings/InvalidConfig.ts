/** A configuration that is not valid. */
import * as Data from "effect/Data"

/**
 * One invalid value of a configuration. `field` is empty if no single field is wrong.
 *
 * @category models
 */
export interface ConfigIssue {
  readonly field: string
  readonly message: string
}

/**
 * A configuration is not valid. `issues` has every invalid field, not only the first.
 *
 * @category errors
 */
export class InvalidConfig extends Data.TaggedError("InvalidConfig")<{
  readonly issues: ReadonlyArray<ConfigIssue>
}> {
  override get message(): string {
    return this.issues.map(({ field, message }) => field === "" ? message : `${field}: ${message}`).join("; ")
  }
}

/** Texts of errors of drivers. */
import * as Predicate from "effect/Predicate"

/** The innermost cause of an error: what the driver itself reports. */
export const innermost = (error: unknown): unknown =>
  Predicate.hasProperty(error, "cause") && error.cause !== undefined ? innermost(error.cause) : error

/** The innermost cause of an error that has a text, in one line. */
export const problemOf = (error: unknown): string => {
  const inner = Predicate.hasProperty(error, "cause") && error.cause !== undefined ? problemOf(error.cause) : ""
  if (inner !== "") {
    return inner
  }
  const { code, message } = Predicate.isRecord(error) ? error : { code: "", message: String(error) }
  return String(message || code || error).replaceAll(/\s+/g, " ")
}

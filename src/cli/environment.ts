/** Environment variables that look like settings of `bstar`, but are none. */
import * as Settings from "../settings/Settings.ts"
import { nearest } from "../settings/Suggestion.ts"

const prefix = "BSTAR_"

const known = Settings.all.filter(({ from }) => from.includes("environment")).map(({ variable }) => variable)

/** Set by others: by `bstar` for its hooks and commands, and by Kubernetes or Docker for a service or a container `bstar`. */
const foreign = /^BSTAR_NODE_|_SERVICE_(HOST|PORT)|_PORT(_\d+_(TCP|UDP|SCTP).*)?$/

const suggestion = (name: string): string => {
  const meant = nearest(name.slice(prefix.length), known.map((variable) => variable.slice(prefix.length)))
  return meant === undefined ? "" : ` (did you mean ${prefix}${meant}?)`
}

/** One line about all of them, or nothing. */
export const unknownVariables = (names: ReadonlyArray<string>): string | undefined => {
  const unknown = names.filter((name) => name.startsWith(prefix) && !known.includes(name) && !foreign.test(name))
  return unknown.length === 0
    ? undefined
    : `no setting has ${unknown.length === 1 ? "this variable, which is" : "these variables, which are"} ignored: ${
      unknown.map((name) => `${name}${suggestion(name)}`).join(", ")
    }`
}

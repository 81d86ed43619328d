/**
 * Whether a pair is well, in one word and one sentence.
 *
 * @since 0.1.0
 */
import type { Finding, Known, Observation } from "./Doctor.ts"
import { knownOf, whyNot } from "./Doctor.ts"

/**
 * - `healthy`: one server is active, the other one stands by.
 * - `degraded`: one server is active, but nobody, or somebody with faults, would take over.
 * - `no active`: nobody that could be asked answers clients.
 * - `two actives`: both answer clients.
 *
 * @since 0.1.0
 * @category models
 */
export type Level = "healthy" | "degraded" | "no active" | "two actives"

/**
 * How a pair is, and the sentence that says so.
 *
 * @since 0.1.0
 * @category models
 */
export interface Health {
  readonly level: Level
  readonly message: string
}

/**
 * Judges a pair by what its servers say, and by what `doctor` has found: an error among its findings makes a pair degraded.
 * A server without a status counts by the heartbeats that its peer receives: as active, but not as one that stands by,
 * because they do not tell whether it receives any.
 *
 * @since 0.1.0
 * @category combinators
 */
export const judge = (observations: ReadonlyArray<Observation>, findings: ReadonlyArray<Finding>): Health => {
  const known = knownOf(observations)
  const [active, another] = known.filter(({ answers }) => answers)
  if (another !== undefined) {
    return { level: "two actives", message: `${active!.name} and ${another.name} are both active` }
  }
  const unreached = observations.filter(({ _tag }) => _tag === "Unseen").map(({ address }) =>
    `${address} cannot be reached`
  )
  if (active === undefined) {
    const refusing = known.flatMap(({ name, status }) => status === undefined ? [] : [whyNot({ name, status })])
    return { level: "no active", message: [...refusing, ...unreached].join("; ") }
  }
  const standby = known.find((one) => one !== active && one.status !== undefined)
  const but = [
    ...unreached,
    ...(standby !== undefined
      ? notReady(standby)
      : unreached.length === 0
      ? ["the status of its peer is not known"]
      : []),
    ...known.flatMap(({ name, status }) => status?.takeoverBlock ? [`${name} is ${status.takeoverBlock.kind}`] : []),
    ...errors(findings)
  ]
  return but.length === 0
    ? { level: "healthy", message: `${active.name} is active, ${standby!.name} stands by` }
    : { level: "degraded", message: `${active.name} is active, but ${but.join("; ")}` }
}

const notReady = ({ name, state, status }: Known): ReadonlyArray<string> =>
  state !== "PASSIVE" ? [`${name} is ${state}`] : status?.peer.isExpired ? [`${name} does not hear it`] : []

/** Those of which the sentence does not tell anyway. */
const errors = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> => {
  const count = findings.filter(({ check, severity }) => severity === "error" && !told.includes(check)).length
  return count === 0 ? [] : [`bstar doctor finds ${count} ${count === 1 ? "error" : "errors"}`]
}

const told: ReadonlyArray<Finding["check"]> = ["active", "takeover-block", "lone-backup", "reachable"]

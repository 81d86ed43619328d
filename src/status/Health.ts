/**
 * The health of a pair: one level and one sentence. `bstar status` and the dashboard page both show this judgement.
 */
import type { Finding } from "./Doctor.ts"
import { type Known, knownOf, type Observation, whyInactive } from "./Observation.ts"

/**
 * - `healthy`: one server is active, and the other one would take over.
 * - `degraded`: one server is active, but no other one without faults would take over.
 * - `no active`: no server that could be reached answers clients.
 * - `two actives`: both servers answer clients.
 *
 * @category models
 */
export type Level = "healthy" | "degraded" | "no active" | "two actives"

/**
 * The level and the sentence that explains it.
 *
 * @category models
 */
export interface Health {
  readonly level: Level
  readonly message: string
}

/**
 * Judges a pair by the statuses of its servers and the findings of `Doctor.examine`: an error makes a pair degraded.
 *
 * A server without a status is judged by the heartbeats that its peer receives: it is active, or stands by if it reports `PASSIVE`
 * and is not known to receive none. A status that a later fact contradicts counts as no status.
 *
 * @category combinators
 */
export const judge = (observations: ReadonlyArray<Observation>, findings: ReadonlyArray<Finding>): Health => {
  const known = knownOf(observations)
  const [active, another] = known.filter(({ answers }) => answers)
  if (another !== undefined) {
    return { level: "two actives", message: `${active!.name} and ${another.name} are both active` }
  }
  const unreached = observations.filter(({ _tag }) => _tag === "Unreached").map(({ address }) =>
    `${address} cannot be reached`
  )
  if (active === undefined) {
    const inactive = known.flatMap(({ name, status }) => status === undefined ? [] : [whyInactive({ name, status })])
    return { level: "no active", message: [...inactive, ...unreached].join("; ") }
  }
  const standby = known.find((one) => one !== active && (one.status !== undefined || standsBy(one, active)))
  const faults = [
    ...unreached,
    ...faultsOfStandby(standby, unreached.length > 0),
    ...known.flatMap(({ name, status }) => status?.takeoverBlock ? [`${name} is ${status.takeoverBlock.kind}`] : []),
    ...otherErrors(findings)
  ]
  return faults.length === 0
    ? { level: "healthy", message: `${active.name} is active, ${standby!.name} stands by` }
    : { level: "degraded", message: `${active.name} is active, but ${faults.join("; ")}` }
}

/** Whether a server without a status stands by, as far as the other one knows. */
const standsBy = (one: Known, { status }: Known): boolean =>
  one.state === "PASSIVE" && status !== undefined && status.peer.unreceivedMillis == null

const faultsOfStandby = (standby: Known | undefined, isUnreached: boolean): ReadonlyArray<string> => {
  if (standby === undefined) {
    return isUnreached ? [] : ["the status of its peer is not known"]
  }
  if (standby.state !== "PASSIVE") {
    return [`${standby.name} is ${standby.state}`]
  }
  return standby.status?.peer.isExpired === true ? [`${standby.name} receives no heartbeats`] : []
}

/** The checks whose findings are part of the sentence already. */
const explained: ReadonlyArray<Finding["check"]> = ["active", "takeover-block", "lone-backup", "reachable"]

const otherErrors = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> => {
  const count = findings.filter(({ check, severity }) => severity === "error" && !explained.includes(check)).length
  return count === 0 ? [] : [`bstar doctor finds ${count} ${count === 1 ? "error" : "errors"}`]
}

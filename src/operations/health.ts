/**
 * Whether a pair is well, in one word and one sentence.
 *
 * @since 0.1.0
 */
import type { Finding, Observation, Seen } from "./doctor.ts"
import { namesOf, seenOf, whyNot } from "./doctor.ts"

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
  readonly say: string
}

/**
 * Judges a pair by what its servers say, and by what `doctor` has found: an error among its findings makes a pair degraded.
 *
 * @since 0.1.0
 * @category combinators
 */
export const judge = (observations: ReadonlyArray<Observation>, findings: ReadonlyArray<Finding>): Health => {
  const names = namesOf(observations)
  const nameOf = (observation: Observation): string => names[observations.indexOf(observation)]!
  const seen = seenOf(observations)
  const [active, another] = seen.filter(({ status }) => status.answers)
  if (another !== undefined) {
    return { level: "two actives", say: `${nameOf(active!)} and ${nameOf(another)} are both active` }
  }
  const unseen = observations.filter(({ _tag }) => _tag === "Unseen")
  if (active === undefined) {
    return {
      level: "no active",
      say: [
        ...seen.map((one) => whyNot({ name: nameOf(one), status: one.status })),
        ...unseen.map(({ address }) => `${address} cannot be reached`)
      ].join("; ")
    }
  }
  const standby = seen.find((one) => one !== active)
  const but = [
    ...(standby === undefined
      ? [unseen.length === 0 ? "its peer is not known here" : `${unseen[0]!.address} cannot be reached`]
      : notReady(nameOf(standby), standby)),
    ...seen.flatMap((one) => one.status.hold === null ? [] : [`${nameOf(one)} is ${one.status.hold.kind}`]),
    ...errors(findings)
  ]
  return but.length === 0
    ? { level: "healthy", say: `${nameOf(active)} is active, ${nameOf(standby!)} stands by` }
    : { level: "degraded", say: `${nameOf(active)} is active, but ${but.join("; ")}` }
}

const notReady = (name: string, { status: { peer, state } }: Seen): ReadonlyArray<string> =>
  state !== "PASSIVE" ? [`${name} is ${state}`] : peer.isExpired ? [`${name} does not hear it`] : []

/** Those of which the sentence does not tell anyway. */
const errors = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> => {
  const count = findings.filter(({ check, severity }) => severity === "error" && !told.includes(check)).length
  return count === 0 ? [] : [`bstar doctor finds ${count} ${count === 1 ? "error" : "errors"}`]
}

const told: ReadonlyArray<Finding["check"]> = ["active", "hold", "lone-backup", "reachable"]

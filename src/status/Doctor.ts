/**
 * What is wrong with a pair, by the statuses of its servers: findings, each with a remedy. Pure: the caller requests the
 * statuses. The rules are tables in `doctor/`.
 */
import { connectionRules } from "./doctor/connection.ts"
import { activeRules, addressRules, unreached } from "./doctor/pair.ts"
import { apply, type Finding, type Named, type Severity } from "./doctor/rule.ts"
import { serverRules } from "./doctor/server.ts"
import { pairRules } from "./doctor/settings.ts"
import { witnessPairRules, witnessRules } from "./doctor/witness.ts"
import { current, knownOf, namesOf, type Observation } from "./Observation.ts"

export type { Finding, Severity } from "./doctor/rule.ts"

/**
 * All severities, the worst first.
 *
 * @category constants
 */
export const severities: ReadonlyArray<Severity> = ["error", "warning", "info"]

/**
 * Applies every rule to a pair; the worst findings come first. A status that a later fact contradicts is not examined.
 *
 * @category combinators
 */
export const examine = (observations: ReadonlyArray<Observation>): ReadonlyArray<Finding> => {
  const names = namesOf(observations)
  const reached = current(observations).map((one): Named => ({ ...one, name: names[observations.indexOf(one)]! }))
  const [a, b] = reached
  return [
    ...unreached(observations),
    ...apply(addressRules, observations),
    ...reached.flatMap((self) => apply([...serverRules, ...witnessRules], self, self === a ? b : a)),
    ...(a === undefined || b === undefined
      ? []
      : [
        ...apply([...pairRules, ...witnessPairRules], a, b),
        ...apply(connectionRules, a, b),
        ...apply(connectionRules, b, a)
      ]),
    ...(a === undefined ? [] : apply(activeRules, reached, knownOf(observations).filter(({ answers }) => answers)))
  ].sort((one, other) => severities.indexOf(one.severity) - severities.indexOf(other.severity))
}

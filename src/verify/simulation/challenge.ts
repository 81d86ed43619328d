/** Whether servers answer in turns, which shows that both were active at one time. */

/** What a server has done since it last became active. */
export interface Challenge {
  hasAnswered: boolean
  /** Whether the other one has answered since then. */
  isChallenged: boolean
}

export const make = (): Challenge => ({ hasAnswered: false, isChallenged: false })

/** A server is in another state. */
export const reset = (one: Challenge): void => {
  one.hasAnswered = false
  one.isChallenged = false
}

/** A server answers. Returns whether it did so before, and the other one has answered since. */
export const answer = (one: Challenge, two: Challenge, isActive: boolean): boolean => {
  const { isChallenged } = one
  one.isChallenged = false
  one.hasAnswered = isActive
  two.isChallenged = two.hasAnswered
  return isChallenged
}

/** Whether servers answer alternately, which shows that both were active at one time. */

/** The answers of a server since it last became active. */
export interface Challenge {
  hasAnswered: boolean
  /** Whether the other server has answered since then. */
  isChallenged: boolean
}

export const make = (): Challenge => ({ hasAnswered: false, isChallenged: false })

/** A server is in another state. */
export const reset = (one: Challenge): void => {
  one.hasAnswered = false
  one.isChallenged = false
}

/** Records an answer. Returns whether the server had answered before, and the other one since. */
export const answer = (one: Challenge, two: Challenge, isActive: boolean): boolean => {
  const { isChallenged } = one
  one.isChallenged = false
  one.hasAnswered = isActive
  two.isChallenged = two.hasAnswered
  return isChallenged
}

/**
 * Terms: the numbers of the periods in which one member of a pair is active. A term is also the fencing token that a store can
 * check: it grows with every activation of the pair.
 */

/**
 * Number of a term. Ordered by `number`, then by `step`.
 *
 * - `number` grows with each takeover that a witness has recorded; `0` without a witness.
 * - `step` grows with each activation that no witness has recorded.
 *
 * @category models
 */
export interface Term {
  readonly number: number
  readonly step: number
}

/**
 * Steps of one number; a power of two, so that a token can be split into number and step by eye in hexadecimal.
 *
 * @category constants
 */
export const stepsPerNumber = 65_536

/**
 * Largest number of a term: every token up to it is a safe integer.
 *
 * @category constants
 */
export const maxNumber: number = 2 ** 37 - 1

/**
 * Order of two terms: negative, zero or positive.
 *
 * @category combinators
 */
export const compare = (a: Term, b: Term): number => a.number - b.number || a.step - b.step

/**
 * The larger of two terms, either of which may be unknown.
 *
 * @category combinators
 */
export const latest = (a: Term | undefined, b: Term | undefined): Term | undefined =>
  a === undefined || (b !== undefined && compare(a, b) < 0) ? b : a

/**
 * The term after `last`, begun without a witness. The first one is 0.1.
 *
 * @category combinators
 */
export const next = (last: Term | undefined): Term => {
  const { number, step } = last ?? { number: 0, step: 0 }
  return step + 1 < stepsPerNumber ? { number, step: step + 1 } : { number: number + 1, step: 0 }
}

/**
 * The term as one integer, the fencing token. Below 2^53 for the first hundred billion takeovers.
 *
 * @category combinators
 */
export const toToken = ({ number, step }: Term): number => number * stepsPerNumber + step

/**
 * The term of a token.
 *
 * @category combinators
 */
export const ofToken = (token: number): Term => ({
  number: Math.floor(token / stepsPerNumber),
  step: token % stepsPerNumber
})

/**
 * Whether a token counts from a number that a witness has recorded. Only such tokens are never given twice: without a witness they
 * begin again when both members are restarted, so that a smaller one need not be stale.
 *
 * @category guards
 */
export const isDurable = (token: number): boolean => token >= stepsPerNumber

/**
 * Whether a token is smaller than the largest one that is known, and so of a server that is no longer active.
 *
 * @category guards
 */
export const isStale = (token: number, latest: number | undefined): boolean =>
  latest !== undefined && token < latest && isDurable(token)

/**
 * The term for people, such as `3.1`.
 *
 * @category combinators
 */
export const format = ({ number, step }: Term): string => `${number}.${step}`

/** With which key of a server a connection is tried again, and when: pure functions. */

/**
 * How a handshake fails.
 *
 * - `rejected`: the server does not accept our key.
 * - `wrong`: the server does not have the secret of the key that we know it by, or has disconnected for another reason.
 * - `absent`: the server has no keys.
 */
export type Failure = "rejected" | "wrong" | "absent"

/** Failures after which a key that was right is still the one to try: the server may be starting or stopping. */
const toleratedFailures = 3

/** Pauses in milliseconds: before the next key, and before the same one again, at first and at most. */
const nextKeyMillis = 10
export const againMillis = { first: 50, max: 1000 }

/** The keys that a server may have, beginning with the last one that was right, or with the one at its own position. */
export const inOrder = (
  keys: readonly [string, ...Array<string>],
  lastRight: string | undefined,
  position: number
): readonly [string, ...Array<string>] => {
  const before = keys.indexOf(lastRight ?? "")
  const start = before === -1 ? position % keys.length : before
  return [keys[start]!, ...keys.slice(start + 1), ...keys.slice(0, start)]
}

/** Whether all keys have failed, so that the failure is worth a warning and a longer pause. Counts from one failure on. */
export const isRoundOver = (failures: number, failure: Failure, keyCount: number): boolean =>
  failure !== "wrong" || failures >= Math.max(keyCount, toleratedFailures)

/** The key to connect with after a failure. `undefined` if libzmq may go on with the current one. */
export const nextKey = (
  candidates: readonly [string, ...Array<string>],
  current: { readonly key: string; readonly failures: number; readonly wasRight: boolean },
  failure: Failure
): string | undefined => {
  const at = candidates.indexOf(current.key)
  // libzmq has given up the connection.
  if (failure !== "wrong") {
    return at === -1 ? candidates[0] : current.key
  }
  const isTolerated = at !== -1 && current.wasRight && current.failures <= toleratedFailures
  const next = candidates[(at + 1) % candidates.length]!
  return isTolerated || next === current.key ? undefined : next
}

/** Time until the next attempt, which doubles with each failure once a round is over. */
export const pauseMillis = (failures: number, isRoundOver: boolean): number =>
  isRoundOver ? Math.min(againMillis.max, againMillis.first * 2 ** Math.min(10, failures - 1)) : nextKeyMillis

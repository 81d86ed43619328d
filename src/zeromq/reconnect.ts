/** When and where a connection is made again: plain data and pure functions. */
import type { ConnectionEvent } from "./models.ts"

/** Times in milliseconds. */
const times = {
  /** Between two connections that libzmq has given up. */
  ended: 1000,
  /** Between two rounds over the addresses of a host. */
  round: 200,
  /** How long an address may take to accept a connection until the next one is tried: at first, and at most. */
  opening: 1000,
  openingMax: 16_000
}

/** The last step of a connection, and how many attempts have failed since it was connected. */
export interface Attempts {
  readonly last: ConnectionEvent | undefined
  readonly failures: number
}

export const none: Attempts = { last: undefined, failures: 0 }

/** What is known of an endpoint. */
export interface Target {
  /** Whether its host is a name. */
  readonly isName: boolean
  readonly addressCount: number
  /** Whether `SocketSecurity` retries failed handshakes. */
  readonly isSecured: boolean
}

export interface Reaction {
  readonly attempts: Attempts
  /** Whether the host is looked up again and again from now on, or no longer. */
  readonly lookUp: "Start" | "Stop" | undefined
  /** After how many milliseconds the next address is connected. Addresses repeat in turns; a single one is connected again. */
  readonly nextAfterMillis: number | undefined
}

/** How long to wait for the next step until the address counts as failed. `undefined`: as long as it takes. */
export const openingMillis = ({ failures, last }: Attempts, { addressCount }: Target): number | undefined => {
  const isOpening = last !== "opened" && last !== "connected"
  const rounds = Math.floor(failures / Math.max(1, addressCount))
  return addressCount > 1 && isOpening ? Math.min(times.openingMax, times.opening * 2 ** rounds) : undefined
}

const onFailed = ({ failures, last }: Attempts, { addressCount, isName, isSecured }: Target): Reaction => {
  const lookUp = isName ? "Start" : undefined
  // libzmq retries a single address, and the security a handshake.
  if (addressCount < 2 || isSecured && last === "opened") {
    return { attempts: { last: "failed", failures }, lookUp, nextAfterMillis: undefined }
  }
  const isRoundOver = (failures + 1) % addressCount === 0
  return {
    attempts: { last: undefined, failures: failures + 1 },
    lookUp,
    nextAfterMillis: isRoundOver ? times.round : 0
  }
}

/** The reaction to a step of a connection. */
export const onStep = (attempts: Attempts, step: ConnectionEvent, target: Target): Reaction => {
  const unchanged: Reaction = {
    attempts: { last: step, failures: attempts.failures },
    lookUp: undefined,
    nextAfterMillis: undefined
  }
  switch (step) {
    case "opened":
      return unchanged
    case "connected":
      return { attempts: { last: step, failures: 0 }, lookUp: "Stop", nextAfterMillis: undefined }
    case "lost":
      return { ...unchanged, lookUp: target.isName ? "Start" : undefined }
    case "failed":
      return onFailed(attempts, target)
    case "ended":
      return target.isSecured && attempts.last === "failed" ? unchanged : { ...unchanged, nextAfterMillis: times.ended }
  }
}

import type { Reached } from "../Observation.ts"

/**
 * - `error`: the pair does not serve, or would not survive the loss of a server.
 * - `warning`: to be looked at.
 * - `info`: worth knowing.
 *
 * @category models
 */
export type Severity = "error" | "warning" | "info"

/**
 * A fault of a pair and its remedy. `check` names the rule, for programs.
 *
 * @category models
 */
export interface Finding {
  readonly severity: Severity
  readonly check:
    | "active"
    | "classic"
    | "clock"
    | "conflicts"
    | "crossed"
    | "endpoints"
    | "evidence"
    | "keys"
    | "link"
    | "lone-backup"
    | "malformed"
    | "peer-http"
    | "reachable"
    | "roles"
    | "settings"
    | "suspension"
    | "takeover-block"
    | "term"
    | "token"
    | "versions"
    | "witness"
  readonly what: string
  readonly remedy: string
}

/** `what` is the text of a finding, or `undefined` if the rule holds. */
export interface Rule<Subjects extends ReadonlyArray<unknown>> {
  readonly severity: Severity
  readonly check: Finding["check"]
  readonly what: (...subjects: Subjects) => string | undefined
  readonly remedy: (...subjects: Subjects) => string
}

/** A server and its name in texts. */
export type Named = Reached & { readonly name: string }

export const apply = <Subjects extends ReadonlyArray<unknown>>(
  rules: ReadonlyArray<Rule<Subjects>>,
  ...subjects: Subjects
): ReadonlyArray<Finding> =>
  rules.flatMap(({ check, remedy, severity, what }) => {
    const text = what(...subjects)
    return text === undefined ? [] : [{ severity, check, what: text, remedy: remedy(...subjects) }]
  })

export const times = (count: number): string => count === 1 ? "once" : `${count} times`

export const promoteAt = (address: string): string => `bstar promote --http ${address} --reason ...`

/** Whether a host of an endpoint, or an address, is that of this machine itself. */
export const isLoopback = (host: string): boolean =>
  ["localhost", "::1", "[::1]"].includes(host) || host.startsWith("127.")

/** Whether a server has run for long enough to have exchanged heartbeats with its peer. */
export const isSettled = ({ status: { config, uptimeMillis } }: Reached): boolean =>
  uptimeMillis > 3 * config.heartbeatMillis

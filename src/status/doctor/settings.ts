/** Rules about both servers, compared once. */
import { epochMillis } from "../Observation.ts"
import { span } from "../Span.ts"
import type { NodeStatus } from "../Status.ts"
import type { Named, Rule, Severity } from "./rule.ts"
import { sameToken } from "./server.ts"

type PairRule = Rule<[a: Named, b: Named]>

/** What has to be the same on both servers, and the option that sets it. */
const setting = (
  severity: Severity,
  name: string,
  option: string,
  of: (status: NodeStatus) => string
): PairRule => ({
  severity,
  check: "settings",
  what: (a, b) =>
    of(a.status) === of(b.status)
      ? undefined
      : `the ${name} is not the same: ${of(a.status)} on ${a.name}, ${of(b.status)} on ${b.name}`,
  remedy: () => `give both servers the same ${option}`
})

const version = (severity: Severity, program: "bstar" | "node"): PairRule => ({
  severity,
  check: "versions",
  what: (a, b) => {
    const [ofA, ofB] = [a.status.versions[program], b.status.versions[program]]
    return ofA === ofB ? undefined : `${program} is ${ofA} on ${a.name}, ${ofB} on ${b.name}`
  },
  remedy: () => "bring both to the same version, the passive one first"
})

const withoutToken = (a: Named, b: Named): ReadonlyArray<Named> => [a, b].filter(({ commands }) => commands === "Off")

/** The accepted difference between the two clocks, in milliseconds. */
const clockMillis = 1000

/** A server's wall clock at the origin of the observer's clock: the status was made halfway through the request. */
const clockOf = ({ durationMillis, requestedAt, status: { now } }: Named): number =>
  epochMillis(now) - requestedAt - durationMillis / 2

export const pairRules: ReadonlyArray<PairRule> = [
  {
    severity: "error",
    check: "roles",
    what: (a, b) =>
      a.status.role === b.status.role
        ? `both servers are ${a.status.role === "primary" ? "primaries" : "backups"}`
        : undefined,
    remedy: () => "start one with -p and the other one with -b"
  },
  setting("error", "policy", "--policy", ({ policy }) => policy),
  setting("error", "heartbeat", "--heartbeat", ({ config }) => span(config.heartbeatMillis)),
  setting(
    "error",
    "security",
    "--keys, or neither of them",
    ({ rejectedConnections }) => rejectedConnections === undefined ? "no keys" : "keys"
  ),
  setting("warning", "vote", "vote (bstar run has self, the others clients)", ({ config }) => config.vote),
  setting("warning", "crash detection", "--crash-detection", ({ config }) => config.crashDetection ? "on" : "off"),
  setting(
    "warning",
    "timeout of requests",
    "--timeout",
    ({ config: { timeoutMillis } }) => timeoutMillis === null ? "no limit" : span(timeoutMillis)
  ),
  setting(
    "warning",
    "limit of failovers",
    "--max-failovers and --failover-window",
    ({ config: { failoverWindowMillis, maxFailovers } }) =>
      maxFailovers === null ? "none" : `${maxFailovers} in ${span(failoverWindowMillis)}`
  ),
  {
    severity: "info",
    check: "classic",
    what: (a, b) =>
      a.status.policy === "classic" && b.status.policy === "classic"
        ? "the policy is classic, the Guide's proof of concept, by which a restart or a pause may make both servers active"
        : undefined,
    remedy: () => "in production start both with --policy hardened"
  },
  {
    severity: "warning",
    check: "clock",
    what: (a, b) => {
      const ahead = clockOf(a) - clockOf(b)
      return Math.abs(ahead) > clockMillis + (a.durationMillis + b.durationMillis) / 2
        ? `the clock of ${a.name} is ${span(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} that of ${b.name}`
        : undefined
    },
    remedy: () => "set both by NTP; the pair does not need it, but logs and histories cannot be compared"
  },
  version("warning", "bstar"),
  version("info", "node"),
  {
    severity: "warning",
    check: "token",
    what: (a, b) => {
      const [without, another] = withoutToken(a, b)
      return without === undefined || another !== undefined
        ? undefined
        : `${without.name} has no token, so it accepts no commands, and its peer cannot speed up a switchover`
    },
    remedy: () => sameToken
  },
  {
    severity: "info",
    check: "token",
    what: (a, b) =>
      withoutToken(a, b).length === 2 ? "the servers have no token, so they accept no commands" : undefined,
    remedy: () => `if they are to accept commands, ${sameToken}`
  }
]

/**
 * What is wrong with a pair, judged by what its servers say of themselves. Pure: whoever asks the servers gives what it
 * has seen, and gets findings, each with a remedy.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as StateMachine from "../protocol/StateMachine.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import type { NodeStatus, PairStatus } from "./Status.ts"

/**
 * What somebody who asked a server got, or why not.
 *
 * @since 0.1.0
 * @category models
 */
export type Observation = Seen | Unseen

/**
 * A server that has answered. `peer` is what it got from its peer, `undefined` where it was not asked for it. `orders` tells
 * whether it takes orders, `Denied` that it takes none with the token that was given, `undefined` that nobody has tried.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly _tag: "Seen"
  readonly address: string
  readonly status: NodeStatus
  readonly peer: PairStatus["peer"] | undefined
  readonly orders: "On" | "Off" | "Denied" | undefined
  /** When it was asked, and how long the answer took: monotonic time of the one who asked, in milliseconds. */
  readonly askedAt: number
  readonly tookMillis: number
}

/**
 * A server that has not answered, and why.
 *
 * @since 0.1.0
 * @category models
 */
export interface Unseen {
  readonly _tag: "Unseen"
  readonly address: string
  readonly error: string
}

/**
 * - `error`: the pair does not do, or would not do, what it is there for.
 * - `warning`: somebody should look at it.
 * - `info`: something to know.
 *
 * @since 0.1.0
 * @category models
 */
export type Severity = "error" | "warning" | "info"

/**
 * @since 0.1.0
 * @category constants
 */
export const severities: ReadonlyArray<Severity> = ["error", "warning", "info"]

/**
 * Something to know about a pair, and what to do about it. `check` names what was looked at, for programs.
 *
 * @since 0.1.0
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
    | "takeover-block"
    | "keys"
    | "link"
    | "lone-backup"
    | "malformed"
    | "peer-http"
    | "reachable"
    | "roles"
    | "settings"
    | "token"
    | "versions"
  readonly what: string
  readonly remedy: string
}

const bySeverity = (a: Finding, b: Finding): number => severities.indexOf(a.severity) - severities.indexOf(b.severity)

/**
 * How to call each of the servers, in their order: by its role, or where that does not tell them apart by its address.
 *
 * @since 0.1.0
 * @category combinators
 */
export const namesOf = (observations: ReadonlyArray<Observation>): ReadonlyArray<string> => {
  const roles = observations.map((observation) => observation._tag === "Seen" ? observation.status.role : undefined)
  return observations.map(({ address }, i) => {
    const role = roles[i]
    return role === undefined
      ? address
      : roles.filter((other) => other === role).length > 1
      ? `the ${role} at ${address}`
      : role
  })
}

/**
 * Those that have answered, each one once: both addresses may lead to the same server.
 *
 * @since 0.1.0
 * @category combinators
 */
export const seenOf = (observations: ReadonlyArray<Observation>): ReadonlyArray<Seen> =>
  observations.filter((observation) => observation._tag === "Seen").filter((seen, i, all) =>
    all.findIndex(({ status }) => isSame(status, seen.status)) === i
  )

const isSame = (a: NodeStatus, b: NodeStatus): boolean => a.host === b.host && a.pid === b.pid && a.http === b.http

/**
 * A server as far as it is known: by its status, or where that was not asked for or cannot be had, by the heartbeats that
 * its peer receives.
 *
 * @since 0.1.0
 * @category models
 */
export interface Known {
  readonly name: string
  readonly state: StateMachine.State
  readonly answers: boolean
  readonly status: NodeStatus | undefined
}

/**
 * All that is known of the servers of a pair, those with a status first.
 *
 * @since 0.1.0
 * @category combinators
 */
export const knownOf = (observations: ReadonlyArray<Observation>): ReadonlyArray<Known> => {
  const names = namesOf(observations)
  const seen = seenOf(observations)
  const known = seen.map((one): Known => ({
    name: names[observations.indexOf(one)]!,
    state: one.status.state,
    answers: one.status.answers,
    status: one.status
  }))
  const [only, another] = seen
  const state = only === undefined || another !== undefined ? undefined : reportedState(only.status)
  return only === undefined || state === undefined ? known : [...known, {
    name: `${StateMachine.peerOf(only.status.role)} (by its heartbeats)`,
    state,
    answers: state === "ACTIVE",
    status: undefined
  }]
}

/** The state that the peer of a server reports, unless its last heartbeat is older than the peer timeout. */
const reportedState = ({ config, peer }: NodeStatus): StateMachine.PeerState | undefined =>
  peer.state !== null && !peer.isExpired && (peer.ageMillis ?? 0) <= 2 * config.heartbeatMillis ? peer.state : undefined

/** A server and what to call it. */
type Named = Seen & { readonly name: string }

/**
 * Everything that can be found by looking at both servers, what is worst first.
 *
 * @since 0.1.0
 * @category combinators
 */
export const examine = (observations: ReadonlyArray<Observation>): ReadonlyArray<Finding> => {
  const names = namesOf(observations)
  const seen = seenOf(observations)
  const named = seen.map((seen): Named => ({ ...seen, name: names[observations.indexOf(seen)]! }))
  const [a, b] = named
  return [
    ...reachable(observations),
    ...(a === undefined ? [] : alone(a, b)),
    ...(a === undefined || b === undefined ? [] : [...alone(b, a), ...together(a, b)]),
    ...(named.length === 0 ? [] : active(named, knownOf(observations)))
  ].sort(bySeverity)
}

const reachable = (observations: ReadonlyArray<Observation>): ReadonlyArray<Finding> => {
  const unseen = observations.filter((observation) => observation._tag === "Unseen").map((
    { address, error }
  ): Finding => ({
    severity: "error",
    check: "reachable",
    what: `${address}: ${error}`,
    remedy: "start that server, or find out why its --http cannot be reached from here"
  }))
  const isTwice = observations.length === 2 && unseen.length === 0 && seenOf(observations).length === 1
  return isTwice
    ? [{
      severity: "error",
      check: "reachable",
      what: `${observations.map(({ address }) => address).join(" and ")} lead to the same server`,
      remedy: "give the --http of each of the two servers"
    }]
    : observations.length > 1
    ? unseen
    : [...unseen, {
      severity: "warning",
      check: "reachable",
      what: "only one server is known here, so nothing can be compared",
      remedy: "give --http twice, or start the servers with --peer-http"
    }]
}

const spell = (millis: number): string => Duration.format(Duration.millis(Math.round(millis)))

/** `NaN` where it is no time; nothing is greater than that. */
const millisOf = (time: string): number =>
  Option.match(DateTime.make(time), { onNone: () => Number.NaN, onSome: DateTime.toEpochMillis })

/** Whether it has been there for long enough to have been heard, and to have heard. */
const isSettled = ({ status: { config, uptimeMillis } }: Seen): boolean => uptimeMillis > 3 * config.heartbeatMillis

const hears = ({ status: { peer } }: Seen): boolean => peer.state !== null && !peer.isExpired

/** Whether a server that was started alone refuses all requests until its primary is there. */
const waitsForPrimary = ({ config, peer, policy }: NodeStatus): boolean =>
  policy === "classic" || (peer.state === null && config.lone === "wait")

/** What a server says of itself. */
const alone = (self: Named, other: Named | undefined): ReadonlyArray<Finding> => {
  const { address, name, status: { counters, takeoverBlock, peerHttp, role, state } } = self
  const findings: Array<Finding> = []
  if (takeoverBlock?.kind === "paused") {
    findings.push({
      severity: "warning",
      check: "takeover-block",
      what: `${name} is paused since ${takeoverBlock.since} (${takeoverBlock.reason}): it does not take over by itself`,
      remedy: "when the maintenance is over: bstar resume"
    })
  }
  if (takeoverBlock?.kind === "limited") {
    findings.push({
      severity: "error",
      check: "takeover-block",
      what: `${name} has taken over too often and does not do so again before ${takeoverBlock.until}`,
      remedy: `find out by bstar history what makes the pair flap; if it has to be active now: ${promote(address)}`
    })
  }
  if (state === "BACKUP" && isSettled(self) && !hears(self) && waitsForPrimary(self.status)) {
    findings.push({
      severity: "error",
      check: "lone-backup",
      what: `${name} has not met its primary since it was started, so it refuses every request`,
      remedy: `start the primary; if that cannot be: ${promote(address)}`
    })
  }
  if (counters.conflicts > 0) {
    findings.push({
      severity: "warning",
      check: "conflicts",
      what: `${name} has heard ${times(counters.conflicts)} that both were active, or both passive`,
      remedy: "look at bstar history of that time; was the link between the servers cut, or is it slow?"
    })
  }
  if (counters.malformed > 0) {
    findings.push({
      severity: "warning",
      check: "malformed",
      what: `${name} has received ${counters.malformed} ${
        counters.malformed === 1 ? "message" : "messages"
      } from its peer that nobody of a pair sends`,
      remedy: "find out who sends to it: does its --peer lead to the other server's --state, and to no other port?"
    })
  }
  if (peerHttp === null) {
    findings.push({
      severity: "warning",
      check: "peer-http",
      what: `${name} does not know where its peer's status is: it can neither show it nor see a switchover through`,
      remedy: `start it with --peer-http ${
        other?.status.http ?? `HOST:PORT, the --http of the ${StateMachine.peerOf(role)}`
      }`
    })
  }
  return findings
}

const times = (count: number): string => count === 1 ? "once" : `${count} times`

const promote = (address: string): string => `bstar promote --http ${address} --reason ...`

/** What both say, held against each other. */
const together = (a: Named, b: Named): ReadonlyArray<Finding> => [
  ...roles(a, b),
  ...settings(a, b),
  ...endpoints(a, b),
  ...endpoints(b, a),
  ...link(a, b),
  ...link(b, a),
  ...clock(a, b),
  ...versions(a, b),
  ...peerHttp(a, b),
  ...peerHttp(b, a),
  ...token(a, b)
]

const roles = (a: Named, b: Named): ReadonlyArray<Finding> =>
  a.status.role === b.status.role
    ? [{
      severity: "error",
      check: "roles",
      what: `both servers are ${a.status.role === "primary" ? "primaries" : "backups"}`,
      remedy: "start one with -p and the other one with -b"
    }]
    : []

/** What has to be the same on both, and how it is set. */
const shared: ReadonlyArray<{
  readonly severity: Severity
  readonly name: string
  readonly option: string
  readonly of: (status: NodeStatus) => string
}> = [
  { severity: "error", name: "policy", option: "--policy", of: ({ policy }) => policy },
  {
    severity: "error",
    name: "heartbeat",
    option: "--heartbeat",
    of: ({ config }) => spell(config.heartbeatMillis)
  },
  {
    severity: "error",
    name: "security",
    option: "--keys, or neither of them",
    of: ({ rejectedConnections }) => rejectedConnections === undefined ? "no keys" : "keys"
  },
  {
    severity: "warning",
    name: "vote",
    option: "vote (bstar run has self, the others clients)",
    of: ({ config }) => config.vote
  },
  {
    severity: "warning",
    name: "crash detection",
    option: "--crash-detection",
    of: ({ config }) => config.crashDetection ? "on" : "off"
  },
  {
    severity: "warning",
    name: "time for a request",
    option: "--timeout",
    of: ({ config: { timeoutMillis } }) => timeoutMillis === null ? "no limit" : spell(timeoutMillis)
  },
  {
    severity: "warning",
    name: "limit of failovers",
    option: "--max-failovers and --failover-window",
    of: ({ config: { failoverWindowMillis, maxFailovers } }) =>
      maxFailovers === null ? "none" : `${maxFailovers} in ${spell(failoverWindowMillis)}`
  }
]

/** How often a server has refused its state port to somebody because of a key. */
const rejectedAtState = ({ status: { rejectedConnections } }: Seen): number =>
  rejectedConnections === undefined
    ? 0
    : rejectedConnections.state.unknown + rejectedConnections.state.wrong + rejectedConnections.state.absent

const settings = (a: Named, b: Named): ReadonlyArray<Finding> => [
  ...shared.flatMap(({ name, of, option, severity }): ReadonlyArray<Finding> =>
    of(a.status) === of(b.status) ? [] : [{
      severity,
      check: "settings",
      what: `the ${name} is not the same: ${of(a.status)} on ${a.name}, ${of(b.status)} on ${b.name}`,
      remedy: `give both servers the same ${option}`
    }]
  ),
  ...(a.status.policy === "classic" && b.status.policy === "classic"
    ? [
      {
        severity: "info",
        check: "classic",
        what: "the policy is the Guide's, by which a restart or a pause may make both servers answer",
        remedy: "in production start both with --policy hardened"
      } satisfies Finding
    ]
    : [])
]

const isLoopback = (host: string): boolean => host === "localhost" || host === "[::1]" || host.startsWith("127.")

const isAddress = (host: string): boolean =>
  host !== "0.0.0.0" && (/^[0-9]+(\.[0-9]+){3}$/.test(host) || host.startsWith("[")) && host !== "[::]"

/** Whether what `self` listens to is what `other` publishes, as far as that can be read off the endpoints. */
const endpoints = (self: Named, other: Named): ReadonlyArray<Finding> => {
  const peer = Endpoint.parse(self.status.config.peerEndpoint)
  const state = Endpoint.parse(other.status.config.stateEndpoint)
  if (peer === undefined || state === undefined) {
    return []
  }
  const listens = `${self.name} listens to ${self.status.config.peerEndpoint}`
  const finding = (severity: Severity, what: string): ReadonlyArray<Finding> => [{
    severity,
    check: "endpoints",
    what,
    remedy: `the --peer of ${self.name} has to lead to the --state of ${other.name}`
  }]
  const publishes = `${other.name} publishes on ${other.status.config.stateEndpoint}`
  if (peer.protocol !== "tcp" || state.protocol !== "tcp") {
    const isTheSame = peer.protocol !== "tcp" && state.protocol !== "tcp" && peer.protocol === state.protocol &&
      peer.name === state.name
    return isTheSame ? [] : finding("error", `${listens}, but ${publishes}`)
  }
  if (state.port !== "*" && peer.port !== state.port) {
    return finding("error", `${listens}, but ${publishes}`)
  }
  if (self.status.host !== other.status.host) {
    const hosts = `${self.name} runs on ${self.status.host}, ${other.name} on ${other.status.host}`
    if (isLoopback(peer.host)) {
      return finding("error", `${listens}, which is its own machine, but ${hosts}`)
    }
    if (isLoopback(state.host)) {
      return finding("error", `${publishes}, which nobody else can reach, but ${hosts}`)
    }
  }
  return isAddress(peer.host) && isAddress(state.host) && peer.host !== state.host
    ? finding("warning", `${listens}, but ${publishes}; are these the same machine?`)
    : []
}

/** What a server in a state may be heard to say, once it has been in it for some time. */
const wordsOf = (state: StateMachine.State): ReadonlyArray<StateMachine.PeerState> => {
  const word = StateMachine.reportedState[state]
  return word === undefined ? [] : state === "REJOINING" ? [word, "PRIMARY", "BACKUP"] : [word]
}

/** What may be why `self` does not hear `other`. Strangers may have been refused, too. */
const keys = (self: Named, other: Named): ReadonlyArray<Finding> => {
  const refused = rejectedAtState(other)
  return refused === 0 ? [] : [{
    severity: "warning",
    check: "keys",
    what: `the state port of ${other.name} has refused somebody's key ${times(refused)}, maybe that of ${self.name}`,
    remedy: "have both use the keys of one pair: each its own, and the public one of the other (bstar keygen)"
  }]
}

/** Whether `self` hears `other`, and nobody else. */
const link = (self: Named, other: Named): ReadonlyArray<Finding> => {
  const { config, peer } = self.status
  if (!hears(self)) {
    return other.status.state !== "HANDING_OVER" && isSettled(self) && isSettled(other)
      ? [
        {
          severity: "error",
          check: "link",
          what: `${self.name} does not hear ${other.name}, which runs: ${
            peer.ageMillis === null ? "no word yet" : `no word for ${spell(peer.ageMillis)}`
          }`,
          remedy:
            `does ${config.peerEndpoint} lead to the state port of ${other.name}, and does the network between them let it pass?`
        },
        ...keys(self, other)
      ]
      : []
  }
  const stateMillis = millisOf(other.status.now) - millisOf(other.status.since)
  const slack = 2 * config.heartbeatMillis + self.tookMillis + other.tookMillis
  // Only a word that was heard when the other server had been as it is for a while can tell that somebody else said it.
  return stateMillis > (peer.ageMillis ?? 0) + slack && !wordsOf(other.status.state).includes(peer.state!)
    ? [{
      severity: "error",
      check: "crossed",
      what: `${self.name} hears a peer that says ${peer.state}, but ${other.name} is ${other.status.state} for ${
        spell(stateMillis)
      }: it hears another server`,
      remedy: `the --peer of ${self.name} has to lead to the --state of ${other.name}; are two pairs crossed?`
    }]
    : []
}

/** By how much clocks may differ, in milliseconds. */
const clockMillis = 1000

const clock = (a: Named, b: Named): ReadonlyArray<Finding> => {
  // A server's wall clock at the origin of our own; the answer was made at some time while we waited for it.
  const offsetOf = ({ askedAt, status, tookMillis }: Named) => millisOf(status.now) - askedAt - tookMillis / 2
  const ahead = offsetOf(a) - offsetOf(b)
  return Math.abs(ahead) > clockMillis + (a.tookMillis + b.tookMillis) / 2
    ? [{
      severity: "warning",
      check: "clock",
      what: `the clock of ${a.name} is ${spell(Math.abs(ahead))} ${
        ahead > 0 ? "ahead of" : "behind"
      } that of ${b.name}`,
      remedy: "set both by NTP; the pair does not need it, but logs and histories cannot be compared"
    }]
    : []
}

const versions = (a: Named, b: Named): ReadonlyArray<Finding> =>
  ([["bstar", "warning"], ["node", "info"]] as const).flatMap(([what, severity]): ReadonlyArray<Finding> =>
    a.status.versions[what] === b.status.versions[what] ? [] : [{
      severity,
      check: "versions",
      what: `${what} is ${a.status.versions[what]} on ${a.name}, ${b.status.versions[what]} on ${b.name}`,
      remedy: "bring both to the same version, the passive one first"
    }]
  )

/** Whether `self` finds `other` where it was told to. */
const peerHttp = (self: Named, other: Named): ReadonlyArray<Finding> => {
  const { peer } = self
  const finding = (severity: Severity, what: string): ReadonlyArray<Finding> => [{
    severity,
    check: "peer-http",
    what: `--peer-http of ${self.name} (${self.status.peerHttp}) ${what}`,
    remedy: `give it the --http of ${other.name}, where ${self.name} can reach it`
  }]
  return peer === null || peer === undefined
    ? []
    : peer.status === null
    ? finding("warning", `does not lead to ${other.name}: ${peer.error ?? "no answer"}`)
    : isSame(peer.status, other.status)
    ? []
    : finding("error", `leads to a ${peer.status.role} on ${peer.status.host}, which is not ${other.name}`)
}

const token = (a: Named, b: Named): ReadonlyArray<Finding> => {
  const off = [a, b].filter(({ orders }) => orders === "Off")
  const remedy = "give both the same token: --http-token-file or BSTAR_HTTP_TOKEN"
  return [
    ...[a, b].filter(({ orders }) => orders === "Denied").map(({ name }): Finding => ({
      severity: "error",
      check: "token",
      what: `${name} does not accept the token that was given here`,
      remedy
    })),
    ...(off.length === 0 ? [] : [
      {
        severity: off.length === 1 ? "warning" : "info",
        check: "token",
        what: off.length === 1
          ? `${off[0]!.name} has no token, so it takes no orders, and a switchover is not seen through`
          : "the servers have no token, so they take no orders",
        remedy: off.length === 1 ? remedy : `if they are to take orders, ${remedy}`
      } satisfies Finding
    ])
  ]
}

/** How many answer clients. */
const active = (seen: ReadonlyArray<Named>, known: ReadonlyArray<Known>): ReadonlyArray<Finding> => {
  const answering = known.filter(({ answers }) => answers)
  return answering.length > 1
    ? [
      answering.every(({ status }) => status !== undefined)
        ? {
          severity: "error",
          check: "active",
          what: "both servers are active and answer clients",
          remedy: "is the link between them cut? Stop the backup until it is whole"
        }
        : {
          severity: "error",
          check: "active",
          what: `both servers are active: ${answering.map(({ name }) => name).join(" and ")}`,
          remedy: "stop one of them: a peer of another make does not step down by itself"
        }
    ]
    : answering.length === 1
    ? []
    : [{
      severity: "error",
      check: "active",
      what: `nobody is active: ${seen.map(whyNot).join("; ")}`,
      remedy: `if it stays so, ask with a client, or: ${promote("HOST:PORT")}`
    }]
}

/**
 * Why a server does not answer, and when it would.
 *
 * @since 0.1.0
 * @category combinators
 */
export const whyNot = ({ name, status }: Pick<Seen, "status"> & { readonly name: string }) => {
  const { takeoverBlock, peer, state } = status
  if (state === "BACKUP") {
    return peer.state !== null && !peer.isExpired
      ? `${name} waits for its primary`
      : waitsForPrimary(status)
      ? `${name} has not met its primary and refuses every request`
      : peer.state === null
      ? `${name} has not met its primary and serves when a client asks, unless a subscriber is connected to its state port`
      : `${name} has lost its primary and takes over when a client asks`
  }
  if (state === "CONTESTED") {
    return `${name} was active when its peer was, and decides within two heartbeats`
  }
  if (state === "HANDING_OVER") {
    return `${name} is handing over`
  }
  return !peer.isExpired
    ? state === "PRIMARY" ? `${name} waits for its backup` : `${name} is ${state}`
    : takeoverBlock === null
    ? `${name} takes over with the next request`
    : `${name} is ${state} and does not take over by itself, because it is ${takeoverBlock.kind}`
}

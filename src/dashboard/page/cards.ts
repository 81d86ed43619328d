/**
 * The contents of a server's card.
 */
import type { NodeStatus } from "../../status/Status.ts"
import { clockTime, count, latency, rate, setting, span } from "./format.ts"
import type { Pair, Server } from "./pair.ts"
import { reasonNote } from "./timeline.ts"

export type Entries = ReadonlyArray<readonly [name: string, value: string]>

export interface Card {
  /** The text of each field of the template. */
  readonly texts: { readonly [F in TextField]: string }
  /** The age of the peer's last heartbeat, as a share of the peer timeout. */
  readonly age: number
  readonly isPeerExpired: boolean
  readonly lists: { readonly [L in ListField]: Entries }
}

export type TextField = "place" | "term" | "block" | "state" | "duty" | "since" | "message" | "why" | "heartbeat"
export type ListField = "figures" | "counters" | "settings"

const counterNames = [
  ["accepted", "Accepted"],
  ["rejected", "Rejected"],
  ["failed", "Failed"],
  ["limited", "Over a limit"],
  ["votes", "Votes"],
  ["failovers", "Failovers"],
  ["conflicts", "Conflicts"],
  ["heartbeats", "Heartbeats"],
  ["missed", "Heartbeats missed"],
  ["malformed", "Malformed"]
] as const

const duties: { readonly [S in NonNullable<Server["state"]>]: string } = {
  PRIMARY: "waits for its peer",
  BACKUP: "waits for its peer",
  ACTIVE: "",
  PASSIVE: "stands by",
  REJOINING: "waits for its peer",
  HANDING_OVER: "hands over",
  CONTESTED: "was active, and so was its peer"
}

const dutyOf = ({ answers, state, status }: Server): string => {
  if (state === undefined) {
    return "no heartbeats received"
  }
  if (answers) {
    return "answers clients"
  }
  return status === undefined && duties[state].startsWith("waits") ? "" : duties[state]
}

/** The quantiles are those since the process started; the chart shows those of each second. */
const figuresOf = (
  { latency: { p50Millis, p99Millis }, uptimeMillis }: NodeStatus,
  perSecond: number | null
): Entries => [
  ["Requests", rate(perSecond)],
  ["p50 overall", latency(p50Millis)],
  ["p99 overall", latency(p99Millis)],
  ["Up", span(uptimeMillis)]
]

const settingsOf = ({ config, connections, host, http, peerHttp, pid, policy, versions }: NodeStatus): Entries => [
  ["Policy", policy],
  ["Frontend", config.frontend],
  ["State", config.stateEndpoint],
  ["Peer", config.peerEndpoint],
  ["Heartbeat", setting(config.heartbeatMillis)],
  ["Vote", config.vote],
  ["Lone backup", config.lone],
  ["Crash detection", config.crashDetection ? "on" : "off"],
  ["Concurrency", count(config.concurrency)],
  ["Timeout", setting(config.timeoutMillis)],
  ["Drain", setting(config.drainMillis)],
  [
    "Failovers",
    config.maxFailovers === null
      ? "not limited"
      : `at most ${config.maxFailovers} in ${span(config.failoverWindowMillis)}`
  ],
  ["Connections", `${connections.open}, ${connections.rejected} rejected`],
  ["HTTP", http],
  ["HTTP of the peer", peerHttp ?? "not configured"],
  ["Host", host],
  ["Process", String(pid)],
  ["bstar", versions.bstar],
  ["Node", versions.node]
]

const reasonsOf = (...reasons: ReadonlyArray<string | null | undefined>): string =>
  reasons.filter((reason) => reason !== null && reason !== undefined && reason !== "").join(" · ")

export const cardOf = ({ self }: Pair, server: Server, perSecond: number | null): Card => {
  const { isSelf, problem, state, status } = server
  const place = isSelf ? "this server" : "peer"
  const common = { place, state: state ?? "SILENT", duty: dutyOf(server) }
  if (status === undefined) {
    const last = self.peer
    return {
      texts: {
        ...common,
        term: "",
        block: "",
        since: "",
        message: last.state === null || last.ageMillis === null
          ? `The ${self.role} has received no heartbeat from it.`
          : `Its last heartbeat reported ${last.state}, ${span(last.ageMillis)} ago.`,
        why: problem === undefined
          ? `Its status is unknown: the ${self.role} runs without --peer-http.`
          : `Its status is unavailable: ${problem}`,
        heartbeat: ""
      },
      age: 0,
      isPeerExpired: false,
      lists: { figures: [], counters: [], settings: [] }
    }
  }
  const { ageMillis, isExpired, state: peerState } = status.peer
  const since = Date.parse(status.since)
  return {
    texts: {
      ...common,
      term: status.term == null ? "" : `term ${status.term.text}`,
      block: status.takeoverBlock?.kind ?? "",
      since: `for ${span(Date.parse(status.now) - since)}, since ${clockTime.format(since)}`,
      message: status.message,
      why: reasonsOf(status.explanation, reasonNote(status)),
      heartbeat: ageMillis === null
        ? "no heartbeat of its peer yet"
        : `heartbeat of its peer: ${peerState === null ? "" : `${peerState}, `}${span(ageMillis)} ago${
          isExpired ? ": peer timeout" : ""
        }`
    },
    age: ageMillis === null ? 1 : Math.min(1, ageMillis / (2 * status.config.heartbeatMillis)),
    isPeerExpired: isExpired,
    lists: {
      figures: figuresOf(status, perSecond),
      counters: counterNames.map(([key, name]) => [name, count(status.counters[key])]),
      settings: settingsOf(status)
    }
  }
}

/** Rules about what one server receives from the other; applied in both directions. */
import * as Endpoint from "../../wire/Endpoint.ts"
import { isSame, receivesHeartbeats, reportableStates, stateMillis } from "../Observation.ts"
import { span } from "../Span.ts"
import { isLoopback, isSettled, type Named, type Rule, times } from "./rule.ts"

type Direction = readonly [self: Named, other: Named]

const isAddress = (host: string): boolean =>
  host !== "0.0.0.0" && host !== "[::]" && (/^[0-9]+(\.[0-9]+){3}$/.test(host) || host.startsWith("["))

const endpointsOf = (self: Named, other: Named) => ({
  peer: Endpoint.parse(self.status.config.peerEndpoint),
  state: Endpoint.parse(other.status.config.stateEndpoint),
  connects: `${self.name} connects to ${self.status.config.peerEndpoint}`,
  publishes: `${other.name} publishes on ${other.status.config.stateEndpoint}`
})

/** Proof by the endpoints alone that the connection cannot lead to the other server. */
const mismatch = (self: Named, other: Named): string | undefined => {
  const { connects, peer, publishes, state } = endpointsOf(self, other)
  if (peer === undefined || state === undefined) {
    return undefined
  }
  if (peer.protocol !== "tcp" || state.protocol !== "tcp") {
    const isSameName = peer.protocol !== "tcp" && state.protocol !== "tcp" && peer.protocol === state.protocol &&
      peer.name === state.name
    return isSameName ? undefined : `${connects}, but ${publishes}`
  }
  if (state.port !== "*" && peer.port !== state.port) {
    return `${connects}, but ${publishes}`
  }
  if (self.status.host === other.status.host) {
    return undefined
  }
  const hosts = `${self.name} runs on ${self.status.host}, ${other.name} on ${other.status.host}`
  if (isLoopback(peer.host)) {
    return `${connects}, which is its own machine, but ${hosts}`
  }
  return isLoopback(state.host) ? `${publishes}, which no other machine can reach, but ${hosts}` : undefined
}

const differentAddresses = (self: Named, other: Named): string | undefined => {
  const { connects, peer, publishes, state } = endpointsOf(self, other)
  return peer?.protocol === "tcp" && state?.protocol === "tcp" && peer.host !== state.host &&
      isAddress(peer.host) && isAddress(state.host) && mismatch(self, other) === undefined
    ? `${connects}, but ${publishes}; are these the same machine?`
    : undefined
}

const isLinkDown = (self: Named, other: Named): boolean =>
  !receivesHeartbeats(self.status) && other.status.state !== "HANDING_OVER" && isSettled(self) && isSettled(other)

/** Rejections by key at the state port; those of strangers count, too. */
const rejectedByKey = ({ status: { rejectedConnections } }: Named): number =>
  rejectedConnections === undefined
    ? 0
    : rejectedConnections.state.unknown + rejectedConnections.state.wrong + rejectedConnections.state.absent

const leadToState = (self: Named, other: Named): string =>
  `the --peer of ${self.name} has to lead to the --state of ${other.name}`

const peerHttpOf = ({ name, status: { peerHttp } }: Named): string => `--peer-http of ${name} (${peerHttp})`

const rightPeerHttp = (self: Named, other: Named): string =>
  `give it the --http of ${other.name}, where ${self.name} can reach it`

export const connectionRules: ReadonlyArray<Rule<Direction>> = [
  { severity: "error", check: "endpoints", what: mismatch, remedy: leadToState },
  { severity: "warning", check: "endpoints", what: differentAddresses, remedy: leadToState },
  {
    severity: "error",
    check: "link",
    what: (self, other) =>
      isLinkDown(self, other)
        ? `${self.name} receives no heartbeats from ${other.name}, which runs: ${
          self.status.peer.ageMillis === null ? "none yet" : `none for ${span(self.status.peer.ageMillis)}`
        }`
        : undefined,
    remedy: ({ status: { config } }, { name }) =>
      `does ${config.peerEndpoint} lead to the state port of ${name}, and does the network between them let it pass?`
  },
  {
    severity: "warning",
    check: "keys",
    what: (self, other) =>
      isLinkDown(self, other) && rejectedByKey(other) > 0
        ? `the state port of ${other.name} has rejected a connection by its key ${
          times(rejectedByKey(other))
        }, maybe that of ${self.name}`
        : undefined,
    remedy: () => "have both use the keys of one pair: each its own, and the public one of the other (bstar keygen)"
  },
  {
    severity: "error",
    check: "crossed",
    what: (self, other) => {
      const { config, peer } = self.status
      const lasts = stateMillis(other.status)
      const slack = 2 * config.heartbeatMillis + self.durationMillis + other.durationMillis
      // A heartbeat from before the other server's latest transition proves nothing.
      return receivesHeartbeats(self.status) && lasts > (peer.ageMillis ?? 0) + slack &&
          !reportableStates(other.status.state).includes(peer.state!)
        ? `${self.name} receives ${peer.state}, but ${other.name} is ${other.status.state} for ${
          span(lasts)
        }: the heartbeats are those of another server`
        : undefined
    },
    remedy: (self, other) => `${leadToState(self, other)}; are two pairs crossed?`
  },
  {
    severity: "warning",
    check: "peer-http",
    what: (self, { name }) =>
      self.peer?.status === null
        ? `${peerHttpOf(self)} does not lead to ${name}: ${self.peer.error ?? "no answer"}`
        : undefined,
    remedy: rightPeerHttp
  },
  {
    severity: "error",
    check: "peer-http",
    what: (self, other) =>
      self.peer?.status != null && !isSame(self.peer.status, other.status)
        ? `${
          peerHttpOf(self)
        } leads to a ${self.peer.status.role} on ${self.peer.status.host}, which is not ${other.name}`
        : undefined,
    remedy: rightPeerHttp
  }
]

/**
 * The connections to the peer's state port, as plain data and pure functions: which one is read, when another one is made beside it,
 * and when to probe for crash evidence.
 *
 * The socket of a connection connects again by itself (`connector.ts`). A connection on which nothing arrives may be dead without an
 * event; then a second socket, the candidate, is connected beside it, and takes its place once its handshake is done.
 */
import type { LinkEvent } from "../ports/PeerLink.ts"
import type { ConnectionEvent } from "./models.ts"

/** A step of the link to the peer's state port. */
export type ConnectionStep = Exclude<LinkEvent, "Joined" | "PeerJoined">

/** A connection on which nothing arrived for this many heartbeats is silent. */
const silentHeartbeats = 3

/** Heartbeats that a candidate may take to connect before the next one is tried. */
const candidateHeartbeats = 4

/** Round trips from the TCP connection to the end of libzmq's handshake. */
const roundTrips = { plain: 2, curve: 3 }

export interface Rules {
  readonly heartbeatMillis: number
  readonly isSecured: boolean
  readonly crashDetection: boolean
}

/** A socket and its connection. Times are monotonic, in milliseconds. */
export interface PeerConnection {
  readonly id: number
  readonly status: "down" | "opened" | "connected"
  readonly createdAt: number
  /** Its last step. */
  readonly steppedAt: number
  readonly openedAt: number
  /** Its last message. */
  readonly receivedAt: number
}

export interface PeerConnections {
  /** The connection that is read. */
  readonly current: PeerConnection
  readonly candidate: PeerConnection | undefined
  /** The step of the link that was reported last. */
  readonly reported: ConnectionStep
}

export type Input =
  | { readonly _tag: "Step"; readonly id: number; readonly step: ConnectionEvent }
  | { readonly _tag: "Check" }

export type Output =
  /** Opens a socket and connects it: {@link addCandidate}. */
  | { readonly _tag: "Open" }
  | { readonly _tag: "Close"; readonly id: number }
  /** Probes for crash evidence until there is some, or no longer. */
  | { readonly _tag: "Probe" | "StopProbe"; readonly id: number }
  | { readonly _tag: "Report"; readonly step: ConnectionStep }
  /** The handshake shows that a round trip takes longer than a heartbeat. */
  | { readonly _tag: "SlowRoundTrip"; readonly millis: number }

const open = (id: number, now: number): PeerConnection => ({
  id,
  status: "down",
  createdAt: now,
  steppedAt: now,
  openedAt: 0,
  receivedAt: now
})

export const make = (id: number, now: number): PeerConnections => ({
  current: open(id, now),
  candidate: undefined,
  reported: "Lost"
})

export const addCandidate = (connections: PeerConnections, id: number, now: number): PeerConnections => ({
  ...connections,
  candidate: open(id, now)
})

/** Notes a message. Returns `undefined` if the connection is not read any more. */
export const receive = (connections: PeerConnections, id: number, now: number): PeerConnections | undefined =>
  connections.current.id === id
    ? { ...connections, current: { ...connections.current, receivedAt: now } }
    : undefined

const statusOf = {
  opened: "opened",
  connected: "connected",
  lost: "down",
  failed: "down",
  ended: "down"
} as const

const probe = ({ crashDetection }: Rules, id: number, step: ConnectionEvent): ReadonlyArray<Output> =>
  crashDetection ? [{ _tag: step === "lost" || step === "failed" ? "Probe" : "StopProbe", id }] : []

const roundTrip = (
  { heartbeatMillis, isSecured }: Rules,
  { openedAt }: PeerConnection,
  now: number
): ReadonlyArray<Output> => {
  const millis = (now - openedAt) / (isSecured ? roundTrips.curve : roundTrips.plain)
  return millis > heartbeatMillis ? [{ _tag: "SlowRoundTrip", millis }] : []
}

type Result = readonly [PeerConnections, ReadonlyArray<Output>]

const onStep = (rules: Rules, connections: PeerConnections, id: number, step: ConnectionEvent, now: number): Result => {
  const { candidate, current } = connections
  const before = current.id === id ? current : candidate
  if (before === undefined || before.id !== id) {
    return [connections, []]
  }
  const after: PeerConnection = {
    ...before,
    status: statusOf[step],
    steppedAt: now,
    openedAt: step === "opened" ? now : before.openedAt
  }
  const outputs = [...probe(rules, id, step), ...(step === "connected" ? roundTrip(rules, before, now) : [])]
  if (before === current) {
    return [{ ...connections, current: after }, outputs]
  }
  return step === "connected"
    ? [{ ...connections, current: after, candidate: undefined }, [...outputs, { _tag: "Close", id: current.id }]]
    : [{ ...connections, candidate: after }, outputs]
}

const check = (
  { heartbeatMillis }: Rules,
  connections: PeerConnections,
  now: number,
  isAddressUnknown: boolean
): Result => {
  const { candidate, current } = connections
  const close: ReadonlyArray<Output> = candidate === undefined ? [] : [{ _tag: "Close", id: candidate.id }]
  if (now - current.receivedAt <= silentHeartbeats * heartbeatMillis) {
    return [{ ...connections, candidate: undefined }, close]
  }
  if (candidate !== undefined && now - candidate.createdAt <= candidateHeartbeats * heartbeatMillis) {
    return [connections, []]
  }
  // The socket itself retries a connection that is refused, and an address that is not known yet.
  const isRetrying = isAddressUnknown ||
    current.status === "down" && now - current.steppedAt <= silentHeartbeats * heartbeatMillis
  return [{ ...connections, candidate: undefined }, isRetrying ? close : [...close, { _tag: "Open" }]]
}

const stepOf = { down: "Lost", opened: "Connecting", connected: "Connected" } as const

/** The step of the link as a whole: the best one of its connections. A peer whose address is looked up is not silent yet. */
const stepOfLink = ({ candidate, current }: PeerConnections, isAddressUnknown: boolean) => {
  const steps = [stepOf[current.status], stepOf[candidate?.status ?? "down"]]
  if (steps.includes("Connected")) {
    return "Connected"
  }
  return isAddressUnknown || steps.includes("Connecting") ? "Connecting" : "Lost"
}

/** What follows from an input. `isAddressUnknown`: whether the peer's host is looked up and has no known address. */
export const step = (
  rules: Rules,
  before: PeerConnections,
  input: Input,
  now: number,
  isAddressUnknown: boolean
): Result => {
  const [connections, outputs] = input._tag === "Check"
    ? check(rules, before, now, isAddressUnknown)
    : onStep(rules, before, input.id, input.step, now)
  const reported = stepOfLink(connections, isAddressUnknown)
  return reported === connections.reported
    ? [connections, outputs]
    : [{ ...connections, reported }, [...outputs, { _tag: "Report", step: reported }]]
}

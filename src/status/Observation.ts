/**
 * Answers of the status servers of a pair, and what follows from them about its two servers. Pure: the command line and the
 * dashboard page judge with the same functions.
 */
import * as StateMachine from "../protocol/StateMachine.ts"
import type { NodeStatus, PairStatus } from "./Status.ts"

/**
 * The outcome of one request for a server's status.
 *
 * @category models
 */
export type Observation = Reached | Unreached

/**
 * A status that a server has answered with, or a copy of it that its peer holds.
 *
 * - `peer`: the server's copy of its peer's status; `undefined` if it was not requested.
 * - `commands`: whether the server accepts commands; `Denied`: not with the given token; `undefined`: not tried.
 * - `requestedAt` and `durationMillis`: monotonic time of the observer. The status was made within that interval.
 *
 * @category models
 */
export interface Reached {
  readonly _tag: "Reached"
  readonly address: string
  readonly status: NodeStatus
  readonly peer: PairStatus["peer"] | undefined
  readonly commands: "On" | "Off" | "Denied" | undefined
  readonly requestedAt: number
  readonly durationMillis: number
}

/**
 * A server without an answer, and the reason.
 *
 * @category models
 */
export interface Unreached {
  readonly _tag: "Unreached"
  readonly address: string
  readonly error: string
}

/**
 * A server, and with it the copy that it holds of its peer's status.
 *
 * @category constructors
 */
export const withPeer = (self: Reached): ReadonlyArray<Observation> => {
  const { durationMillis, peer, requestedAt, status: { peerHttp } } = self
  if (peer == null) {
    return [self]
  }
  const address = peerHttp ?? "its peer"
  const age = peer.ageMillis ?? 0
  return [
    self,
    peer.status === null
      ? { _tag: "Unreached", address, error: peer.error ?? "no answer" }
      : {
        _tag: "Reached",
        address,
        status: peer.status,
        peer: undefined,
        commands: undefined,
        requestedAt: requestedAt - age,
        durationMillis: durationMillis + age
      }
  ]
}

/**
 * The name of each server in texts: its role, together with its address if the other server has the same role.
 *
 * @category combinators
 */
export const namesOf = (observations: ReadonlyArray<Observation>): ReadonlyArray<string> => {
  const roles = observations.map((one) => one._tag === "Reached" ? one.status.role : undefined)
  return observations.map(({ address }, i) => {
    const role = roles[i]
    if (role === undefined) {
      return address
    }
    return roles.filter((other) => other === role).length > 1 ? `the ${role} at ${address}` : role
  })
}

/**
 * Whether two statuses are of the same process.
 *
 * @category guards
 */
export const isSame = (a: NodeStatus, b: NodeStatus): boolean =>
  a.host === b.host && a.pid === b.pid && a.http === b.http

/**
 * The servers that were reached, each of them once: both addresses may lead to the same server.
 *
 * @category combinators
 */
export const distinct = (observations: ReadonlyArray<Observation>): ReadonlyArray<Reached> =>
  observations.filter((one) => one._tag === "Reached").filter((one, i, all) =>
    all.findIndex(({ status }) => isSame(status, one.status)) === i
  )

/**
 * The servers with a status that no later fact contradicts. A copy of a peer's status may be a second old; meanwhile that
 * peer may have been lost, or have handed over.
 *
 * @category combinators
 */
export const current = (observations: ReadonlyArray<Observation>): ReadonlyArray<Reached> => {
  const [a, b, ...none] = distinct(observations)
  if (a === undefined || b === undefined) {
    return a === undefined ? none : [a]
  }
  if (isOutdated(b, a)) {
    return [a]
  }
  return isOutdated(a, b) ? [b] : [a, b]
}

/** Outdated: `recent` became active, or received a heartbeat with another state, after the request for the status `old`. */
const isOutdated = (old: Reached, recent: Reached): boolean => {
  const ageMillis = recent.requestedAt - old.requestedAt
  const { peer } = recent.status
  return (old.status.answers && recent.status.answers &&
    stateMillis(recent.status) < ageMillis + recent.durationMillis) ||
    (receivesHeartbeats(recent.status) && peer.ageMillis !== null && peer.ageMillis < ageMillis &&
      !reportableStates(old.status.state).includes(peer.state!))
}

/**
 * A wall clock time of a status in milliseconds. `NaN` if it is malformed; no comparison with that is true.
 *
 * @category combinators
 */
export const epochMillis = (time: string): number =>
  // eslint-disable-next-line no-restricted-globals -- reads no clock; DateTime would double the script of the page
  Date.parse(time)

/**
 * For how long a server is in its state, by its own clock, in milliseconds.
 *
 * @category combinators
 */
export const stateMillis = ({ now, since }: NodeStatus): number => epochMillis(now) - epochMillis(since)

/**
 * Whether a server has received a heartbeat within the peer timeout.
 *
 * @category guards
 */
export const receivesHeartbeats = ({ peer }: NodeStatus): boolean => peer.state !== null && !peer.isExpired

/**
 * The states that heartbeats of a server in this state may report: a `REJOINING` server reports its role first.
 *
 * @category combinators
 */
export const reportableStates = (state: StateMachine.State): ReadonlyArray<StateMachine.PeerState> => {
  const reported = StateMachine.reportedState[state]
  if (reported === undefined) {
    return []
  }
  return state === "REJOINING" ? [reported, "PRIMARY", "BACKUP"] : [reported]
}

/**
 * A server by its status, or without a status by the heartbeats that its peer receives.
 *
 * @category models
 */
export interface Known {
  readonly name: string
  readonly state: StateMachine.State
  readonly answers: boolean
  readonly status: NodeStatus | undefined
}

/**
 * Everything known about the servers of a pair, those with a status first.
 *
 * @category combinators
 */
export const knownOf = (observations: ReadonlyArray<Observation>): ReadonlyArray<Known> => {
  const names = namesOf(observations)
  const reached = current(observations)
  const known = reached.map((one): Known => ({
    name: names[observations.indexOf(one)]!,
    state: one.status.state,
    answers: one.status.answers,
    status: one.status
  }))
  const [only, another] = reached
  const state = only === undefined || another !== undefined ? undefined : freshPeerState(only.status)
  return only === undefined || state === undefined ? known : [...known, {
    name: `${StateMachine.peerOf(only.status.role)} (by its heartbeats)`,
    state,
    answers: state === "ACTIVE",
    status: undefined
  }]
}

/** The state in the peer's last heartbeat, unless that is older than the peer timeout. */
const freshPeerState = (status: NodeStatus): StateMachine.PeerState | undefined =>
  receivesHeartbeats(status) && (status.peer.ageMillis ?? 0) <= 2 * status.config.heartbeatMillis
    ? status.peer.state!
    : undefined

/**
 * Whether a backup without a heartbeat from its primary rejects all requests until the primary is there.
 *
 * @category guards
 */
export const waitsForPrimary = ({ config, peer, policy }: NodeStatus): boolean =>
  policy !== "witnessed" && (policy === "classic" || (peer.state === null && config.lone === "wait"))

/**
 * Why a server is not active, and when it would be.
 *
 * @category combinators
 */
export const whyInactive = ({ name, status }: { readonly name: string; readonly status: NodeStatus }): string => {
  const { peer, state, takeoverBlock } = status
  switch (state) {
    case "BACKUP":
      if (status.policy !== "witnessed" || !peer.isExpired) {
        return whyBackup(name, status)
      }
      break
    case "CONTESTED":
      return `${name} was active when its peer was, and decides within two heartbeats`
    case "HANDING_OVER":
      return `${name} is handing over`
  }
  if (!peer.isExpired) {
    return state === "PRIMARY" ? `${name} waits for its backup` : `${name} is ${state}`
  }
  if (takeoverBlock === null && status.policy === "witnessed") {
    return whyWithoutRight(name, status)
  }
  return takeoverBlock === null
    ? `${name} takes over with the next request`
    : `${name} is ${state} and does not take over by itself, because it is ${takeoverBlock.kind}`
}

/** A server with a witness, whose peer is silent. */
const whyWithoutRight = (name: string, { witness }: NodeStatus): string =>
  witness?.isUp === true
    ? `${name} takes over with a request, once the witness has seen no other server for two heartbeats`
    : `${name} must not take over: neither the witness nor its peer answers, and one of three must not decide alone`

const whyBackup = (name: string, status: NodeStatus): string => {
  if (receivesHeartbeats(status)) {
    return `${name} waits for its primary`
  }
  if (status.peer.malformed != null) {
    return `${name} cannot read what its primary sends (${status.peer.malformed})`
  }
  if (waitsForPrimary(status)) {
    return `${name} has not received a heartbeat from its primary yet and rejects every request`
  }
  return status.peer.state === null
    ? `${name} has not received a heartbeat from its primary yet and takes over with the next request, unless a subscriber is connected to its state port`
    : `${name} has lost its primary and takes over with the next request`
}

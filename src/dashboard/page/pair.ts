/**
 * The pair as the server of this page sees it, judged by the rules of `bstar status` and `bstar doctor`.
 */
import * as StateMachine from "../../protocol/StateMachine.ts"
import * as Doctor from "../../status/Doctor.ts"
import * as Health from "../../status/Health.ts"
import * as Observation from "../../status/Observation.ts"
import type { NodeStatus, PairStatus } from "../../status/Status.ts"

export const roles: ReadonlyArray<StateMachine.Role> = ["primary", "backup"]

export interface Server {
  readonly role: StateMachine.Role
  /** Whether the page comes from this server. */
  readonly isSelf: boolean
  readonly status: NodeStatus | undefined
  /** By the status, or else by the heartbeats that the other server receives; `undefined` without either. */
  readonly state: StateMachine.State | undefined
  readonly answers: boolean
  /** Why there is no status, or none that is current, although its address is known. */
  readonly problem: string | undefined
}

export interface Pair {
  readonly self: NodeStatus
  readonly servers: { readonly [R in StateMachine.Role]: Server }
  readonly health: Health.Health
  readonly findings: ReadonlyArray<Doctor.Finding>
}

/** Judges what one server reports about the pair. `receivedAt` is monotonic. */
export const pairOf = ({ peer, self }: PairStatus, receivedAt: number): Pair => {
  const observations = Observation.withPeer({
    _tag: "Reached",
    address: self.http,
    status: self,
    peer,
    commands: undefined,
    requestedAt: receivedAt,
    durationMillis: 0
  })
  const findings = Doctor.examine(observations)
  const known = Observation.knownOf(observations).find((known) => known.status !== self)
  const own: Server = {
    role: self.role,
    isSelf: true,
    status: self,
    state: self.state,
    answers: self.answers,
    problem: undefined
  }
  const other: Server = {
    role: StateMachine.peerOf(self.role),
    isSelf: false,
    status: known?.status,
    state: known?.state,
    answers: known?.answers ?? false,
    problem: peer === null || known?.status !== undefined ? undefined : peer.error ?? "its last status is outdated"
  }
  return {
    self,
    servers: self.role === "primary" ? { primary: own, backup: other } : { primary: other, backup: own },
    health: Health.judge(observations, findings),
    findings
  }
}

/** How serious a level is, for its colour. */
export const severityOf: { readonly [L in Health.Level]: "good" | "warning" | "critical" } = {
  healthy: "good",
  degraded: "warning",
  "no active": "critical",
  "two actives": "critical"
}

/** Members and events in the terms of the tables. Heartbeats of one second. */
import * as FastCheck from "effect/FastCheck"
import * as Policies from "../../src/protocol/Policies.ts"
import type * as StateMachine from "../../src/protocol/StateMachine.ts"

export const peerTimeoutMillis = 2000
export const handshakeMillis = 8000
export const rules = (
  role: StateMachine.Role = "primary",
  policy: StateMachine.Policy = Policies.classic,
  lone: StateMachine.Lone = "wait"
): StateMachine.Rules => ({
  role,
  policy,
  peerTimeoutMillis,
  handshakeMillis,
  lone
})

/** A member that received its last heartbeat one timeout before the deadline, over a connection that is lost. */
export const memberIn = (
  state: StateMachine.State,
  peerDeadline: number,
  part: Partial<StateMachine.ProtocolState> = {}
): StateMachine.ProtocolState => ({
  state,
  peerDeadline,
  connectionDeadline: Number.NEGATIVE_INFINITY,
  silentSince: peerDeadline - peerTimeoutMillis,
  link: "Down",
  awaited: "Down",
  hasReceived: true,
  ...part
})

export const eventOf = (tag: StateMachine.Event["_tag"], now: number, asOf = now): StateMachine.Event =>
  tag === "PeerDown"
    ? { _tag: tag, now, evidence: { _tag: "ConnectionRefused", endpoint: "tcp://peer:5003", asOf } }
    : { _tag: tag, now }

/** The instant after which the peer is expired. */
export const deadlineOf = ({ connectionDeadline, peerDeadline }: StateMachine.ProtocolState): number =>
  Math.max(peerDeadline, connectionDeadline)

export const role = FastCheck.constantFrom<StateMachine.Role>("primary", "backup")

import * as Effect from "effect/Effect"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as StateMachine from "../protocol/StateMachine.ts"
import type { Runtime } from "./context.ts"
import * as Member from "./Member.ts"
import type { Counters, Report, WitnessReport } from "./Report.ts"

/** Whether the peer is expired and sends no heartbeats, not even such that the state machine ignores (H9). */
const isPeerSilent = (
  { peerTimeoutMillis }: Member.Rules,
  { peer, protocol }: Member.Member,
  at: number
): boolean =>
  StateMachine.isPeerExpired(protocol, at) &&
  !(Number.isFinite(protocol.peerDeadline) && peer !== undefined && at - peer.receivedAt <= peerTimeoutMillis)

const witnessOf = (
  { witnessEndpoint: endpoint = "" }: Member.Rules,
  { peer, rights, witness }: Member.Member,
  counters: Runtime["counters"]
): WitnessReport | undefined =>
  rights && {
    endpoint,
    peerFingerprint: peer?.heartbeat?.witness,
    ...witness,
    record: rights.observed?.seen?.record,
    conflicts: counters.witnessConflicts,
    latency: counters.witnessLatency.get(),
    rights: rights.until,
    guardUntil: rights.guardUntil
  }

const countsOf = (
  {
    accepted,
    conflicts,
    failed,
    failovers,
    heartbeats,
    limited,
    malformed,
    missed,
    refuted,
    rejected,
    suspended,
    votes
  }: Runtime["counters"]
): Counters => ({
  accepted,
  rejected,
  failed,
  limited,
  heartbeats,
  malformed,
  votes,
  missed,
  conflicts,
  failovers,
  refuted,
  suspended
})

/** Snapshot of a member. */
export const reportOf = ({ counters, frontend, latest, notices, now, rules, state }: Runtime): Effect.Effect<Report> =>
  Effect.zipWith(SubscriptionRef.get(latest), frontend.connections, (transition, connections): Report => {
    const at = now()
    const { member } = state
    return {
      at,
      transition,
      answers: !state.isOver && member.phase._tag === "Serving" && Member.admission(rules, member, at) === "Accept",
      term: state.isOver ? undefined : Member.termOf(member),
      peer: {
        state: member.peer?.state,
        lastHeartbeatAt: member.peer?.receivedAt,
        isExpired: isPeerSilent(rules, member, at),
        unreceivedSince: isPeerSilent(rules, member, at) ? undefined : Member.unreceivedSince(rules, member, at),
        isLegacy: member.peer && member.peer.heartbeat === undefined,
        malformed: member.peer === undefined ? state.malformed : undefined
      },
      suspension: notices.suspension(),
      counters: countsOf(counters),
      connections,
      latency: counters.latency.get(),
      failover: counters.failover.get(),
      takeoverBlock: Member.blockAt(rules, member, at),
      witness: witnessOf(rules, member, counters)
    }
  })

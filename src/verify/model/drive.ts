/** What can happen to a member, as inputs of the core, and what the core's outputs lead to. */
import * as Dialogue from "../../member/Dialogue.ts"
import type * as Core from "../../member/Member.ts"
import type { Heartbeat } from "../../protocol/Heartbeat.ts"
import { stateOnly } from "../../protocol/Heartbeat.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"

/**
 * A message of a member: the state that it reports, or the final heartbeat of an active member. That is late if its receiver has
 * reported another state than PASSIVE since it sent what the heartbeat echoes, or was another process then.
 */
export type MessageKind = StateMachine.PeerState | "HANDS_OVER" | "HANDS_OVER_LATE"

/**
 * What can happen to a member. At `PeerSenior` and `PeerJunior` the peer reports ACTIVE, for longer than this member, or not. Evidence is fresh, or older than the peer's last sign of life. A watched request reaches a member
 * with a subscriber at its state port. A stale heartbeat was received before a stall ended. A process runs again and finds its
 * peer's state port open, or refused, or that the connection to it was lost.
 */
export type Stimulus =
  | "PeerPrimary"
  | "PeerBackup"
  | "PeerActive"
  | "PeerPassive"
  | `${"Primary" | "Backup"}HandsOver${"" | "Late"}`
  | "PeerSenior"
  | "PeerJunior"
  | `Stale${"Primary" | "Backup" | "Active" | "Passive" | "HandsOver"}`
  | "FreshEvidence"
  | "StaleEvidence"
  | "LinkConnecting"
  | "LinkConnected"
  | "LinkLost"
  | "SubscriberJoined"
  | "HeartbeatDue"
  | "Run"
  | "RunAlone"
  | "RunDisconnected"
  | "Request"
  | "WatchedRequest"
  | "Promote"
  | "HandOver"
  | "Stop"
  | "Drained"
  | "TermEnded"

const peerDown = (asOf: number): Core.Input => ({
  _tag: "PeerDown",
  evidence: { _tag: "ConnectionRefused", endpoint: "the peer's endpoint", asOf },
  linkEpoch: 0
})

const staleEpoch = -1

/** The life of each member. */
export const life = "its life"

/** What every member has sent: something else, and then that it is passive. Only a passive one ever looks. */
const sentBefore: Dialogue.Sent = { sequence: 1, at: 0, state: "ACTIVE", question: undefined }
const sentNow: Dialogue.Sent = { sequence: 2, at: 0, state: "PASSIVE", question: undefined }
export const dialogue: Dialogue.Dialogue = { ...Dialogue.empty, sequence: 2, sent: [sentBefore, sentNow] }

const heartbeat = (state: StateMachine.PeerState, linkEpoch = 0): Core.Input => ({
  _tag: "PeerHeartbeat",
  state,
  receivedAt: 0,
  linkEpoch
})

/** A heartbeat that says more than its state, and echoes one that its receiver has sent. */
const identified = (
  state: StateMachine.PeerState,
  more: Partial<Heartbeat>,
  echo: Dialogue.Sent = sentNow
): Core.Input => ({
  _tag: "PeerHeartbeat",
  state,
  heartbeat: {
    life: "its peer's life",
    sequence: 1,
    state,
    ...stateOnly,
    received: { life, sequence: echo.sequence },
    ...more
  },
  receivedAt: 0,
  linkEpoch: 0
})

const vote = (hasSubscriber: boolean): Core.Input => ({ _tag: "Vote", voter: "a client", hasSubscriber })

const inputsOf: { readonly [S in Stimulus]: ReadonlyArray<Core.Input> } = {
  PeerPrimary: [heartbeat("PRIMARY")],
  PeerBackup: [heartbeat("BACKUP")],
  PeerActive: [heartbeat("ACTIVE")],
  PeerPassive: [heartbeat("PASSIVE")],
  PrimaryHandsOver: [identified("PRIMARY", { handsOver: true })],
  BackupHandsOver: [identified("BACKUP", { handsOver: true })],
  PrimaryHandsOverLate: [identified("PRIMARY", { handsOver: true }, sentBefore)],
  BackupHandsOverLate: [identified("BACKUP", { handsOver: true }, sentBefore)],
  PeerSenior: [identified("ACTIVE", { activeMillis: 1 })],
  PeerJunior: [identified("ACTIVE", { activeMillis: 0 })],
  StaleHandsOver: [heartbeat("PASSIVE", staleEpoch)],
  StalePrimary: [heartbeat("PRIMARY", staleEpoch)],
  StaleBackup: [heartbeat("BACKUP", staleEpoch)],
  StaleActive: [heartbeat("ACTIVE", staleEpoch)],
  StalePassive: [heartbeat("PASSIVE", staleEpoch)],
  FreshEvidence: [peerDown(0)],
  StaleEvidence: [peerDown(Number.NEGATIVE_INFINITY)],
  LinkConnecting: [{ _tag: "LinkConnecting" }],
  LinkConnected: [{ _tag: "LinkConnected" }],
  LinkLost: [{ _tag: "LinkLost" }],
  SubscriberJoined: [{ _tag: "SubscriberJoined" }],
  HeartbeatDue: [{ _tag: "HeartbeatDue" }],
  Run: [],
  RunAlone: [],
  RunDisconnected: [{ _tag: "LinkLost" }],
  Request: [vote(false)],
  WatchedRequest: [vote(true)],
  Promote: [{ _tag: "Promote", id: 1, reason: "" }],
  HandOver: [{ _tag: "HandOver", id: 2, reason: "" }],
  Stop: [{ _tag: "Stop" }],
  Drained: [{ _tag: "RequestsDrained" }],
  TermEnded: [{ _tag: "TermEnded", end: 0 }]
}

/** Every stimulus. */
export const stimuli = Object.keys(inputsOf) as ReadonlyArray<Stimulus>

/** Everything that has followed from a stimulus so far. */
export interface Run {
  member: Core.Member
  readonly published: Array<MessageKind>
  /** Whether the state port is closed behind the last of the published states. */
  isPortClosed: boolean
  isAborted: boolean
  isExited: boolean
  readonly logs: Array<string>
}

/**
 * Performs outputs at once, in order, as a runtime does. All messages that have arrived were delivered before, and everything that
 * runs in a term is finalized at once.
 */
export const drive = (
  step: (member: Core.Member, inputs: ReadonlyArray<Core.Input>) => ReturnType<typeof Core.step>,
  member: Core.Member,
  stimulus: Stimulus
): Readonly<Run> => {
  const run: Run = { member, published: [], isPortClosed: false, isAborted: false, isExited: false, logs: [] }
  const pending: Array<Core.Output> = []
  const give = (inputs: ReadonlyArray<Core.Input>) => {
    const { member, outputs } = step(run.member, inputs)
    run.member = member
    pending.push(...outputs)
  }
  give(inputsOf[stimulus])
  for (let output = pending.shift(); output !== undefined; output = pending.shift()) {
    switch (output._tag) {
      case "Publish":
        run.published.push(output.heartbeat.handsOver ? "HANDS_OVER" : output.state)
        run.isPortClosed ||= output.isFinal
        if (output.isHeartbeat) {
          give([{ _tag: "HeartbeatSent", startedAt: 0, isPortOpen: true }])
        }
        break
      case "ReadLink":
        give([{ _tag: "LinkRead", at: 0, hasSubscriber: stimulus === "WatchedRequest" }])
        break
      case "ResetLink":
        give([{ _tag: "LinkReset", refusal: stimulus === "RunAlone" ? { triedAt: 0, knownAt: 0 } : undefined }])
        break
      case "EndTerm":
        if (output.isSilent) {
          give([{ _tag: "TermEnded", end: output.end }])
        }
        break
      case "Log":
        run.logs.push(output.message)
        break
      case "Abort":
        run.isAborted = true
        break
      case "Exit":
        run.isExited = true
        break
    }
  }
  return run
}

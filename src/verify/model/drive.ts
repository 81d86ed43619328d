/** What can happen to a member, as inputs of the core, and what the core's outputs lead to. */
import type * as Core from "../../member/Member.ts"
import type * as StateMachine from "../../protocol/StateMachine.ts"

/**
 * What can happen to a member. Evidence is fresh, or older than the peer's last sign of life. A watched request reaches a member
 * with a subscriber at its state port. A stale heartbeat was received before a stall ended. A process runs again and finds its
 * peer's state port open, or refused, or that the connection to it was lost.
 */
export type Stimulus =
  | "PeerPrimary"
  | "PeerBackup"
  | "PeerActive"
  | "PeerPassive"
  | `Stale${"Primary" | "Backup" | "Active" | "Passive"}`
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

const heartbeat = (state: StateMachine.PeerState, linkEpoch = 0): Core.Input => ({
  _tag: "PeerHeartbeat",
  state,
  receivedAt: 0,
  linkEpoch
})

const vote = (hasSubscriber: boolean): Core.Input => ({ _tag: "Vote", voter: "a client", hasSubscriber })

const inputsOf: { readonly [S in Stimulus]: ReadonlyArray<Core.Input> } = {
  PeerPrimary: [heartbeat("PRIMARY")],
  PeerBackup: [heartbeat("BACKUP")],
  PeerActive: [heartbeat("ACTIVE")],
  PeerPassive: [heartbeat("PASSIVE")],
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
  readonly published: Array<StateMachine.PeerState>
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
        run.published.push(output.state)
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

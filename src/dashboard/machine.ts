/**
 * The state machine as it is drawn, taken from the policies themselves, and the words for what moves it.
 */
import * as Policies from "../protocol/Policies.ts"
import * as StateMachine from "../protocol/StateMachine.ts"

/** An arrow of the drawing: by which events a server goes from one state to another. */
export interface Edge {
  readonly from: StateMachine.State
  readonly to: StateMachine.State
  readonly events: ReadonlyArray<StateMachine.Event["_tag"]>
}

/** The states that a cell can lead to, whatever it depends on. */
const nextOf = (cell: StateMachine.Cell): ReadonlyArray<StateMachine.State> => {
  switch (cell._tag) {
    case "TakeOver":
      return ["ACTIVE"]
    case "ByReceived":
      return [...nextOf(cell.received), ...nextOf(cell.unreceived)]
    case "ServeAlone":
      return nextOf(cell.cell)
    case "KeepIfAlone":
      return nextOf(cell.otherwise)
    default:
      return "state" in cell ? [cell.state] : []
  }
}

/** All arrows of a policy, those of both roles in one drawing. */
export const edgesOf = (policy: StateMachine.Policy): ReadonlyArray<Edge> =>
  StateMachine.states.flatMap((from) =>
    StateMachine.states.flatMap((to) => {
      const events = StateMachine.eventTags.filter((event) =>
        from !== to && [policy.primary, policy.backup].some((table) => {
          const cell = table[from]?.[event]
          return cell !== undefined && nextOf(cell).includes(to)
        })
      )
      return events.length === 0 ? [] : [{ from, to, events }]
    })
  )

/** The arrows of every policy. */
export const edges = Object.fromEntries(
  Policies.policyNames.map((name) => [name, edgesOf(Policies.policies[name])])
)

/** What moved a server, for people. */
export const causes: { readonly [C in StateMachine.Event["_tag"] | "Start" | "End"]: string } = {
  Start: "it was started",
  End: "it ended",
  PeerPrimary: "the peer says PRIMARY",
  PeerBackup: "the peer says BACKUP",
  PeerActive: "the peer says ACTIVE",
  PeerPassive: "the peer says PASSIVE",
  PeerDown: "the peer is gone",
  LinkConnecting: "the connection to the peer is being made",
  LinkConnected: "the connection to the peer is made",
  LinkLost: "the connection to the peer is lost",
  ClientRequest: "vote: a client asked",
  BrieflyStalled: "it stood still for a moment",
  Stalled: "it stood still for too long",
  Stopping: "it was asked to stop",
  HandOver: "an operator hands over",
  Promote: "an operator promotes it"
}

/**
 * Tells a trace as what happens to whom, and when.
 *
 * @since 0.1.0
 */
import type * as StateMachine from "../../protocol/StateMachine.ts"
import type * as Explore from "./Explore.ts"
import * as Model from "./Model.ts"
import type * as Reactions from "./reactions.ts"

/**
 * One thing that happens, so many ticks after the beginning.
 *
 * @since 0.1.0
 * @category models
 */
export interface Line {
  readonly tick: number
  readonly who: StateMachine.Role | "link" | "pair"
  readonly what: string
}

/**
 * The story of a violation, from nothing to what is wrong in the end.
 *
 * @since 0.1.0
 * @category combinators
 */
export const tell = (model: Model.Model, { property, trace }: Explore.Violation): ReadonlyArray<Line> => {
  const lines: Array<Line> = []
  let world = model.initial
  let tick = 0
  const go = (move: Model.Move) => {
    const reactions: Array<Line> = []
    const after = model.after(world, move, (side, stimulus, reaction) => {
      reactions.push({
        tick,
        who: Model.roles[side],
        what: tellReaction(stimulus, reaction, world.processes[side].node)
      })
    })
    if (after === undefined) {
      throw new Error(`${move._tag} is not possible at tick ${tick}`)
    }
    world = after
    tick += move._tag === "Tick" ? 1 : 0
    const what = tellMove(move, world)
    if (what !== undefined) {
      lines.push({ tick, who: "side" in move ? Model.roles[move.side] : "link", what })
    }
    lines.push(...reactions)
  }
  trace.forEach(go)
  switch (property.name) {
    case "dual-answer":
    case "dual-answer-under-cut":
      for (const side of [0, 1] as const) {
        if (model.after(world, { _tag: "Ask", side }) === undefined) {
          lines.push({ tick, who: Model.roles[side], what: "answers a client" })
        } else {
          go({ _tag: "Ask", side })
        }
      }
      break
    case "both-passive":
    case "no-answer":
      lines.push({ tick, who: "pair", what: `has not answered for ${world.unanswered} ticks` })
      break
    case "stale-term":
    case "abort":
      break
  }
  return lines
}

/** What a move is by itself, if it is more than what the member makes of it. */
const tellMove = (move: Model.Move, { processes }: Model.World): string | undefined => {
  switch (move._tag) {
    case "Cut":
      return "is cut"
    case "Heal":
      return "is whole again"
    case "Start":
      return `starts as ${processes[move.side].node.member.protocol.state}`
    case "Kill":
      return "dies"
    case "Pause":
      return "stands still"
    case "Resume":
      return "goes on"
    case "Suspect":
      return "finds that its peer's state port refuses connections"
    case "Subscribe":
      return "has subscribed to its peer"
    case "Break":
      return "loses the connection to its peer"
    case "Tick":
    case "Connect":
    case "Greet":
    case "Stop":
    case "Hear":
    case "Learn":
    case "Beat":
    case "HandOver":
    case "Drain":
    case "EndTerm":
    case "Ask":
    case "Promote":
      return undefined
  }
}

const stimulusText: { readonly [S in Exclude<Reactions.Stimulus, "Request" | "WatchedRequest">]: string } = {
  LinkConnecting: "is being connected to its peer",
  LinkConnected: "is connected to its peer",
  LinkLost: "has lost the connection to its peer",
  PeerPrimary: "receives PRIMARY",
  PeerBackup: "receives BACKUP",
  PeerActive: "receives ACTIVE",
  PeerPassive: "receives PASSIVE",
  StalePrimary: "receives PRIMARY from before its stall",
  StaleBackup: "receives BACKUP from before its stall",
  StaleActive: "receives ACTIVE from before its stall",
  StalePassive: "receives PASSIVE from before its stall",
  FreshEvidence: "finds its peer down",
  StaleEvidence: "finds that its peer was down before its last heartbeat",
  SubscriberJoined: "has a subscriber",
  HeartbeatDue: "sends a heartbeat",
  Run: "has stalled",
  RunAlone: "has stalled, and its peer's state port refuses connections",
  RunDisconnected: "has stalled, and has lost the connection to its peer",
  Promote: "is promoted",
  HandOver: "is to hand over",
  Stop: "is to stop",
  Drained: "has completed its requests",
  Woken: "has no more time to drain",
  TermEnded: "has ended its term"
}

const tellReaction = (
  stimulus: Reactions.Stimulus,
  { isAccepted, isExited, messages, node, published }: Reactions.Reaction,
  before: Reactions.Node
): string => {
  const what = stimulus === "Request" || stimulus === "WatchedRequest"
    ? isAccepted ? "answers a client" : "rejects a client"
    : stimulusText[stimulus]
  const { state } = node.member.protocol
  const becomes = state === before.member.protocol.state ? "" : `, becomes ${state}`
  const publishes = published.length === 0 ? "" : `, publishes ${published.join(" and ")}`
  const logs = messages.map((message) => `: "${message}"`).join("")
  return `${what}${becomes}${publishes}${isExited ? ", exits" : ""}${logs}`
}

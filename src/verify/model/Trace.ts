/** A counterexample as lines of text: what happens, to which server, and when. */
import type * as StateMachine from "../../protocol/StateMachine.ts"
import type { Stimulus } from "./drive.ts"
import type * as Explore from "./Explore.ts"
import * as Model from "./Model.ts"
import type { Reaction, ReactionNode } from "./reactions.ts"

/**
 * One event, with the ticks since the beginning.
 *
 * @category models
 */
export interface Line {
  readonly tick: number
  readonly subject: StateMachine.Role | "link" | "pair"
  readonly text: string
}

/**
 * The events that lead from the first state to a violation, and what is wrong there.
 *
 * @category combinators
 */
export const linesOf = (model: Model.Model, { property, trace }: Explore.Violation): ReadonlyArray<Line> => {
  const lines: Array<Line> = []
  let world = model.initial
  let tick = 0
  const follow = (move: Model.Move) => {
    const reactions: Array<Line> = []
    const after = model.after(world, move, (side, stimulus, reaction) => {
      const text = printReaction(stimulus, reaction, world.processes[side].node)
      reactions.push({ tick, subject: Model.roles[side], text })
    })
    if (after === undefined) {
      throw new Error(`${move._tag} is not possible at tick ${tick}`)
    }
    world = after
    tick += move._tag === "Tick" ? 1 : 0
    const text = printMove(move, world)
    if (text !== undefined) {
      lines.push({ tick, subject: "side" in move ? Model.roles[move.side] : "link", text })
    }
    lines.push(...reactions)
  }
  trace.forEach(follow)
  switch (property.name) {
    case "dual-answer":
    case "dual-answer-under-cut":
      for (const side of [0, 1] as const) {
        if (model.after(world, { _tag: "Request", side }) === undefined) {
          lines.push({ tick, subject: Model.roles[side], text: "answers a client" })
        } else {
          follow({ _tag: "Request", side })
        }
      }
      break
    case "both-passive":
    case "no-answer":
      lines.push({ tick, subject: "pair", text: `has not answered for ${world.unanswered} ticks` })
      break
    case "stale-term":
    case "abort":
      break
  }
  return lines
}

/** The text of a move, if it is more than the reactions of members. */
const printMove = (move: Model.Move, { processes }: Model.World): string | undefined =>
  move._tag === "Start" ? `starts as ${processes[move.side].node.member.protocol.state}` : moveText[move._tag]

const moveText: { readonly [T in Model.Move["_tag"]]?: string } = {
  Cut: "is cut",
  Heal: "is whole again",
  Kill: "is killed",
  Pause: "is paused",
  Resume: "is resumed",
  Probe: "finds that its peer's state port refuses connections",
  Subscribe: "has subscribed to its peer",
  Disconnect: "loses the connection to its peer"
}

const stimulusText: { readonly [S in Exclude<Stimulus, "Request" | "WatchedRequest">]: string } = {
  LinkConnecting: "is being connected to its peer",
  LinkConnected: "is connected to its peer",
  LinkLost: "has lost the connection to its peer",
  PeerPrimary: "receives PRIMARY",
  PeerBackup: "receives BACKUP",
  PeerActive: "receives ACTIVE",
  PeerPassive: "receives PASSIVE",
  PrimaryHandsOver: "is handed over to",
  BackupHandsOver: "is handed over to",
  PrimaryHandsOverLate: "is handed over to, too late",
  BackupHandsOverLate: "is handed over to, too late",
  PeerSenior: "receives ACTIVE of a peer that has been active for longer",
  PeerJunior: "receives ACTIVE of a peer that has not been active for longer",
  StaleHandsOver: "is handed over to before its stall",
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
  TermEnded: "has ended its term"
}

const printReaction = (
  stimulus: Stimulus,
  { isAccepted, isExited, logs, node, published }: Reaction,
  before: ReactionNode
): string => {
  const request = isAccepted ? "answers a client" : "rejects a client"
  const { state } = node.member.protocol
  return [
    stimulus === "Request" || stimulus === "WatchedRequest" ? request : stimulusText[stimulus],
    state === before.member.protocol.state ? "" : `, becomes ${state}`,
    published.length === 0 ? "" : `, publishes ${published.join(" and ")}`,
    isExited ? ", exits" : "",
    ...logs.map((message) => `: "${message}"`)
  ].join("")
}

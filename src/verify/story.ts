/**
 * Tells a trace as what happens to whom, and when.
 *
 * @since 0.1.0
 */
import * as Fsm from "../Fsm.ts"
import type * as Explore from "./explore.ts"
import type * as Member from "./Member.ts"
import * as Model from "./Model.ts"

/**
 * One thing that happens, so many ticks after the beginning.
 *
 * @since 0.1.0
 * @category models
 */
export interface Line {
  readonly tick: number
  readonly who: Fsm.Role | "link" | "pair"
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
        what: tellReaction(stimulus, reaction, world.processes[side].member)
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
    case "abort":
    case "stale-term":
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
      return `starts as ${processes[move.side].member.state}`
    case "Kill":
      return "dies"
    case "Pause":
      return "stands still"
    case "Resume":
      return "goes on"
    case "Beat":
      return `says ${Fsm.wordOf[processes[move.side].member.state] ?? "nothing"}`
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
    case "Yield":
    case "Ask":
    case "Promote":
      return undefined
  }
}

const stimulusText: { readonly [S in Exclude<Member.Stimulus, "ClientRequest" | "WatchedRequest">]: string } = {
  LinkConnecting: "is being connected to its peer",
  LinkConnected: "is connected to its peer",
  LinkLost: "has lost the connection to its peer",
  PeerPrimary: "hears PRIMARY",
  PeerBackup: "hears BACKUP",
  PeerActive: "hears ACTIVE",
  PeerPassive: "hears PASSIVE",
  FreshEvidence: "learns that its peer is gone",
  StaleEvidence: "learns that its peer was gone before its last word",
  Late: "was late",
  Slept: "has slept",
  SleptAlone: "has slept, and finds that it has no peer",
  Stopping: "is stopped",
  Yield: "hands over",
  Promote: "is promoted"
}

const tellReaction = (
  stimulus: Member.Stimulus,
  { member, outcome: { publish, say, verdict } }: Member.Reaction,
  before: Member.Member
): string => {
  const told = stimulus === "ClientRequest" || stimulus === "WatchedRequest"
    ? verdict._tag === "Accept" ? "answers a client" : "refuses a client"
    : stimulusText[stimulus]
  const becomes = member.state === before.state ? "" : `, is ${member.state}`
  const says = publish === undefined ? "" : `, says ${publish}`
  return `${told}${becomes}${says}${say === undefined ? "" : `: "${say}"`}`
}

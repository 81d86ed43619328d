/** A counterexample of two members with a witness as lines of text: what happens, to which server, and when. */
import type * as StateMachine from "../../protocol/StateMachine.ts"
import * as Term from "../../protocol/Term.ts"
import { apply, type Move, type Violation } from "./WitnessExplore.ts"
import { serviceTicks } from "./WitnessModel.ts"
import * as World from "./witnessWorld.ts"

/**
 * One event, with the ticks since the beginning.
 *
 * @category models
 */
export interface Line {
  readonly tick: number
  readonly subject: StateMachine.Role | "witness" | "pair"
  readonly text: string
}

const roles = ["primary", "backup"] as const

const texts: { readonly [N in World.MoveName]: string } = {
  say: "sends a heartbeat",
  stand: "sends a heartbeat",
  receiveAndAcknowledge: "receives it and promises, which its peer receives at once",
  receive: "receives the heartbeat; what it answers is lost",
  refused: "finds that its peer's state port refuses connections",
  vote: "receives a request",
  beat: "asks the witness what is due with a heartbeat",
  giveUp: "gives up its question to the witness",
  execute: "",
  conflict: "learns from the witness that the record has changed",
  executeLate: "",
  answered: "receives the answer of the witness",
  bound: "has bound its state port",
  leave: "waits no longer for its peer to be active",
  drained: "has completed its requests",
  termEnded: "has ended its term",
  handOver: "is to hand over",
  stop: "is stopped",
  kill: "is killed",
  start: "starts",
  pause: "is paused",
  resume: "is resumed"
}

interface View {
  readonly setup: World.Setup
  readonly state: World.State
  /** Terms that the witness has recorded so far. */
  readonly takes: number
}

const format = ({ takes }: View, term: { readonly behind: number; readonly step: number } | undefined): string =>
  term === undefined ? "no term" : `term ${Term.format({ number: takes - term.behind, step: term.step })}`

/** How a member changes with a move. */
const changeOf = (before: View, after: View, side: World.Side): string => {
  const [was, is] = [World.nodeOf(before.setup, before.state, side), World.nodeOf(after.setup, after.state, side)]
  const isFollowing = is !== undefined && !is.isActive && format(after, is.known) !== format(before, was?.known)
  if (is === undefined || was?.isActive === is.isActive) {
    return isFollowing && is.known !== undefined ? `, follows ${format(after, is.known)}` : ""
  }
  if (is.isActive) {
    return `, becomes active with ${format(after, is.term)}`
  }
  return was?.isActive === true ? ", ceases to be active" : ""
}

const printHeartbeat = (view: View, side: World.Side): string => {
  const said = World.saidBy(view.state, side)
  return said === undefined ? "" : `: ${said.question ?? "hands over"}, ${format(view, said.term)}`
}

const printMove = (before: View, after: View, move: Move): ReadonlyArray<Omit<Line, "tick">> => {
  if (move.name === "tick") {
    return World.sides.flatMap((side) => {
      const text = changeOf(before, after, side)
      return text === "" ? [] : [{ subject: roles[side], text: `has no right left${text}` }]
    })
  }
  const { name, side } = move
  const peer = World.other(side)
  if (name === "execute" || name === "executeLate") {
    const late = name === "execute" ? "" : " that it gave up long ago"
    const record = format(after, World.recorded(after.state))
    return [{ subject: "witness", text: `executes what the ${roles[side]} asked${late}: ${record}` }]
  }
  const heard = name === "receive" || name === "receiveAndAcknowledge" ? printHeartbeat(before, peer) : ""
  const said = name === "say" || name === "stand" ? printHeartbeat(after, side) : ""
  const text = `${texts[name]}${said}${heard}${changeOf(before, after, side)}`
  const other = changeOf(before, after, peer)
  return [{ subject: roles[side], text }, ...(other === "" ? [] : [{ subject: roles[peer], text: other.slice(2) }])]
}

/**
 * The events that lead from the first state to a violation, and what is wrong there.
 *
 * @category combinators
 */
export const linesOf = (setup: World.Setup, { property, situation, trace }: Violation): ReadonlyArray<Line> => {
  const lines: Array<Line> = []
  const state = World.initial()
  let tick = 0
  let view: View = { setup, state: state.slice(), takes: 0 }
  for (const move of trace) {
    const raises = World.willRaise(setup, state, move)
    apply(setup, state, move)
    World.check(setup, state)
    tick += move.name === "tick" ? 1 : 0
    const after: View = { setup, state: state.slice(), takes: view.takes + Number(raises) }
    lines.push(...printMove(view, after, move).map((line) => ({ tick, ...line })))
    view = after
  }
  if (situation !== undefined) {
    const text = `${situation}: ${
      property.name === "no-answer" ? `none answers for longer than ${serviceTicks} ticks` : "both answer"
    }`
    return [...lines, { tick, subject: "pair", text }]
  }
  return [
    ...lines,
    ...World.sides.flatMap((side): ReadonlyArray<Line> =>
      World.serves(setup, state, side)
        ? [{
          tick,
          subject: roles[side],
          text: `answers a client in ${format(view, World.nodeOf(setup, state, side)!.term)}`
        }]
        : []
    )
  ]
}

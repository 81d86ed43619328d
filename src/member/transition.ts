/** Carries out what the state machine says: the one place where a member's state changes. */
import * as StateMachine from "../protocol/StateMachine.ts"
import type { Output, Rules, Transition, Turn } from "./data.ts"

/** What is told of a transition besides its message. */
export type Why = Partial<Pick<Transition, "explanation" | "reason">>

const publication = ({ next, publish }: StateMachine.Outcome): ReadonlyArray<Output> =>
  publish === undefined ? [] : [{
    _tag: "Publish",
    state: publish,
    // A state without heartbeats also closes the port, so that the peer detects it.
    isFinal: StateMachine.reportedState[next.state] === undefined,
    isHeartbeat: false
  }]

/** Whether requests are accepted in a state, so that something may run in it. Requests in any other change it, or are rejected. */
export const accepts = ({ policy, role }: Rules, state: StateMachine.State): boolean =>
  policy[role][state]?.ClientRequest._tag === "Stay"

/** What the step from one state to another is, for watchers and logs. */
export const describe = (
  turn: Turn,
  outcome: StateMachine.Outcome,
  cause: Transition["cause"],
  why: Why
): Transition => ({
  from: turn.member.protocol.state,
  to: outcome.next.state,
  cause,
  message: outcome.message ?? cause,
  explanation: why.explanation,
  reason: why.reason,
  at: turn.now
})

const announce = (outcome: StateMachine.Outcome, transition: Transition): ReadonlyArray<Output> =>
  outcome.message === undefined ? [] : [{
    _tag: "Log",
    level: outcome.verdict._tag === "Fatal" ? "Error" : "Info",
    message: outcome.message,
    ...(transition.from === transition.to && outcome.verdict._tag !== "Fatal" ? {} : { transition })
  }]

interface Change {
  readonly transition: Transition
  readonly isTermOver: boolean
  /** What follows once nothing runs in the term any more. */
  readonly then: ReadonlyArray<Output>
}

const change = (turn: Turn, outcome: StateMachine.Outcome, cause: Transition["cause"], why: Why): Change => {
  const transition = describe(turn, outcome, cause, why)
  const { from, to } = transition
  const isActivated = from !== to && to === "ACTIVE"
  const { phase } = turn.member
  const isTermAgain = isActivated && phase._tag === "EndingTerm"
  turn.member = {
    ...turn.member,
    protocol: outcome.next,
    // A term that begins while the one before ends has to be ended as well, at once.
    phase: isTermAgain ? { ...phase, _tag: "Draining", until: turn.now } : phase
  }
  // A server that is reported active has told its peer so, which would not take over from it otherwise.
  turn.outputs.push(...(isActivated ? publication(outcome) : []), ...announce(outcome, transition))
  return {
    transition,
    isTermOver: from !== to && to !== "ACTIVE" && accepts(turn.rules, from),
    then: [
      ...(from === to ? [] : [{ _tag: "Transitioned", transition } as const]),
      ...(isActivated ? [{ _tag: "BeginTerm", transition } as const] : publication(outcome)),
      ...(isTermAgain ? [{ _tag: "WakeAt", at: turn.now } as const] : [])
    ]
  }
}

/**
 * Makes the member what an outcome says. Where that ends a term, everything that ran in it is finalized before another state is
 * reported.
 */
export const become = (turn: Turn, outcome: StateMachine.Outcome, cause: Transition["cause"], why: Why = {}): void => {
  const { isTermOver, then, transition } = change(turn, outcome, cause, why)
  const { verdict } = outcome
  if (!isTermOver && verdict._tag !== "Fatal") {
    turn.outputs.push(...then)
    return
  }
  const end = turn.member.ends + 1
  turn.outputs.push({ _tag: "EndTerm", end, transition, isSilent: true })
  turn.member = {
    ...turn.member,
    ends: end,
    phase: verdict._tag === "Fatal" ? { _tag: "Stopped" } : turn.member.phase,
    wait: {
      _tag: "TermEnded",
      end,
      then: verdict._tag === "Fatal" ? [{ _tag: "Abort", reason: verdict.reason }] : then,
      isStalled: false,
      deferred: []
    }
  }
}

/** The same where the term has ended before. */
export const becomeAfterTerm = (
  turn: Turn,
  outcome: StateMachine.Outcome,
  cause: Transition["cause"],
  why: Why = {}
): void => {
  turn.outputs.push(...change(turn, outcome, cause, why).then)
}

/** Tells the state machine of an event. */
export const advance = (turn: Turn, event: StateMachine.Event, why?: Why): void =>
  become(turn, StateMachine.step(turn.rules, turn.member.protocol, event), event._tag, why)

/** Publishes the state, where it has heartbeats. */
export const publishState = (turn: Turn, isHeartbeat: boolean): boolean => {
  const state = StateMachine.reportedState[turn.member.protocol.state]
  if (state !== undefined) {
    turn.outputs.push({ _tag: "Publish", state, isFinal: false, isHeartbeat })
  }
  return state !== undefined
}

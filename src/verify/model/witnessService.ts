/** Whether clients are answered soon, from a state that was reached, once two of the three can talk. */
import * as World from "./witnessWorld.ts"

/** What works: which sides run, whether the witness answers, whether the link carries heartbeats, whether refusals are seen. */
export interface Situation {
  readonly name: string
  readonly up: ReadonlyArray<World.Side>
  readonly hasWitness: boolean
  readonly hasLink: boolean
  readonly hasEvidence: boolean
  /** Whether a server that did not serve may refuse: it is one of three. */
  readonly isMinority: boolean
}

const situation = (
  name: string,
  up: ReadonlyArray<World.Side>,
  works: Partial<Pick<Situation, "hasWitness" | "hasLink" | "hasEvidence" | "isMinority">>
): Situation => ({ name, up, hasWitness: false, hasLink: false, hasEvidence: false, isMinority: false, ...works })

export const situations: ReadonlyArray<Situation> = [
  situation("all is whole", [0, 1], { hasWitness: true, hasLink: true }),
  situation("the link is cut", [0, 1], { hasWitness: true }),
  situation("the witness is dead", [0, 1], { hasLink: true }),
  situation("one host is dead", [0], { hasWitness: true }),
  situation("one process is dead", [0], { hasWitness: true, hasEvidence: true }),
  situation("the witness and one process are dead", [0], { hasEvidence: true, isMinority: true })
]

/** The ticks until one serves, and goes on to; `two` if ever both do. */
export type Service = number | "none" | "two" | "refuses"

const rounds = 3

/** Half a heartbeat in which everything works that can. */
const workFor = (setup: World.Setup, state: World.State, works: Situation, tick: number): void => {
  const { moves } = World
  for (let round = 0; round < rounds; round++) {
    for (const side of works.up) {
      if (works.hasLink) {
        if (!works.hasWitness && round === 0) {
          moves.giveUp(setup, state, side)
        }
        // The primary stands where it cannot resume.
        if (round === 0 && !(side === 0 && tick % 2 === 1 && moves.stand(setup, state, side))) {
          moves.say(setup, state, side)
        }
        if (!moves.receiveAndAcknowledge(setup, state, side)) {
          moves.receive(setup, state, side)
        }
      }
      if (works.hasEvidence) {
        moves.refused(setup, state, side)
      }
      if (works.hasWitness || works.hasEvidence) {
        moves.vote(setup, state, side)
      }
      moves.bound(setup, state, side)
      moves.leave(setup, state, side)
      moves.drained(setup, state, side)
      moves.termEnded(setup, state, side)
      if (works.hasWitness) {
        moves.answered(setup, state, side)
        moves.beat(setup, state, side)
        moves.execute(setup, state, side)
        moves.answered(setup, state, side)
        moves.conflict(setup, state, side)
      } else {
        World.loseQuestions(state, side)
      }
    }
  }
}

/** What becomes of a state in a situation, within `limit` ticks. */
export const serviceFrom = (
  setup: World.Setup,
  start: World.State,
  works: Situation,
  limit: number
): Service => {
  const state = start.slice()
  // One that is about to stop or to hand over leaves the majority of its own will.
  const servedAtStart = World.serves(setup, state, 0) && World.nodeOf(setup, state, 0)?.phase === "Serving"
  for (const side of World.sides) {
    World.setUp(setup, state, side, works.up.includes(side))
  }
  let since: number | undefined
  for (let tick = 0; tick < limit + 2 * setup.graph.guardTicks; tick++) {
    workFor(setup, state, works, tick)
    const isFirst = World.serves(setup, state, 0)
    const isSecond = World.serves(setup, state, 1)
    if (isFirst && isSecond) {
      return "two"
    }
    since = isFirst || isSecond ? since ?? tick : undefined
    World.tick(setup, state)
  }
  if (since === undefined || since > limit) {
    return works.isMinority && !servedAtStart ? "refuses" : "none"
  }
  return since
}

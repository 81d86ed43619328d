/** What must never be. */
import { bothAnswer } from "./answers.ts"
import { heartbeatTicks, type Setup } from "./setup.ts"
import { isLinkProven, serviceOf, type World } from "./world.ts"

/**
 * A property of the pair, and whether a state of the world violates it. A violation of an informative one is reported, but is no
 * fault.
 *
 * @category models
 */
export interface Property {
  readonly name: "dual-answer" | "dual-answer-under-cut" | "stale-term" | "abort" | "both-passive" | "no-answer"
  /** What must never be, with the time that it may take in this model. */
  readonly sentence: (setup: Setup) => string
  /** Where it may be all the same. */
  readonly exception?: string
  readonly isInformative: boolean
  readonly isViolated: (setup: Setup, world: World) => boolean
}

const heartbeats = (ticks: number): string => `${ticks / heartbeatTicks} heartbeats`

/**
 * All properties.
 *
 * @category constants
 */
export const properties: ReadonlyArray<Property> = [
  {
    name: "dual-answer",
    sentence: () => "two clients that send requests to both servers at one instant are both answered",
    isInformative: false,
    isViolated: (setup, world) => isLinkProven(world) && bothAnswer(setup, world)
  },
  {
    name: "dual-answer-under-cut",
    sentence: () => "both servers answer while the link between them is cut, or until it has healed",
    isInformative: true,
    isViolated: (setup, world) => !isLinkProven(world) && bothAnswer(setup, world)
  },
  {
    name: "stale-term",
    sentence: () => "a member that stalled keeps its term because it has no peer, although its peer answered meanwhile",
    isInformative: false,
    isViolated: (_, { hasKeptStaleTerm }) => hasKeptStaleTerm
  },
  {
    name: "abort",
    sentence: () => "a server aborts because of a state that its peer reported",
    isInformative: false,
    isViolated: (_, { hasAborted }) => hasAborted
  },
  {
    name: "both-passive",
    sentence: ({ limits }) =>
      `both servers run and the link is whole, yet for longer than ${heartbeats(limits.pair)} neither would answer`,
    isInformative: false,
    isViolated: ({ limits }, world) => world.unanswered > limits.pair && serviceOf(world) === "pair"
  },
  {
    name: "no-answer",
    sentence: ({ limits }) =>
      `one server runs and receives requests all the time, yet for longer than ${
        heartbeats(limits.lone)
      } it does not answer`,
    exception:
      "a backup that has received nothing from its primary since it started, unless it is to serve alone and no " +
      "subscriber is connected to its state port",
    isInformative: false,
    isViolated: ({ limits }, world) => world.unanswered > limits.lone && serviceOf(world) === "lone"
  }
]

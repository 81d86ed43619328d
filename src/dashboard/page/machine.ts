/**
 * The drawing of the state machine: boxes for states, arrows for transitions, and where both servers are in it.
 */
import type { PolicyName } from "../../protocol/Policies.ts"
import { policies } from "../../protocol/Policies.ts"
import * as PolicyGraph from "../../protocol/PolicyGraph.ts"
import type { Role, State } from "../../protocol/StateMachine.ts"
import { states } from "../../protocol/StateMachine.ts"
import { causes } from "./causes.ts"
import type { Pair } from "./pair.ts"
import { roles } from "./pair.ts"
import type { LatestMoves } from "./timeline.ts"

type Point = readonly [x: number, y: number]

export const box = { width: 136, height: 44 }

/** The middle of each box. */
export const places: { readonly [S in State]: Point } = {
  PRIMARY: [70, 84],
  BACKUP: [70, 212],
  ACTIVE: [242, 84],
  PASSIVE: [242, 212],
  HANDING_OVER: [414, 84],
  REJOINING: [414, 212],
  CONTESTED: [586, 84]
}

export interface Arrow {
  readonly from: State
  readonly to: State
  readonly path: string
  readonly isStall: boolean
}

export interface Drawing {
  readonly states: ReadonlyArray<State>
  readonly arrows: ReadonlyArray<Arrow>
  /** Every transition as text. */
  readonly rows: ReadonlyArray<readonly [from: State, to: State, when: string]>
}

/** Half of the distance between the arrows of two opposite directions. */
const aside = 7

/** Where a line from the middle of a box, moved to one side, leaves the box. */
const border = ([x, y]: Point, [dx, dy]: Point, [sx, sy]: Point, gap: number): string => {
  const reachX = dx === 0 ? Infinity : (box.width / 2 + gap - Math.sign(dx) * sx) / Math.abs(dx)
  const reachY = dy === 0 ? Infinity : (box.height / 2 + gap - Math.sign(dy) * sy) / Math.abs(dy)
  const reach = Math.min(reachX, reachY)
  return `${(x + sx + dx * reach).toFixed(1)} ${(y + sy + dy * reach).toFixed(1)}`
}

const pathOf = (from: State, to: State): string => {
  const [ax, ay] = places[from]
  const [bx, by] = places[to]
  if (ay === by && Math.abs(bx - ax) > 300) {
    // Over the boxes between, and the arrow to the left over the arrow to the right.
    const top = ay - box.height / 2
    const [inset, bulge, rise] = bx > ax ? [20, 10, 52] as const : [0, -30, 78] as const
    return `M ${ax + inset} ${top - 2} C ${ax - bulge} ${top - rise} ${bx + bulge} ${top - rise} ${bx - inset} ${
      top - 6
    }`
  }
  const length = Math.hypot(bx - ax, by - ay)
  const x = (bx - ax) / length
  const y = (by - ay) / length
  const shift: Point = [-aside * y, aside * x]
  return `M${border([ax, ay], [x, y], shift, 2)} L${border([bx, by], [-x, -y], shift, 6)}`
}

export const drawingOf = (policy: PolicyName): Drawing => {
  const edges = PolicyGraph.edges(policies[policy])
  return {
    states: states.filter((state) => edges.some(({ from, to }) => from === state || to === state)),
    // A stop leads from every state to the first one: such arrows are in the table only.
    arrows: edges.filter(({ events }) => events.some((event) => event !== "Stopping")).map(({ events, from, to }) => ({
      from,
      to,
      path: pathOf(from, to),
      isStall: events.every((event) => event === "Stalled" || event === "Stopping")
    })),
    rows: edges.map(({ events, from, to }) => [from, to, events.map((event) => causes[event]).join("; ")])
  }
}

/** Where a server is in the drawing. */
export interface Marker {
  readonly state: State | undefined
  /** Where its badge is. */
  readonly at: Point | undefined
  readonly isByHeartbeats: boolean
  /** The start of its latest move, if that led to its state. */
  readonly from: State | undefined
}

export const markerOf = ({ servers }: Pair, moves: LatestMoves, role: Role): Marker => {
  const { state, status } = servers[role]
  const move = moves[role]
  const [x, y] = state === undefined ? [0, 0] : places[state]
  return {
    state,
    at: state === undefined
      ? undefined
      : [x + (role === "primary" ? -1 : 1) * (box.width / 2 - 14), y - box.height / 2],
    isByHeartbeats: status === undefined,
    from: move === undefined || move.to !== state ? undefined : move.from ?? undefined
  }
}

/** The drawing as text. */
export const labelOf = ({ self, servers }: Pair): string =>
  `State machine of the policy ${self.policy}: ${
    roles.map((role) => `the ${role} is ${servers[role].state ?? "silent"}`).join(", ")
  }.`

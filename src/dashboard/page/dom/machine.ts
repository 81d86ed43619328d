/**
 * The drawing of the state machine, and its table.
 */
import type { PolicyName } from "../../../protocol/Policies.ts"
import type { Role, State } from "../../../protocol/StateMachine.ts"
import { box, drawingOf, labelOf, markerOf, places } from "../machine.ts"
import type { Pair } from "../pair.ts"
import { roles } from "../pair.ts"
import type { LatestMoves } from "../timeline.ts"
import { byId, draw, make } from "./elements.ts"

interface Drawn {
  readonly policy: PolicyName
  readonly boxes: ReadonlyMap<State, SVGElement>
  readonly arrows: ReadonlyMap<string, SVGElement>
  readonly badges: { readonly [R in Role]: SVGElement }
  readonly firstBox: SVGElement | null
}

let drawn: Drawn | undefined

const keyOf = (from: State, to: State): string => `${from} ${to}`

const arrowHead = (name: string): SVGElement =>
  draw(
    "marker",
    {
      id: `head-${name}`,
      viewBox: "0 0 8 8",
      refX: 4,
      refY: 4,
      markerWidth: 8,
      markerHeight: 8,
      markerUnits: "userSpaceOnUse",
      orient: "auto"
    },
    draw("path", { d: "M0 0.5 L7.5 4 L0 7.5 z", class: `head ${name}` })
  )

/** A longer name is fitted into its box. */
const longestName = 10

const boxOf = (state: State): SVGElement => {
  const [x, y] = places[state]
  const fit = state.length > longestName ? { textLength: box.width - 16, lengthAdjust: "spacingAndGlyphs" } : {}
  return draw(
    "g",
    { class: "box", "data-state": state },
    draw("rect", { x: x - box.width / 2, y: y - box.height / 2, width: box.width, height: box.height, rx: 9 }),
    draw("text", { x, y: y + 5, ...fit }, state)
  )
}

const badgeOf = (role: Role): SVGElement =>
  draw(
    "g",
    { class: `at of-${role}` },
    draw("circle", { r: 11 }),
    draw("text", { y: 4.5 }, role.charAt(0).toUpperCase())
  )

const rowOf = ([from, to, when]: readonly [State, State, string]): HTMLElement => {
  const head = make("th", "", from)
  head.scope = "row"
  return make("tr", "", head, make("td", "", to), make("td", "", when))
}

const drawMachine = (policy: PolicyName): Drawn => {
  const drawing = drawingOf(policy)
  const arrows = new Map(
    drawing.arrows.map(({ from, isStall, path, to }) =>
      [keyOf(from, to), draw("path", { d: path, class: isStall ? "edge stall" : "edge" })] as const
    )
  )
  const boxes = new Map(drawing.states.map((state) => [state, boxOf(state)] as const))
  const badges = { primary: badgeOf("primary"), backup: badgeOf("backup") }
  byId("machine").replaceChildren(
    draw("defs", {}, ...["plain", ...roles].map(arrowHead)),
    ...arrows.values(),
    ...boxes.values(),
    badges.primary,
    badges.backup
  )
  byId("edges").replaceChildren(...drawing.rows.map(rowOf))
  return { policy, arrows, boxes, badges, firstBox: boxes.values().next().value ?? null }
}

export const show = (pair: Pair, moves: LatestMoves): void => {
  const { arrows, badges, boxes, firstBox } = drawn = drawn?.policy === pair.self.policy
    ? drawn
    : drawMachine(pair.self.policy)
  for (const [state, node] of boxes) {
    node.classList.toggle("lit", roles.some((role) => pair.servers[role].state === state))
  }
  for (const arrow of arrows.values()) {
    arrow.classList.remove("last", ...roles)
  }
  for (const role of roles) {
    const { at, from, isByHeartbeats, state } = markerOf(pair, moves, role)
    const badge = badges[role]
    badge.classList.toggle("away", at === undefined)
    badge.classList.toggle("by-heartbeats", isByHeartbeats)
    if (at !== undefined) {
      badge.style.transform = `translate(${at[0]}px, ${at[1]}px)`
    }
    const arrow = from === undefined || state === undefined ? undefined : arrows.get(keyOf(from, state))
    if (arrow !== undefined) {
      arrow.classList.add("last", role)
      arrow.parentNode?.insertBefore(arrow, firstBox)
    }
  }
  const label = labelOf(pair)
  if (byId("machine").getAttribute("aria-label") !== label) {
    byId("machine").setAttribute("aria-label", label)
  }
}

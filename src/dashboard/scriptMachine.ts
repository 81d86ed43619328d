/**
 * The drawing of the state machine.
 */
export const machine = String.raw`
const box = { width: 118, height: 44 }
/** @type {Record<string, [number, number]>} */
const places = {
  PRIMARY: [63, 84],
  BACKUP: [63, 212],
  ACTIVE: [240, 84],
  PASSIVE: [240, 212],
  HANDING_OVER: [417, 84],
  REJOINING: [417, 212],
  CONTESTED: [594, 84]
}
/** What stops starts over whatever it was, which would be an arrow from everywhere: it is in the table only. */
const isDrawn = ({ events }) => events.some((event) => event !== "Stopping")
const isSleep = ({ events }) => events.every((event) => event === "Stalled" || event === "Stopping")

/** Where a line from the middle of a box, moved to one side, leaves the box. */
const border = ([x, y], [dx, dy], [sx, sy], gap) => {
  const reachX = (box.width / 2 + gap - Math.sign(dx) * sx) / Math.abs(dx)
  const reachY = (box.height / 2 + gap - Math.sign(dy) * sy) / Math.abs(dy)
  const reach = Math.min(dx === 0 ? Infinity : reachX, dy === 0 ? Infinity : reachY)
  return [x + sx + dx * reach, y + sy + dy * reach].map((n) => n.toFixed(1))
}

const pathOf = ({ from, to }) => {
  const a = places[from]
  const b = places[to]
  if (a[1] === b[1] && Math.abs(b[0] - a[0]) > 300) {
    // Over the boxes between, and the way back over the way there.
    const top = a[1] - box.height / 2
    const [inset, bulge, rise] = b[0] > a[0] ? [20, 10, 52] : [0, -30, 78]
    return ["M", a[0] + inset, top - 2, "C", a[0] - bulge, top - rise, b[0] + bulge, top - rise, b[0] - inset, top - 6]
      .join(" ")
  }
  const length = Math.hypot(b[0] - a[0], b[1] - a[1])
  const x = (b[0] - a[0]) / length
  const y = (b[1] - a[1]) / length
  /** @type {[number, number]} */
  const aside = [-7 * y, 7 * x]
  const start = border(a, [x, y], aside, 2)
  const end = border(b, [-x, -y], aside, 6)
  return "M" + start.join(" ") + " L" + end.join(" ")
}

const arrowHead = (name) =>
  draw(
    "marker",
    { id: "head-" + name, viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 8, markerHeight: 8,
      markerUnits: "userSpaceOnUse", orient: "auto" },
    draw("path", { d: "M0 0.5 L7.5 4 L0 7.5 z", class: "head " + name })
  )

const badgeAt = { primary: -1, backup: 1 }
const drawing = { policy: "", edges: new Map(), boxes: new Map(), badges: {} }

const drawMachine = (policy) => {
  const drawn = edges[policy].filter(isDrawn)
  const used = states.filter((state) => edges[policy].some(({ from, to }) => from === state || to === state))
  const lines = drawn.map((edge) => {
    const line = draw("path", { d: pathOf(edge), class: isSleep(edge) ? "edge sleep" : "edge" })
    drawing.edges.set(edge.from + edge.to, line)
    return line
  })
  const boxes = used.map((state) => {
    const [x, y] = places[state]
    const group = draw(
      "g",
      { class: "box", "data-state": state },
      draw("rect", { x: x - box.width / 2, y: y - box.height / 2, width: box.width, height: box.height, rx: 9 }),
      draw("text", { x, y: y + 5.5 }, state)
    )
    drawing.boxes.set(state, group)
    return group
  })
  const badges = roles.map((role) => {
    drawing.badges[role] = draw(
      "g",
      { class: "at of-" + role },
      draw("circle", { r: 11 }),
      draw("text", { y: 4.5 }, role[0].toUpperCase())
    )
    return drawing.badges[role]
  })
  byId("machine").replaceChildren(
    draw("defs", {}, ...["plain", ...roles].map(arrowHead)), ...lines, ...boxes, ...badges
  )
  byId("edges").replaceChildren(...edges[policy].map(({ events, from, to }) =>
    make("tr", "", make("th", "", from), make("td", "", to), make("td", "", events.map((e) => causes[e]).join("; ")))
  ))
  for (const row of byId("edges").querySelectorAll("th")) {
    row.scope = "row"
  }
  drawing.policy = policy
}

/** @param {any} moves the latest entry of the timeline of each server */
const showMachine = (policy, nodes, moves) => {
  if (drawing.policy !== policy) {
    drawing.edges.clear()
    drawing.boxes.clear()
    drawMachine(policy)
  }
  for (const [state, group] of drawing.boxes) {
    group.classList.toggle("lit", roles.some((role) => nodes[role].state === state))
  }
  for (const line of drawing.edges.values()) {
    line.classList.remove("last", ...roles)
  }
  for (const role of roles) {
    const { state, status } = nodes[role]
    const badge = drawing.badges[role]
    const place = places[state]
    badge.classList.toggle("away", !place)
    badge.classList.toggle("hearsay", !status)
    if (place) {
      const x = place[0] + badgeAt[role] * (box.width / 2 - 14)
      badge.style.transform = "translate(" + x + "px, " + (place[1] - box.height / 2) + "px)"
    }
    const move = moves[role]
    const line = move && move.to === state && drawing.edges.get(move.from + move.to)
    if (line) {
      line.classList.add("last", role)
      line.parentNode.insertBefore(line, drawing.boxes.values().next().value)
    }
  }
  const label = "State machine of the policy " + policy + ": " +
    roles.map((role) => "the " + role + " is " + (nodes[role].state || "silent")).join(", ") + "."
  if (byId("machine").getAttribute("aria-label") !== label) {
    byId("machine").setAttribute("aria-label", label)
  }
}
`

/**
 * The transitions of this server, and those of its peer as far as they are seen from here.
 */
export const timeline = String.raw`
const timelineLimit = 200

/** @type {Array<any>} the latest first */
let entries = []

/** One transition may be told twice, with times that differ by how its clock was read. */
const isSame = (a, b) =>
  a.role === b.role && a.from === b.from && a.to === b.to && a.message === b.message &&
  Math.abs(Date.parse(a.at) - Date.parse(b.at)) < 1000

const addEntries = (added) => {
  const fresh = added.filter((entry) => !entries.some((known) => isSame(known, entry)))
  if (fresh.length > 0) {
    entries = entries.concat(fresh).sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, timelineLimit)
    showTimeline()
  }
  return fresh
}

const announce = (text) => setText(byId("announcer"), text)

const toldOf = ({ role, message, to }) =>
  "The " + role + " is now " + (to || "silent") + ": " + message

const chip = (state) => {
  const node = make("span", "chip", state || "silent")
  node.dataset.state = state || "none"
  return node
}

const showTimeline = () => {
  const today = calendarDay.format(new Date())
  let day = today
  byId("timeline-empty").hidden = entries.length > 0
  byId("timeline").replaceChildren(...entries.map((entry) => {
    const at = new Date(entry.at)
    const time = make("time", "", clockTime.format(at))
    time.setAttribute("datetime", entry.at)
    const itsDay = calendarDay.format(at)
    const head = make(
      "p", "head",
      make("i", "badge of-" + entry.role, entry.role[0].toUpperCase()), make("span", "who", entry.role), " "
    )
    head.firstElementChild.setAttribute("aria-hidden", "true")
    if (entry.from !== null && entry.from !== entry.to) {
      const arrow = make("span", "arrow", "→")
      arrow.setAttribute("aria-label", "to")
      arrow.setAttribute("role", "img")
      head.append(chip(entry.from), arrow)
    }
    head.append(chip(entry.to))
    if (entry.cause !== null) {
      head.append(make("span", "cause", entry.cause))
    }
    const item = make("li", "of-" + entry.role)
    if (itsDay !== day) {
      day = itsDay
      item.append(make("p", "day", day))
    }
    item.append(time, make("div", "", head, make("p", "what", entry.message)))
    const notes = [
      entry.explanation || causes[entry.cause],
      entry.reason === null ? null : "reason: " + entry.reason
    ].filter(Boolean)
    if (notes.length > 0) {
      item.lastElementChild.append(make("p", "why", notes.join(" · ")))
    }
    return item
  }))
}

/** When it came to its state, by its own uptime: its wall clock may be set meanwhile. */
const sinceStart = ({ now, since, uptimeMillis }) => uptimeMillis - (Date.parse(now) - Date.parse(since))

/** What a server in a state is heard to say. One that yields is silent. */
const heardOf = (state) => state === null ? null : words[state] || null

/** @type {any} the peer as it was last seen */
let seen = null

/** Whether it is not what it was. Where one of both is hearsay, they are compared as they are heard. */
const hasMoved = (a, b) =>
  a.status && b.status
    ? a.status.pid !== b.status.pid || a.state !== b.state || a.status.message !== b.status.message ||
      Math.abs(sinceStart(a.status) - sinceStart(b.status)) >= 1000
    : heardOf(a.state) !== heardOf(b.state)

/** Notes how the peer differs from when it was last seen. What is seen first is no news. */
const watchPeer = ({ self }, nodes) => {
  const was = seen
  const now = nodes[otherOf[self.role]]
  seen = now
  const { problem, role, state, status } = now
  if (was === null ? !status : !hasMoved(was, now)) {
    return
  }
  const entry = status
    ? {
      at: status.since,
      from: was !== null && was.status && was.status.pid === status.pid ? was.state : null,
      cause: status.cause,
      message: status.message,
      explanation: status.explanation,
      reason: status.reason
    }
    : {
      at: self.now,
      from: was.state,
      cause: null,
      message: state === null ? "nothing is heard of it" : "as heard by the " + self.role,
      explanation: problem,
      reason: null
    }
  const fresh = addEntries([{ ...entry, role, to: state }])
  if (was !== null) {
    fresh.map(toldOf).forEach(announce)
  }
}

/** The latest move of each server. */
const latestMoves = () => Object.fromEntries(roles.map((role) => [role, entries.find((entry) => entry.role === role)]))
`

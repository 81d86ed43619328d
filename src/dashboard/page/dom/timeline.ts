/**
 * The timeline of both servers.
 */
import { causes } from "../causes.ts"
import { calendarDay, preciseClockTime } from "../format.ts"
import type { Entry } from "../timeline.ts"
import { latestCount, reasonNote } from "../timeline.ts"
import { byId, make, setText } from "./elements.ts"

const chip = (state: Entry["to"]): HTMLElement => {
  const node = make("span", "chip", state ?? "silent")
  node.dataset.state = state ?? "none"
  return node
}

const headOf = ({ cause, from, role, term, to }: Entry): HTMLElement => {
  const badge = make("i", `badge of-${role}`, role.charAt(0).toUpperCase())
  badge.setAttribute("aria-hidden", "true")
  const head = make("p", "head", badge, make("span", "server", role), " ")
  if (from !== null && from !== to) {
    const arrow = make("span", "arrow", "→")
    arrow.setAttribute("aria-label", "to")
    arrow.setAttribute("role", "img")
    head.append(chip(from), arrow)
  }
  head.append(
    chip(to),
    ...(term == null ? [] : [make("span", "tag term", `term ${term.text}`)]),
    ...(cause === null ? [] : [make("span", "cause", cause)])
  )
  return head
}

const itemOf = (entry: Entry, day: string | undefined): HTMLElement => {
  const { at, cause, explanation, message, role } = entry
  const time = make("time", "", preciseClockTime.format(Date.parse(at)))
  time.dateTime = at
  const body = make("div", "", headOf(entry), make("p", "what", message))
  const notes = [
    explanation ?? (cause === null ? null : causes[cause]),
    reasonNote(entry)
  ].filter((note) => note !== null)
  if (notes.length > 0) {
    body.append(make("p", "why", notes.join(" · ")))
  }
  return make("li", `of-${role}`, ...(day === undefined ? [] : [make("p", "day", day)]), time, body)
}

const more = byId<HTMLButtonElement>("timeline-more")

let shown: ReadonlyArray<Entry> = []

/** Shows the latest entries, or all. Before the first entry of a day other than the one before, the day is shown. */
export const show = (all: ReadonlyArray<Entry>): void => {
  shown = all
  const isComplete = more.getAttribute("aria-expanded") === "true"
  const entries = isComplete ? all : all.slice(0, latestCount)
  more.hidden = all.length <= latestCount
  setText(more, isComplete ? `Show the latest ${latestCount}` : `Show all ${all.length}`)
  const days = entries.map(({ at }) => calendarDay.format(Date.parse(at)))
  const today = calendarDay.format(Date.now())
  byId("timeline-empty").hidden = entries.length > 0
  byId("timeline").replaceChildren(
    ...entries.map((entry, i) => itemOf(entry, days[i] === (days[i - 1] ?? today) ? undefined : days[i]))
  )
}

more.addEventListener("click", () => {
  more.setAttribute("aria-expanded", String(more.getAttribute("aria-expanded") !== "true"))
  show(shown)
})

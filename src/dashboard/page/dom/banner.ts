/**
 * The judgement of the pair, and the state of the connection to its server.
 */
import { severityOf } from "../pair.ts"
import type { State } from "../state.ts"
import { byId, setText } from "./elements.ts"

interface Banner {
  readonly level: "unknown" | "good" | "warning" | "critical"
  readonly title: string
  readonly text: string
}

const bannerOf = ({ link, pair }: State): Banner => {
  if (link === "lost") {
    return {
      level: "critical",
      title: "connection lost",
      text: "This server does not respond. The values shown are old. Connecting again every second."
    }
  }
  return pair === undefined
    ? { level: "unknown", title: "connecting", text: "" }
    : { level: severityOf[pair.health.level], title: pair.health.level, text: pair.health.message }
}

export const show = (state: State): void => {
  const { level, text, title } = bannerOf(state)
  const { link, pair } = state
  document.body.dataset.link = link
  document.body.toggleAttribute("data-blank", pair === undefined)
  document.title = `${title} · Binary Star`
  for (const id of ["health", "judgement"]) {
    byId(id).dataset.level = level
  }
  setText(byId("health"), title)
  setText(byId("judgement"), text)
  setText(byId("link-text"), link === "lost" ? "connection lost" : link)
  setText(byId("where"), pair === undefined ? "" : `seen from the ${pair.self.role} on ${pair.self.host}`)
}

/**
 * The judgement of the pair, and the state of the connection to its server.
 */
import type { PeerPage } from "../links.ts"
import { peerPageOf } from "../links.ts"
import { severityOf } from "../pair.ts"
import type { State } from "../state.ts"
import { byId, make, setText } from "./elements.ts"

interface Banner {
  readonly level: "unknown" | "good" | "warning" | "critical"
  readonly title: string
  readonly text: string
  readonly link?: PeerPage | undefined
}

const bannerOf = ({ link, pair }: State): Banner => {
  if (link === "lost") {
    return {
      level: "critical",
      title: "connection lost",
      text: "This server does not respond. The values shown are old. Connecting again every second.",
      link: pair && peerPageOf(pair.self)
    }
  }
  return pair === undefined
    ? { level: "unknown", title: "connecting", text: "" }
    : { level: severityOf[pair.health.level], title: pair.health.level, text: pair.health.message }
}

const judgement = byId("judgement")

/** Writes only what has changed, because a screen reader announces every write, and a link may have the focus. */
const setJudgement = (text: string, page: PeerPage | undefined): void => {
  const key = `${text} ${page?.href ?? ""}`
  if (judgement.dataset.key === key) {
    return
  }
  judgement.dataset.key = key
  judgement.replaceChildren(text)
  if (page !== undefined) {
    const link = make("a", "", `Open the page of the ${page.role}`)
    link.href = page.href
    judgement.append(" ", link, ".")
  }
}

export const show = (state: State): void => {
  const { level, link: page, text, title } = bannerOf(state)
  const { link, pair } = state
  document.body.dataset.link = link
  document.body.toggleAttribute("data-blank", pair === undefined)
  document.title = `${title} · Binary Star`
  for (const id of ["health", "judgement"]) {
    byId(id).dataset.level = level
  }
  setText(byId("health"), title)
  setJudgement(text, page)
  setText(byId("link-text"), link === "lost" ? "connection lost" : link)
  setText(byId("where"), pair === undefined ? "" : `seen from the ${pair.self.role} on ${pair.self.host}`)
}
